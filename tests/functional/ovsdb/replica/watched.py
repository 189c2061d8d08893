# SPDX-License-Identifier: Apache-2.0
"""A replica that records its events, and the operations of tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import ovs.poller

from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.replica import Replica, fetch_schema
from octavia_ovn.adapters.ovsdb.transaction import Txn
from tests.functional.ovsdb.server import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES = {
    "Load_Balancer": ["name", "vips", "protocol", "external_ids", "health_check"],
    "Load_Balancer_Health_Check": ["vip", "options"],
    "Logical_Switch": ["name", "load_balancer", "external_ids"],
}


class Watched:
    """A replica with the events that it reported."""

    def __init__(self, where: Endpoint, **options: Any):
        self.events: list[tuple[str, str, str, dict[str, Any] | None]] = []
        schema = fetch_schema(where, DATABASE, 5)
        self.replica = Replica(where, DATABASE, schema, TABLES, on_change=self._note, **options)
        self.replica.index_create("Load_Balancer", "name")
        self.replica.index_create("Load_Balancer", "protocol")

    def _note(self, table: str, event: str, row: Any, old: Any) -> None:
        previous = None if old is None else dict(old._data)
        name = row.vip if table == "Load_Balancer_Health_Check" else row.name
        self.events.append((table, event, name, previous))

    def until(self, condition: Callable[[], object], timeout: float = 10) -> None:
        deadline = time.monotonic() + timeout
        self.replica.run()
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            poller = ovs.poller.Poller()
            self.replica.wait(poller)
            poller.timer_wait(50)
            poller.block()
            self.replica.run()

    def taken(self) -> list[tuple[str, str]]:
        """Return events and names since the last call."""
        found = [(event, name) for _, event, name, _ in self.events]
        self.events.clear()
        return found

    def names(self) -> set[str]:
        return {row.name for row in self.replica.rows("Load_Balancer")}


def update(name: str, /, **columns: object) -> dict[str, object]:
    where = [["name", "==", name]]
    return {"op": "update", "table": "Load_Balancer", "where": where, "row": columns}


def creating(name: str) -> Callable[[Txn], bool]:
    def plan(txn: Txn) -> bool:
        txn.insert("Load_Balancer", name=name)
        return True

    return plan


def incrementing(replica: Replica, name: str) -> Callable[[Txn], bool]:
    def plan(txn: Txn) -> bool:
        (row,) = replica.find("Load_Balancer", "name", name)
        row.verify("external_ids")
        count = int(row.external_ids.get("count", "0"))
        txn.setkey(row, "external_ids", "count", str(count + 1))
        return True

    return plan
