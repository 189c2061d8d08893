# SPDX-License-Identifier: Apache-2.0
"""The Neutron ports that hold the VIPs.

They are made while Octavia's API waits, because Octavia must know the addresses. A
user-provided port is only read: never renamed, re-owned or deleted.
"""

from __future__ import annotations

import collections
import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from octavia_ovn.adapters.neutron.client import Neutron
from octavia_ovn.core.ip import canonical_address
from octavia_ovn.core.neutron_port import FixedIp, NeutronPort
from octavia_ovn.core.request.addresses import misfit
from octavia_ovn.errors import Conflict, OctaviaOvnError, Refused, failure, undoing

LOG = logging.getLogger(__name__)
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class VipRequest:
    """The arguments of `create_vip_port`, as Octavia passes them."""

    lb_id: str
    project_id: str
    vip: Mapping[str, Any]
    additional: Sequence[Mapping[str, Any]] = ()


class VipPorts:
    """Makes VIP ports."""

    def __init__(self, neutron: Neutron) -> None:
        self._neutron = neutron
        self._made: collections.deque[str] = collections.deque(maxlen=_REMEMBERED)

    def create(self, request: VipRequest) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Make all ports of a load balancer, or none.

        :returns: the VIP and the additional VIPs as Octavia wants them back
        :raises Conflict: when Neutron will not make them, because an address is taken or wrong, or
            a quota or a subnet used up: Octavia answers 409
        :raises Unavailable: when Neutron cannot make them
        """
        try:
            self._check_addresses(request)
            vip = self._vip(request)
            additional = [
                self._additional(request, index, each)
                for index, each in enumerate(request.additional, start=1)
            ]
        except OctaviaOvnError as error:
            self.undo(request.lb_id)
            if isinstance(error, Refused) and not isinstance(error, Conflict):
                raise Conflict(str(error)) from error
            raise
        return vip, additional

    def _check_addresses(self, request: VipRequest) -> None:
        """Refuse addresses that are not of the subnets that they are asked for on.

        :raises Conflict: naming the address
        """
        asked = [(each.get("subnet_id"), each.get("ip_address")) for each in request.additional]
        if not request.vip.get("vip_port_id"):
            asked.insert(0, (request.vip.get("vip_subnet_id"), request.vip.get("vip_address")))
        for subnet_id, address in asked:
            if subnet_id and address:
                why = misfit(canonical_address(address), self._neutron.subnet(subnet_id).cidr)
                if why is not None:
                    raise Conflict(f"VIP address {address} {why}, the network of its subnet.")

    def is_user_port(self, port_id: str) -> bool:
        """Whether a port that a request names is none of those that were just made here.

        Octavia makes the ports and the load balancer in one request, with one driver object.
        """
        return port_id not in self._made

    def undo(self, lb_id: str) -> None:
        """Delete the ports that were made, also one whose creation Neutron did not answer."""
        error = failure(lambda: self._neutron.delete_vip_ports(lb_id))
        if error is not None:
            # The agent's comparison finds ports that no load balancer uses.
            LOG.warning("The VIP ports of load balancer %s are left in Neutron: %s", lb_id, error)

    def asked(self, vip: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a request asks of a VIP.

        Octavia fills in the QoS policy of a port that the user provides: the port has it already.

        :raises NotFound: when there is no such port
        """
        asked = dict(vip)
        port_id, policy_id = vip.get("vip_port_id"), vip.get("vip_qos_policy_id")
        if port_id and policy_id and self._neutron.port(port_id).qos_policy_id == policy_id:
            del asked["vip_qos_policy_id"]
        return asked

    @contextlib.contextmanager
    def without_qos_policy(self, port_id: str) -> Iterator[None]:
        """Take the QoS policy off a port while a request is recorded; earlier releases set it.

        If that fails, the port gets the policy back that it had.

        :raises NotFound: when the port does not exist
        """
        before = self._neutron.port(port_id).qos_policy_id
        self._neutron.set_qos_policy(port_id, None)
        with undoing(lambda: self._restore_qos_policy(port_id, before)):
            yield

    def _restore_qos_policy(self, port_id: str, policy_id: str | None) -> None:
        error = failure(lambda: self._neutron.set_qos_policy(port_id, policy_id))
        if error is not None:
            LOG.warning("VIP port %s keeps the QoS policy of a failed request: %s", port_id, error)

    def _vip(self, request: VipRequest) -> dict[str, Any]:
        vip = request.vip
        subnet_id, address = vip.get("vip_subnet_id"), vip.get("vip_address")
        if vip.get("vip_port_id"):
            port = self._neutron.port(vip["vip_port_id"])
        else:
            port = self._make(request, vip["vip_network_id"], subnet_id, address)
        fixed_ip = _choose(port, subnet_id, address)
        return {
            **vip,
            "vip_port_id": port.id,
            "vip_network_id": port.network_id,
            "vip_subnet_id": fixed_ip.subnet_id,
            "vip_address": fixed_ip.address,
        }

    def _make(
        self, request: VipRequest, network_id: str, subnet_id: Any, address: Any, **others: Any
    ) -> NeutronPort:
        port = self._neutron.create_vip_port(
            request.lb_id,
            request.project_id,
            network_id,
            subnet_id=subnet_id,
            address=address,
            **others,
        )
        self._made.append(port.id)
        return port

    def _additional(
        self, request: VipRequest, index: int, vip: Mapping[str, Any]
    ) -> dict[str, Any]:
        subnet_id, address = vip.get("subnet_id"), vip.get("ip_address")
        network_id = vip.get("network_id") or request.vip["vip_network_id"]
        port = self._make(request, network_id, subnet_id, address, index=index)
        fixed_ip = _choose(port, subnet_id, address)
        return {
            **vip,
            "port_id": port.id,
            "network_id": port.network_id,
            "subnet_id": fixed_ip.subnet_id,
            "ip_address": fixed_ip.address,
        }


def _choose(port: NeutronPort, subnet_id: str | None, address: str | None) -> FixedIp:
    """Return the fixed IP that was asked for; a user-provided port may have several.

    :raises Refused: when the port has no such address
    """
    found = port.fixed_ip(subnet_id, address)
    if found is not None:
        return found
    msg = (
        f"Port {port.id} has no address that fits: subnet {subnet_id or 'any'},"
        f" address {address or 'any'}."
    )
    raise Refused(msg)
