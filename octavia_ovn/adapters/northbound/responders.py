# SPDX-License-Identifier: Apache-2.0
"""The rows of responders; :mod:`octavia_ovn.core.desired.responder` describes their purpose."""

from __future__ import annotations

import collections
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from octavia_ovn.adapters.ovsdb.idl import contents
from octavia_ovn.adapters.ovsdb.replica import Replica
from octavia_ovn.adapters.ovsdb.transaction import Txn
from octavia_ovn.core import rows
from octavia_ovn.core.desired import responder

_ROUTER_PORT, _SWITCH_PORT = "Logical_Router_Port", "Logical_Switch_Port"
WRITTEN = {
    rows.SWITCH: ("ports",),
    rows.ROUTER: ("ports", "options", "external_ids"),
    _ROUTER_PORT: ("mac",),
    _SWITCH_PORT: ("options",),
}
"""Columns that are only written: a replica of them would grow with the cloud."""
CONDITION = ["external_ids", "includes", ["map", [list(responder.MARK)]]]
"""Selects the switch ports of responders."""
_ADDRESSES = ["router"]  # those of the peer router port

Answers = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _RouterPort:
    uuid: str
    owners: Answers
    right: bool
    """Whether it has the addresses of its owners, and no others."""


class Responders:
    """The VIPs for which responders answer ARP, maintained from the database's events.

    :param changed: called with the id of a load balancer for which it has changed
    """

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._switches: dict[str, str] = {}
        self._router_ports: dict[str, _RouterPort] = {}
        self._switch_ports: dict[str, tuple[str, bool]] = {}
        """Switch → the port on it, and whether it has the right addresses."""
        self._by_owner: dict[str, dict[str, frozenset[str]]] = collections.defaultdict(dict)

    def update(self, table: str, uuid_: str, row: Any | None) -> None:
        """Process an event: the row as it is now, or None when it was deleted."""
        if table not in (_ROUTER_PORT, _SWITCH_PORT):
            return
        if row is not None and responder.is_responder(contents(row, "external_ids")):
            self._switches[uuid_] = responder.switch_of(row.name)
        switch = self._switches.get(uuid_)
        if switch is None:
            return
        before = self._answers(switch)
        if table == _ROUTER_PORT:
            self._router_port(switch, uuid_, row)
        else:
            self._switch_port(switch, uuid_, row)
        if row is None:
            del self._switches[uuid_]
        self._notify(switch, before, self._answers(switch))

    # A row that is replaced may appear before its predecessor disappears.

    def _router_port(self, switch: str, uuid_: str, row: Any | None) -> None:
        if row is not None:
            owners = responder.owners(contents(row, "external_ids"))
            right = frozenset(contents(row, "networks")) == _networks(owners)
            self._router_ports[switch] = _RouterPort(uuid_, owners, right)
        elif switch in self._router_ports and self._router_ports[switch].uuid == uuid_:
            del self._router_ports[switch]

    def _switch_port(self, switch: str, uuid_: str, row: Any | None) -> None:
        if row is not None:
            right = contents(row, "addresses") == _ADDRESSES
            self._switch_ports[switch] = (uuid_, right)
        elif switch in self._switch_ports and self._switch_ports[switch][0] == uuid_:
            del self._switch_ports[switch]

    def _answers(self, switch: str) -> Answers:
        """Return load balancer → addresses that are answered for; none where a row is wrong."""
        port = self._router_ports.get(switch)
        if port is None:
            return {}
        _, right = self._switch_ports.get(switch, ("", False))
        if port.right and right:
            return port.owners
        return dict.fromkeys(port.owners, frozenset())

    def _notify(self, switch: str, before: Answers, after: Answers) -> None:
        for lb_id in before.keys() | after.keys():
            if before.get(lb_id) == after.get(lb_id):
                continue
            if lb_id in after:
                self._by_owner[lb_id][switch] = after[lb_id]
            else:
                del self._by_owner[lb_id][switch]
            if not self._by_owner[lb_id]:
                del self._by_owner[lb_id]
            self._changed(lb_id)

    def of(self, lb_id: str) -> Answers:
        """Return switch → addresses of a load balancer that its responder answers for.

        The set is empty for a responder whose rows are wrong.
        """
        return dict(self._by_owner.get(lb_id, {}))

    def owners(self) -> Iterable[str]:
        """Return the ids of the load balancers that responders answer for."""
        return self._by_owner.keys()

    def router_port(self, switch: str) -> uuid.UUID | None:
        """Return the router port of a switch's responder."""
        found = self._router_ports.get(switch)
        return None if found is None else uuid.UUID(found.uuid)


