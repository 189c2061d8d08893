# SPDX-License-Identifier: Apache-2.0
"""Ports of the integration bridge that probes come from: internal ports, one for each source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from octavia_ovn.adapters.openvswitch.host import LocalSwitch
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.adapters.ovsdb.wire import ovs_map, ovs_set, ovs_uuid
from octavia_ovn.errors import Unavailable

_MARK = "octavia-ovn-probe"
"""In external_ids of ports and interfaces that are ours."""


class ProbePorts:
    """The ports of one Open vSwitch.

    :param switch: of this host
    :param folder: where its sockets are
    :param timeout: seconds that the local database may take
    """

    def __init__(self, switch: LocalSwitch, folder: str, timeout: float) -> None:
        self._switch = switch
        endpoint = Endpoint((f"unix:{folder}/db.sock",))
        self._session = OvsdbSession(endpoint, "Open_vSwitch", timeout)

    def ensure(self, device: str, port_id: str, mac: str) -> None:
        """Make a port, or correct it; the switch makes its device afterwards.

        :param device: its name
        :param port_id: of the switch port in OVN that it stands for
        :raises Unavailable: when it cannot be made
        """
        ids = {_MARK: "true", "iface-id": port_id, "iface-status": "active", "attached-mac": mac}
        rows = self._session.select("Interface", [["name", "==", device]], ["external_ids"])
        if not rows:
            self._session.transact(list(self._insert(device, ids)))
            return
        found = rows[0]["external_ids"]
        if _MARK not in found:
            raise Unavailable(
                f"Interface {device} of Open vSwitch exists and is not marked as a probe port"
            )
        if not ids.items() <= found.items():
            self._session.transact(list(_replace(device, {**found, **ids})))

    def remove(self, device: str) -> None:
        """Remove a probe port, if it is there.

        :raises Unavailable: when the local database does not answer
        """
        where = [["name", "==", device], _includes()]
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
        return [row["name"] for row in self._session.select("Port", [_includes()], ["name"])]

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
        marks = ovs_map({_MARK: "true"})
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


def _replace(device: str, ids: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    row = {"external_ids": ovs_map(ids), "type": "internal"}
    where = [["name", "==", device]]
    yield {"op": "update", "table": "Interface", "where": where, "row": row}


def _includes() -> list[Any]:
    return ["external_ids", "includes", ovs_map({_MARK: "true"})]
