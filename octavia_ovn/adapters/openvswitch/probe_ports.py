# SPDX-License-Identifier: Apache-2.0
"""Ports of the integration bridge that probes come from: internal ports, one for each source.

Live traces have ports of the same kind with another mark: neither removes those of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from octavia_ovn.adapters.openvswitch.host import LocalSwitch
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.adapters.ovsdb.wire import ovs_map, ovs_set, ovs_uuid
from octavia_ovn.errors import Unavailable

_PROBE = "octavia-ovn-probe"
LIVE = "octavia-ovn-live"
"""Marks in external_ids of ports and interfaces that are ours."""
_INSTALLED = "ovn-installed"
"""What ovn-controller writes into external_ids of an interface whose flows are in place."""


class ProbePorts:
    """The ports of one Open vSwitch.

    :param switch: of this host
    :param folder: where its sockets are
    :param timeout: seconds that the local database may take
    :param mark: of the ports: others are not seen
    """

    def __init__(
        self, switch: LocalSwitch, folder: str, timeout: float, mark: str = _PROBE
    ) -> None:
        self._switch = switch
        self._mark = mark
        endpoint = Endpoint((f"unix:{folder}/db.sock",))
        self._session = OvsdbSession(endpoint, "Open_vSwitch", timeout)

    def ensure(self, device: str, port_id: str, mac: str) -> None:
        """Make a port, or correct it; the switch makes its device afterwards.

        :param device: its name
        :param port_id: of the switch port in OVN that it stands for
        :raises Unavailable: when it cannot be made
        """
        ids = {
            self._mark: "true",
            "iface-id": port_id,
            "iface-status": "active",
            "attached-mac": mac,
        }
        rows = self._session.select("Interface", [["name", "==", device]], ["external_ids"])
        if not rows:
            self._session.transact(list(self._insert(device, ids)))
            return
        found = rows[0]["external_ids"]
        if self._mark not in found:
            raise Unavailable(
                f"Interface {device} of Open vSwitch exists and is not marked as a probe port"
            )
        if not ids.items() <= found.items():
            self._session.transact(list(_replace(device, {**found, **ids})))

    def remove(self, device: str) -> None:
        """Remove a probe port, if it is there.

        :raises Unavailable: when the local database does not answer
        """
        where = [["name", "==", device], self._includes()]
        rows = self._session.select("Port", where, ["_uuid"])
        operations = [
            {
                "op": "mutate",
                "table": "Bridge",
                "where": [["ports", "includes", port]],
                "mutations": [["ports", "delete", ovs_set([port])]],
            }
            for port in (ovs_uuid(str(row["_uuid"])) for row in rows)
        ]
        if operations:
            self._session.transact(operations)

    def names(self) -> list[str]:
        """Return the names of all probe ports.

        :raises Unavailable: when the local database does not answer
        """
        rows = self._session.select("Port", [self._includes()], ["name"])
        return [row["name"] for row in rows]

    def port_ids(self) -> list[str]:
        """Return the ids of the switch ports that all probe ports stand for.

        :raises Unavailable: when the local database does not answer
        """
        rows = self._session.select("Interface", [self._includes()], ["external_ids"])
        return [row["external_ids"].get("iface-id", "") for row in rows]

    def is_installed(self, device: str) -> bool:
        """Whether the flows of a port are in place on this chassis.

        :raises Unavailable: when the local database does not answer
        """
        rows = self._session.select("Interface", [["name", "==", device]], ["external_ids"])
        return any(row["external_ids"].get(_INSTALLED) == "true" for row in rows)

    def error(self, device: str) -> str:
        """Return why the switch has not made a device; empty when it does not say.

        :raises Unavailable: when the local database does not answer
        """
        rows = self._session.select("Interface", [["name", "==", device]], ["error"])
        return "".join(rows[0]["error"]) if rows else ""

    def close(self) -> None:
        """Disconnect."""
        self._session.close()

    def _insert(self, device: str, ids: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield operations; the database lets no other port have the name."""
        bridge = self._switch.identity().bridge
        marks = ovs_map({self._mark: "true"})
        interface = {"name": device, "type": "internal", "external_ids": ovs_map(ids)}
        port = {"name": device, "interfaces": ["named-uuid", "made"], "external_ids": marks}
        yield {"op": "insert", "table": "Interface", "row": interface, "uuid-name": "made"}
        yield {"op": "insert", "table": "Port", "row": port, "uuid-name": "port"}
        yield {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", bridge]],
            "mutations": [["ports", "insert", ovs_set([["named-uuid", "port"]])]],
        }

    def _includes(self) -> list[Any]:
        return ["external_ids", "includes", ovs_map({self._mark: "true"})]


def _replace(device: str, ids: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    row = {"external_ids": ovs_map(ids), "type": "internal"}
    where = [["name", "==", device]]
    yield {"op": "update", "table": "Interface", "where": where, "row": row}
