"""Ports of Neutron, and how to tell whose they are.

Whatever the drivers make carries its load balancer's or subnet's id in name and device_id. What
does not carry them is a user's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from octavia_ovn.core.health import HM_PORT
from octavia_ovn.core.model import canonical_address

HM_OWNER = "ovn-lb-hm:distributed"
VIP = "ovn-lb-vip-"
ADDITIONAL = "ovn-lb-vip-additional-"
DEVICE = "lb-"
VIP_OWNERS = ("", "ovn-lb:vip")
"""Owners of VIP ports, ours and those of the former driver."""
HM_OWNERS = (HM_OWNER, "network:distributed")
"""Owners of health monitor ports, ours and those of the former driver."""


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
        return vip_owner(self)

    @property
    def source_of(self) -> str | None:
        """The id of the subnet, if this is a health monitor port of ours."""
        return hm_subnet(self)

    def is_vip_of(self, lb_id: str) -> bool:
        """Whether it is a VIP port that a driver, ours or the former, made for a load balancer.

        The former driver gave its ports names but at first no device.
        """
        return (
            re.fullmatch(_vip_names(lb_id), self.name) is not None
            and self.device_id in ("", f"{DEVICE}{lb_id}")
            and self.device_owner in VIP_OWNERS
        )

    def has(self, subnet_id: str | None, address: str | None) -> bool:
        """Whether one of the addresses fits; None fits any."""
        wanted = canonical_address(address) if address else None
        return any(
            subnet_id in (None, each.subnet_id) and wanted in (None, each.address)
            for each in self.fixed_ips
        )


def vip_owner(port: Port) -> str | None:
    """Return the id of the load balancer that a VIP port of ours belongs to; else None."""
    lb_id = port.device_id.removeprefix(DEVICE)
    ours = port.device_id.startswith(DEVICE) and re.fullmatch(_vip_names(lb_id), port.name)
    return lb_id if ours else None


def _vip_names(lb_id: str) -> str:
    """Return a pattern of the names that VIP ports of a load balancer may have."""
    return rf"{VIP}{re.escape(lb_id)}|{ADDITIONAL}\d+-{re.escape(lb_id)}"


def hm_subnet(port: Port) -> str | None:
    """Return the id of the subnet that a health monitor port of ours belongs to; else None."""
    ours = port.device_owner == HM_OWNER and port.device_id == port.name
    ours = ours and port.device_id.startswith(HM_PORT)
    return port.device_id.removeprefix(HM_PORT) if ours else None


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