class ResponderWriter:
    """Collects the VIPs for which responders must answer, and writes each responder once."""

    def __init__(self, responders: Responders, replica: Replica, txn: Txn) -> None:
        self._responders = responders
        self._replica = replica
        self._txn = txn
        self._wanted: dict[str, dict[str, frozenset[str]]] = collections.defaultdict(dict)

    def add(self, operation: rows.Answer) -> None:
        """Collect an operation."""
        self._wanted[operation.switch][operation.lb_id] = operation.addresses

    def write(self) -> None:
        """Write the collected operations."""
        for switch, wanted in sorted(self._wanted.items()):
            port = self._router_port(switch)
            before = responder.owners(contents(port, "external_ids")) if port else {}
            after = {lb_id: each for lb_id, each in (before | wanted).items() if each}
            switches = self._replica.find(rows.SWITCH, "name", switch)
            if after and switches:
                self._write_router(switch, port, after)
                self._write_switch_port(switch, switches[0])
            else:
                # A switch that was deleted took its port with it.
                self._delete(switch, switches)

    def _router_port(self, switch: str) -> Any | None:
        """Return the router port, verified: if it changes meanwhile, all is planned again."""
        found = self._responders.router_port(switch)
        port = self._replica.get(_ROUTER_PORT, found) if found else None
        if port is not None:
            port.verify("external_ids")
        return port

    def _write_router(self, switch: str, port: Any | None, owners: Answers) -> None:
        columns = {
            "networks": sorted(_networks(owners)),
            "external_ids": responder.external_ids(owners),
            "mac": responder.mac(switch),
        }
        if port is not None:
            for column, value in columns.items():
                self._txn.set(port, column, value)
            return
        names = responder.names(switch)
        self._delete_router(switch)
        router = self._txn.insert(
            rows.ROUTER,
            name=names.router,
            options=responder.ROUTER_OPTIONS,
            external_ids=responder.external_ids({}),
        )
        made = self._txn.insert(_ROUTER_PORT, name=names.router_port, **columns)
        self._txn.addvalue(router, "ports", made)

    def _write_switch_port(self, switch: str, parent: Any) -> None:
        names = responder.names(switch)
        columns = {
            "type": "router",
            "addresses": _ADDRESSES,
            "options": {"router-port": names.router_port},
            "external_ids": responder.external_ids({}),
        }
        found = self._replica.find(_SWITCH_PORT, "name", names.switch_port)
        for row in found:
            for column, value in columns.items():
                self._txn.set(row, column, value)
        if not found:
            made = self._txn.insert(_SWITCH_PORT, name=names.switch_port, **columns)
            self._txn.addvalue(parent, "ports", made)

    def _delete(self, switch: str, parents: Iterable[Any]) -> None:
        self._delete_router(switch)
        for parent in parents:
            name = responder.names(switch).switch_port
            for row in self._replica.find(_SWITCH_PORT, "name", name):
                self._txn.delvalue(parent, "ports", row)

    def _delete_router(self, switch: str) -> None:
        for row in self._replica.find(rows.ROUTER, "name", responder.names(switch).router):
            self._txn.delete(row)


def _networks(owners: Answers) -> frozenset[str]:
    return responder.networks(each for addresses in owners.values() for each in addresses)
