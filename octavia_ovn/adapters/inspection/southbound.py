# SPDX-License-Identifier: Apache-2.0
"""Rows of the Southbound database around one load balancer: ports' chassis, results of checks."""

from __future__ import annotations

import types
from collections.abc import Iterable

from octavia_ovn.adapters.ovsdb.selects import Selects
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.adapters.southbound.service_monitors import COLUMNS, TABLE, member_state
from octavia_ovn.core.health import Backend, HealthState


class SouthboundRows:
    """Reads rows. Every method may raise :class:`Unavailable` when no server answers.

    :param session: a connection
    """

    def __init__(self, session: OvsdbSession) -> None:
        self._select = Selects(session)

    def chassis(self, ports: Iterable[str]) -> dict[str, str]:
        """Return the hypervisors that have ports, by port; empty for none."""
        bindings = self._select.with_value(
            "Port_Binding", "logical_port", ports, ("logical_port", "chassis")
        )
        uuids = [each for row in bindings for each in row["chassis"]]
        found = self._select.with_uuid("Chassis", uuids, ("hostname", "name"))
        names = {row["_uuid"]: row["hostname"] or row["name"] for row in found}
        return {
            row["logical_port"]: next((names.get(each, "") for each in row["chassis"]), "")
            for row in bindings
        }

    def health_states(self, backends: Iterable[tuple[str, str]]) -> dict[Backend, HealthState]:
        """Return what checks say about members.

        :param backends: switch port and address of each
        """
        wanted = set(backends)
        names = {name for name, _ in wanted}
        rows = self._select.with_value(TABLE, "logical_port", names, COLUMNS)
        found = filter(None, (member_state(types.SimpleNamespace(**row)) for row in rows))
        return {
            (address, port, protocol): state
            for (name, address, port, protocol), state in found
            if (name, address) in wanted
        }

    def address_sets(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the contents of address sets, those that OVN makes of port groups included."""
        rows = self._select.with_value("Address_Set", "name", names, ("name", "addresses"))
        return {row["name"]: tuple(row["addresses"]) for row in rows}
