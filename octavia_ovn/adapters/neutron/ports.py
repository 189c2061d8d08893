"""Ports of Neutron, and how to tell whose they are.

Whatever the drivers make carries its load balancer's or subnet's id in name and device_id. What
does not carry them is a user's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from octavia_ovn.core.codec import neutron
from octavia_ovn.core.model import canonical_address


@dataclass(frozen=True, slots=True)
class FixedIp:
    """An address of a port, in its canonical spelling."""

    subnet_id: str
    address: str


@dataclass(frozen=True, slots=True)
class Port:
    """A port.

    :param of_service: whether it belongs to the project of the service's account, as far as that
        has been asked for
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
        """The id of the load balancer, if this is a VIP port of ours."""
        return neutron.vip_port_owner(self.name, self.device_id)

    @property
    def source_of(self) -> str | None:
        """The id of the subnet, if this is a health monitor port of ours."""
        return neutron.hm_subnet(self.name, self.device_id, self.device_owner)

    def is_vip_of(self, lb_id: str) -> bool:
        """Whether it is a VIP port that a driver, ours or the former, made for a load balancer."""
        return neutron.is_vip_port(self.name, self.device_id, self.device_owner, lb_id)

    @property
    def is_hm_port(self) -> bool:
        """Whether it is a health monitor port that a driver, ours or the former, made."""
        return neutron.is_hm_port(self.name, self.device_id, self.device_owner)

    def has(self, subnet_id: str | None, address: str | None) -> bool:
        """Whether one of the addresses fits; None fits any."""
        wanted = canonical_address(address) if address else None
        return any(
            subnet_id in (None, each.subnet_id) and wanted in (None, each.address)
            for each in self.fixed_ips
        )


def port_of(item: Mapping[str, Any]) -> Port:
    """Return a port as Neutron's API describes it."""
    return Port(
        id=item["id"],
        name=item["name"],
        network_id=item["network_id"],
        project_id=item.get("project_id") or "",
        device_id=item["device_id"],
        device_owner=item["device_owner"],
        fixed_ips=tuple(_fixed_ips(item["fixed_ips"])),
        mac=item["mac_address"],
        qos_policy_id=item.get("qos_policy_id"),
    )


def _fixed_ips(items: Iterable[Mapping[str, str]]) -> Iterable[FixedIp]:
    return (FixedIp(item["subnet_id"], canonical_address(item["ip_address"])) for item in items)
