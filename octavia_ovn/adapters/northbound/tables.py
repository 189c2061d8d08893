# SPDX-License-Identifier: Apache-2.0
"""The tables of load balancers in the Northbound database, and rows as a `select` gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from octavia_ovn.core import codec
from octavia_ovn.core.rows import HealthCheck, Row
from octavia_ovn.core.topology import switch_name

TABLE, CHECKS = "Load_Balancer", "Load_Balancer_Health_Check"
COLUMNS = (
    "name",
    "protocol",
    "external_ids",
    "vips",
    "selection_fields",
    "options",
    "ip_port_mappings",
    "health_check",
)
CHECK_COLUMNS = ("vip", "options", "external_ids")

Place = tuple[str, str]
"""Switch and address."""


def row(
    values: Mapping[str, Any],
    checks: Iterable[HealthCheck] = (),
    *,
    switches: Iterable[str] = (),
    routers: Iterable[str] = (),
) -> Row:
    """Return a row of :data:`TABLE`.

    :param values: `_uuid` and :data:`COLUMNS`; columns that were not selected count as empty
    :param checks: those that its column `health_check` refers to
    :param switches: names of the switches that refer to it
    :param routers: names of the routers that refer to it
    """
    return Row(
        name=values["name"],
        protocol=next(iter(values["protocol"]), ""),
        external_ids=values["external_ids"],
        vips=values.get("vips", {}),
        selection_fields=frozenset(values["selection_fields"]),
        options=values["options"],
        ip_port_mappings=values.get("ip_port_mappings", {}),
        health_checks=tuple(checks),
        switches=frozenset(switches),
        routers=frozenset(routers),
        uuid=values["_uuid"],
    )


def check(values: Mapping[str, Any]) -> HealthCheck:
    """Return a row of :data:`CHECKS`."""
    return HealthCheck(values["vip"], values["options"], values["external_ids"], values["_uuid"])


def vip_places(external_ids: Mapping[str, str]) -> tuple[Place, ...]:
    """Return where the VIPs of a row are, as far as it says so."""
    return tuple(
        (switch_name(vip.network_id), vip.address)
        for vip in codec.vips(external_ids)
        if vip.network_id
    )
