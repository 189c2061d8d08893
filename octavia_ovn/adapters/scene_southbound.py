"""Rows of the Southbound database around one load balancer: where ports are, who is alive."""

from __future__ import annotations

from collections.abc import Iterable

from octavia_ovn.adapters.ovsdb_session import OvsdbSession
from octavia_ovn.adapters.selects import Selects
from octavia_ovn.core.health import Backend, Verdict
from octavia_ovn.core.model import canonical_address

_VERDICTS = {"online": Verdict.UP, "offline": Verdict.DOWN, "error": Verdict.DOWN}


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

    def verdicts(self, backends: Iterable[tuple[str, str]]) -> dict[Backend, Verdict]:
        """Return what checks say about members.

        :param backends: switch port and address of each
        """
        wanted = set(backends)
        columns = ("ip", "port", "protocol", "logical_port", "status")
        ports = {port for port, _ in wanted}
        rows = self._select.with_value("Service_Monitor", "logical_port", ports, columns)
        return {
            (address, row["port"], next(iter(row["protocol"]), "tcp")): _VERDICTS.get(
                next(iter(row["status"]), ""), Verdict.UNKNOWN
            )
            for row in rows
            if (row["logical_port"], address := canonical_address(row["ip"])) in wanted
        }

    def address_sets(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the contents of address sets, those that OVN makes of port groups included."""
        rows = self._select.with_value("Address_Set", "name", names, ("name", "addresses"))
        return {row["name"]: tuple(row["addresses"]) for row in rows}
