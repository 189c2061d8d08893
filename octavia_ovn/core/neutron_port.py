# SPDX-License-Identifier: Apache-2.0
"""Ports of Neutron, and which of them belong to load balancers.

Ports of this driver and of `ovn-octavia-provider` carry the id of a load balancer or subnet in name
and device_id; ports without it are users' ports.
"""

from __future__ import annotations

from dataclasses import dataclass

from octavia_ovn.core.codec import neutron
from octavia_ovn.core.dependencies import Resource
from octavia_ovn.core.ip import canonical_address


@dataclass(frozen=True, slots=True)
class FixedIp:
    """An address of a port, in its canonical spelling."""

    subnet_id: str
    address: str


@dataclass(frozen=True, slots=True)
class NeutronPort:
    """A port.

    :param of_service: whether it belongs to the project of the service's account, if that is
        known
    """

    id: str
    name: str
    network_id: str
    project_id: str
    device_id: str
    device_owner: str
    fixed_ips: tuple[FixedIp, ...]
    mac: str
    qos_policy_id: str | None = None
    of_service: bool = False

    @property
    def vip_of(self) -> str | None:
        """The id of the load balancer, if this is a VIP port of this driver."""
        return neutron.vip_port_owner(self.name, self.device_id)

    @property
    def source_of(self) -> str | None:
        """The id of the subnet, if OVN's checks come from this port, and it is this driver's."""
        return neutron.hm_subnet(self.name, self.device_id, self.device_owner)

    @property
    def probe_source_of(self) -> str | None:
        """The id of the subnet, if chassis probe from this port, and it is this driver's."""
        return neutron.hm_subnet(self.name, self.device_id, self.device_owner, Resource.PROBED)

    def is_vip_of(self, lb_id: str) -> bool:
        """Whether it is a VIP port of a load balancer, also of `ovn-octavia-provider`."""
        return neutron.is_vip_port(self.name, self.device_id, self.device_owner, lb_id)

    @property
    def is_hm_port(self) -> bool:
        """Whether it is a health monitor port, also of `ovn-octavia-provider`."""
        return neutron.is_hm_port(self.name, self.device_id, self.device_owner)

    def fixed_ip(self, subnet_id: str | None, address: str | None) -> FixedIp | None:
        """Return the first address in a subnet, or that address; None for an argument fits any."""
        wanted = canonical_address(address) if address else None
        for each in self.fixed_ips:
            if subnet_id in (None, each.subnet_id) and wanted in (None, each.address):
                return each
        return None


@dataclass(frozen=True, slots=True)
class SeenPort:
    """A port as Neutron has shown it.

    :param at: when Neutron was asked, in seconds of a monotonic clock
    """

    port: NeutronPort
    at: float
