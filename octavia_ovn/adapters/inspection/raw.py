# SPDX-License-Identifier: Apache-2.0
"""Rows around one load balancer as the databases have them, with all columns, for support."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from octavia_ovn.adapters.northbound.tables import CHECKS, TABLE, vip_places
from octavia_ovn.adapters.ovsdb import wire
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.adapters.southbound.service_monitors import TABLE as MONITORS
from octavia_ovn.core import codec
from octavia_ovn.core.codec import keys, neutron
from octavia_ovn.core.desired import responder

Rows = dict[str, list[dict[str, Any]]]
"""Rows by table."""

_PLACES = ("Logical_Switch", "Logical_Router")
_ACCESS = ("Port_Group", "ACL", "Address_Set")
_NAMED = ("_uuid", "name", "external_ids", "options")
_NORTHD = "northd_internal_version"


class RawRows:
    """Reads rows. Every method may raise :class:`Unavailable` when no server answers.

    :param nb: a connection to the Northbound database
    :param sb: a connection to the Southbound database
    """

    def __init__(self, nb: OvsdbSession, sb: OvsdbSession) -> None:
        self._nb = nb
        self._sb = sb

    def northbound_version(self) -> dict[str, str]:
        """Return the versions of the Northbound schema and of the northd that serves it."""
        (row,) = self._nb.select("NB_Global", columns=["options"]) or [{"options": {}}]
        return {**_version(self._nb), "northd": row["options"].get(_NORTHD, "")}

    def southbound_version(self) -> dict[str, str]:
        """Return the version of the Southbound schema."""
        return _version(self._sb)

    def northbound(self, lb_id: str) -> Rows:
        """Return the rows of a load balancer in the Northbound database, and those around them.

        Of switches, routers and the rows of responders, which may be those of others too, only
        what identifies them.
        """
        rows = self._nb.select(TABLE, [("name", "==", lb_id)])
        uuids = [row["_uuid"] for row in rows]
        ids = [row["external_ids"] for row in rows]
        ports = {vip.port_id for each in ids for vip in codec.vips(each) if vip.port_id}
        networks = {switch for each in ids for switch, _ in vip_places(each)}
        answering = [responder.names(each) for each in networks]
        found = {
            TABLE: rows,
            CHECKS: self._by_uuid(CHECKS, (each for row in rows for each in row["health_check"])),
            **{table: self._referring(table, uuids) for table in _PLACES},
            **{table: self._marked(table, keys.ACCESS_LB, [lb_id]) for table in _ACCESS},
            "NAT": self._marked("NAT", neutron.FIP_PORT, ports),
            "Logical_Switch_Port": self._named("Logical_Switch_Port", ports),
            "Logical_Router_Port": self._named(
                "Logical_Router_Port", (each.router_port for each in answering), _NAMED
            ),
        }
        return {table: each for table, each in found.items() if each}

    def southbound(self, lb_id: str, northbound: Mapping[str, Sequence[Mapping[str, Any]]]) -> Rows:
        """Return the checks of members, and what northd has made of a load balancer.

        :param northbound: its rows in the Northbound database
        """
        mappings = [row.get("ip_port_mappings", {}) for row in northbound.get(TABLE, ())]
        ports = {value.partition(":")[0] for each in mappings for value in each.values()}
        checks = [
            self._sb.select(MONITORS, [("logical_port", "==", each)]) for each in _once(ports)
        ]
        return {
            TABLE: self._sb.select(TABLE, [("name", "==", lb_id)]),
            MONITORS: [row for rows in checks for row in rows],
        }

    def _by_uuid(self, table: str, uuids: Iterable[str]) -> list[dict[str, Any]]:
        conditions = ([("_uuid", "==", wire.ovs_uuid(each))] for each in _once(uuids))
        return [row for each in conditions for row in self._nb.select(table, each)]

    def _named(
        self, table: str, names: Iterable[str], columns: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        conditions = ([("name", "==", each)] for each in _once(names))
        known = self._known(table, columns)
        return [row for each in conditions for row in self._nb.select(table, each, known)]

    def _referring(self, table: str, uuids: Iterable[str]) -> list[dict[str, Any]]:
        """Return what identifies the rows that refer to a load balancer's."""
        known = self._known(table, _NAMED)
        conditions = ([("load_balancer", "includes", wire.ovs_uuid(each))] for each in uuids)
        rows = (row for each in conditions for row in self._nb.select(table, each, known))
        return list({row["_uuid"]: row for row in rows}.values())

    def _marked(self, table: str, key: str, values: Iterable[str]) -> list[dict[str, Any]]:
        """Return the rows with one of some values at a key of their external_ids."""
        conditions = (
            [("external_ids", "includes", wire.ovs_map({key: each}))] for each in _once(values)
        )
        return [row for each in conditions for row in self._nb.select(table, each)]

    def _known(self, table: str, columns: Sequence[str] | None) -> Sequence[str] | None:
        """Return those of some columns that this server has; None stands for all columns."""
        if columns is None:
            return None
        schema = self._nb.schema()
        return [each for each in columns if each[0] == "_" or schema.has_column(table, each)]


def _once(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def _version(session: OvsdbSession) -> dict[str, str]:
    return {"schema": str(session.schema().json.get("version", ""))}
