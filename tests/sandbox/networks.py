# SPDX-License-Identifier: Apache-2.0
"""Networks in which packet tests play."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.api import Cloud, Json


def connect(cloud: Cloud, router: str, subnet: str) -> None:
    """Add a router interface."""
    cloud.put("network", f"/v2.0/routers/{router}/add_router_interface", {"subnet_id": subnet})


def disconnect(cloud: Cloud, router: str, subnet: str) -> None:
    """Remove a router interface."""
    cloud.put("network", f"/v2.0/routers/{router}/remove_router_interface", {"subnet_id": subnet})


def subnets(cloud: Cloud, network: str, *cidrs: str) -> tuple[str, ...]:
    """Make subnets; of IPv4 Neutron gives addresses up to 199 only: tests choose among the rest."""
    return tuple(
        cloud.create(
            "subnet",
            network_id=network,
            cidr=cidr,
            name=f"subnet {cidr}",
            **({"ip_version": 6} if ":" in cidr else {"ip_version": 4, **_pool(cidr)}),
        )["id"]
        for cidr in cidrs
    )


def _pool(cidr: str) -> Json:
    hosts = ipaddress.ip_network(cidr)
    return {"allocation_pools": [{"start": str(hosts[2]), "end": str(hosts[199])}]}


def allow_everything(cloud: Cloud) -> None:
    """Let the default group of the project admit all packets."""
    groups = cloud.neutron("security-groups", name="default", project_id=cloud.project_id)
    for family in ("IPv4", "IPv6"):
        cloud.create(
            "security_group_rule",
            security_group_id=groups[0]["id"],
            direction="ingress",
            ethertype=family,
        )
