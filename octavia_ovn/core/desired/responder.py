# SPDX-License-Identifier: Apache-2.0
"""Responders: routers of this driver that answer ARP for VIPs where no router of Neutron does.

On a switch without a router, OVN answers ARP for no VIP, so clients cannot connect. They can once a
router has a port on the switch whose address is the VIP (measured). One responder for each switch
answers for the VIPs of all load balancers there. It has no other port: packets of clients are
translated on their own switch and leave by the port that they came in by.

Its rows have neither Neutron's external_ids nor names of Neutron's form. So Neutron and its tools
ignore it, and it is no router for :mod:`octavia_ovn.core.topology`.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from octavia_ovn.core import model
from octavia_ovn.core.rows import Answer
from octavia_ovn.core.topology import Subnet, Topology, switch_name, unrouted_vips

MARK = ("octavia:responder", "true")
"""A key and value that the external_ids of the three rows share."""
ROUTER_OPTIONS = {
    # Otherwise each ARP request on the switch makes a row in the Southbound database.
    "always_learn_from_arp_request": "false",
    "dynamic_neigh_routers": "true",
}
_OWNER = "octavia:answers_"
_ROUTER, _ROUTER_PORT, _SWITCH_PORT = "octavia-ovn-", "octavia-ovn-lrp-", "octavia-ovn-lsp-"
_NEUTRON = switch_name("")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a responder's rows. Ports of switches and routers share one name space."""

    router: str
    router_port: str
    switch_port: str


def names(switch: str) -> Names:
    """Return the names of the rows of a switch's responder."""
    network_id = switch.removeprefix(_NEUTRON)
    return Names(_ROUTER + network_id, _ROUTER_PORT + network_id, _SWITCH_PORT + network_id)


def switch_of(port: str) -> str:
    """Return the switch of a responder, by the name of one of its ports."""
    return switch_name(port.removeprefix(_ROUTER_PORT).removeprefix(_SWITCH_PORT))


def mac(switch: str) -> str:
    """Return the responder's MAC, always the same: locally administered, as none of Neutron's."""
    digest = hashlib.sha256(switch.encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, *digest[:5]))


def answers(
    lb: model.LoadBalancer,
    topology: Topology,
    subnets: Mapping[str, Subnet],
    lost: Collection[str] = (),
) -> dict[str, frozenset[str]]:
    """Return what responders must answer for: switch → addresses as `10.0.0.5/24`.

    :param lost: VIPs that are not to be served
    """
    if not lb.enabled:
        return {}
    cidrs = {vip.address: vip.cidr for vip in lb.vips if vip.cidr and vip.address not in lost}
    found: dict[str, set[str]] = {}
    for switch, address in unrouted_vips(lb, topology, subnets):
        if address in cidrs:
            length = ipaddress.ip_network(cidrs[address]).prefixlen
            found.setdefault(switch, set()).add(f"{address}/{length}")
    return {switch: frozenset(addresses) for switch, addresses in found.items()}


def operations(
    lb_id: str,
    held: Mapping[str, frozenset[str]],
    wanted: Mapping[str, frozenset[str]],
) -> Iterator[Answer]:
    """Yield what makes responders answer for these addresses of a load balancer alone.

    :param held: what they answer for now; no address where one is not as it should be
    """
    for switch in sorted(held.keys() | wanted.keys()):
        if held.get(switch) != wanted.get(switch):
            yield Answer(switch, lb_id, wanted.get(switch, frozenset()))


# All VIPs of a network are read again for each transaction that changes one of them.
_interface = functools.lru_cache(maxsize=8192)(ipaddress.ip_interface)


def networks(addresses: Iterable[str]) -> frozenset[str]:
    """Return the networks of the router port that answers for addresses.

    Only the first address of each subnet is written with it; the router has one route there then.
    """
    found: dict[str, str] = {}
    alone = set()
    for interface in sorted(map(_interface, addresses), key=_order):
        if found.setdefault(str(interface.network), str(interface)) != str(interface):
            alone.add(f"{interface.ip}/{interface.max_prefixlen}")
    return frozenset(found.values()) | alone


def _order(interface: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> tuple[int, int]:
    return interface.version, int(interface)


def is_responder(external_ids: Mapping[str, str]) -> bool:
    """Whether a row is part of a responder."""
    key, value = MARK
    return external_ids.get(key) == value


def owners(external_ids: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Read the addresses of a responder by load balancer, without unreadable ones.

    The load balancer that lacks an address writes it again.
    """
    return {
        key.removeprefix(_OWNER): frozenset(filter(_is_interface, value.split()))
        for key, value in external_ids.items()
        if key.startswith(_OWNER)
    }


def _is_interface(text: str) -> bool:
    try:
        _interface(text)
    except ValueError:
        return False
    return True


def external_ids(owned: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """Write the addresses of a responder by load balancer."""
    texts = {_OWNER + lb_id: " ".join(sorted(each)) for lb_id, each in owned.items()}
    return dict([MARK]) | texts
