# SPDX-License-Identifier: Apache-2.0
"""The VIP of a load balancer of amphora in Neutron: how it comes to OVN, and back.

Octavia's worker makes the VIP port with an owner and a device, by which Octavia refuses the port
for another load balancer and deletes it with the present one. The amphorae may use the VIP because
it is an allowed address of their own ports; that alone lets them answer ARP for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from octavia_ovn.adapters.neutron.client import Neutron
from octavia_ovn.core.codec import neutron
from octavia_ovn.core.ip import canonical_address

_OWNER = "Octavia"


@dataclass(frozen=True, slots=True)
class VipHandover:
    """Changes the ports of a VIP; what is done already can be repeated.

    Every call may raise :class:`Unavailable` when Neutron or Keystone does not answer,
    :class:`NotFound` when the VIP port does not exist, and :class:`Refused` when Neutron will not
    do it.

    :param amphora_lb: the id of the load balancer of amphora
    """

    neutron: Neutron
    amphora_lb: str
    port_id: str
    address: str

    def is_octavias(self) -> bool:
        """Whether Octavia, or this class, has named the VIP port: it goes with the load balancer.

        Others are the users', and keep their names and owners.
        """
        port = self.neutron.port(self.port_id)
        return port.name == self._name or (port.vip_of is not None and not port.device_owner)

    @property
    def _name(self) -> str:
        return f"octavia-lb-{self.amphora_lb}"

    def release(self) -> None:
        """Let Octavia use the VIP port for another load balancer, and keep it with this one."""
        port = self.neutron.port(self.port_id)
        if port.device_id == neutron.device_id(self.amphora_lb) or port.device_owner == _OWNER:
            self.neutron.change_port(port.id, device_owner="", device_id="")

    def give(self, lb_id: str) -> None:
        """Make the VIP port look like those of this driver, which it deletes with their VIP.

        :param lb_id: the load balancer of OVN
        """
        self.neutron.change_port(
            self.port_id,
            name=neutron.vip_port_name(lb_id),
            device_owner="",
            device_id=neutron.device_id(lb_id),
            admin_state_up=True,
        )

    def give_back(self) -> None:
        """Make the VIP port what Octavia's worker has made."""
        self.neutron.change_port(
            self.port_id,
            name=self._name,
            device_owner=_OWNER,
            device_id=neutron.device_id(self.amphora_lb),
            admin_state_up=False,
        )

    def silence(self, ports: Iterable[str]) -> None:
        """Forbid amphorae to use the VIP.

        :param ports: of the amphorae
        """
        for port_id in ports:
            pairs = self.neutron.address_pairs(port_id)
            others = [each for each in pairs if not self._is_vip(each)]
            if others != pairs:
                self.neutron.change_port(port_id, allowed_address_pairs=others)

    def unsilence(self, ports: Iterable[str]) -> None:
        """Allow amphorae to use the VIP again.

        :param ports: of the amphorae
        """
        for port_id in ports:
            pairs = self.neutron.address_pairs(port_id)
            if not any(map(self._is_vip, pairs)):
                pair = {"ip_address": self.address}
                self.neutron.change_port(port_id, allowed_address_pairs=[*pairs, pair])

    def _is_vip(self, pair: dict[str, Any]) -> bool:
        # A pair may be a network.
        text = str(pair["ip_address"])
        return "/" not in text and canonical_address(text) == canonical_address(self.address)
