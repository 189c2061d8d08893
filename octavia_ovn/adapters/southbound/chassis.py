# SPDX-License-Identifier: Apache-2.0
"""Chassis in the Southbound database: where some switch ports are, and which hypervisors live.

Of the ports only those of members that are probed are replicated, by name: see
:mod:`octavia_ovn.adapters.northbound.port_names` for what such conditions cost a server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from octavia_ovn.adapters.ovsdb.idl import DELETE, contents
from octavia_ovn.adapters.ovsdb.replica import Replica

PORTS, CHASSIS, PRIVATE = "Port_Binding", "Chassis", "Chassis_Private"
_PLACES = ("chassis", "additional_chassis")
"""Where a port is, and where it will be after a live migration: OVN has that since 22.06."""
TABLES = {
    PORTS: ("logical_port", *_PLACES),
    CHASSIS: ("name",),
    PRIVATE: ("name", "nb_cfg"),
}


class ChassisRows:
    """Follows them in a replica.

    :param located: called with a switch port and the names of its chassis: none, one, or during a
        live migration the old one and the new one
    """

    def __init__(self, located: Callable[..., object]) -> None:
        self._located = located
        self._replica: Replica | None = None
        self._ports: frozenset[str] = frozenset()
        self._reached: dict[str, int] = {}
        self._rows: dict[tuple[str, str], UUID] = {}
        """Table and name → the row that counts: the end of the one that it has replaced may be
        reported after its beginning."""

    def conditions(self) -> dict[str, list[Any]]:
        """Return which rows to replicate."""
        return {PORTS: [["logical_port", "==", name] for name in sorted(self._ports)]}

    def open(self, replica: Replica) -> None:
        """Follow a replica that has :data:`TABLES` under :meth:`conditions`."""
        self._replica = replica

    def follow(self, ports: frozenset[str]) -> None:
        """Say from now on where some ports are.

        Ports that are not among them any more are released with the next new one only.
        """
        if ports <= self._ports:
            return
        self._ports = ports
        if self._replica is not None:
            self._replica.restrict(PORTS, self.conditions()[PORTS])

    @property
    def located(self) -> bool:
        """Whether that is known for all of them."""
        replica = self._replica
        return replica is not None and replica.synced and replica.is_restricted(PORTS)

    def reached(self) -> Mapping[str, int]:
        """Return chassis → the `nb_cfg` that its ovn-controller has reached."""
        return self._reached

    def update(self, table: str, event: str, row: Any) -> None:
        """Process an event of a row."""
        if table == CHASSIS:
            return
        name = row.logical_port if table == PORTS else row.name
        if event != DELETE:
            self._rows[table, name] = row.uuid
        elif self._rows.get((table, name)) == row.uuid:
            del self._rows[table, name]
        else:
            return
        if table == PORTS:
            self._located(name, *(() if event == DELETE else self._chassis(row)))
        elif event == DELETE:
            self._reached.pop(name, None)
        else:
            self._reached[name] = row.nb_cfg

    def _chassis(self, row: Any) -> tuple[str, ...]:
        rows = [
            self._replica.get(CHASSIS, each) if self._replica else None
            for column in _PLACES
            if hasattr(row, column)
            for each in contents(row, column)
        ]
        return tuple(dict.fromkeys(str(each.name) for each in rows if each is not None))
