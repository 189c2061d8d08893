# SPDX-License-Identifier: Apache-2.0
"""Whether anything can answer at the address of a member, as far as OVN knows."""

from __future__ import annotations

from collections.abc import Callable

from octavia_ovn.controller.protocols import Northbound
from octavia_ovn.core import model
from octavia_ovn.core.topology import Subnet, switch_name

_NOTHING = ""


def obstacle(
    nb: Northbound,
    pool: model.Pool,
    member: model.Member,
    subnet: Subnet | None,
    located: Callable[[str], object],
) -> str | None:
    """Return the reason why nothing can answer at a member's address; empty when there is none.

    A member without a monitor gets connections wherever it is, as the user has asked, except where
    OVN itself answers: connections to such an address always end in a time-out.

    :param subnet: the member's; None when Neutron has none of that id
    :param located: whether a switch port is known to be on a chassis
    :returns: a sentence to follow the name of the member; None while its port is being fetched
    """
    if subnet is None:
        gone = f"gets no connections: its subnet {member.subnet_id} is not in Neutron"
        return gone if pool.monitored else _NOTHING
    switch = switch_name(subnet.network_id)
    if nb.is_occupied(switch, member.address):
        return (
            f"gets no connections: {member.address} is a router's address or the VIP of an OVN load"
            " balancer, and OVN does not balance a connection twice"
        )
    return _port_obstacle(nb, switch, member, located) if pool.monitored else _NOTHING


def _port_obstacle(
    nb: Northbound, switch: str, member: model.Member, located: Callable[[str], object]
) -> str | None:
    """Say whether a monitored member's port is on no hypervisor: no check would find that out.

    At the end of a live migration OVN calls a port down until it works on the new hypervisor.
    """
    ports = nb.switch_ports(switch)
    if ports is None:
        return None
    port = ports.at(member.address)
    if port is None or port.up or port.virtual or located(port.name):
        return _NOTHING
    return f"gets no connections while its port {port.name} is on no hypervisor"
