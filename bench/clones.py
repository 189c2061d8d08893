# SPDX-License-Identifier: Apache-2.0
"""More of what a driver has made: a cloud with thousands of load balancers, without the hours.

The rows of a project with some load balancers, as the driver itself has written them, are written
again and again with other ids and addresses.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from tests.lab.ovsdb import OvsdbClient

# Root tables are followed as far as references lead, not into what all projects share.
_FOLLOWED = {
    "Logical_Switch": ("ports", "load_balancer"),
    "Logical_Router": ("ports", "load_balancer", "nat"),
    "Load_Balancer": ("health_check",),
}
_TARGETS = {
    "ports": {"Logical_Switch": "Logical_Switch_Port", "Logical_Router": "Logical_Router_Port"},
    "load_balancer": "Load_Balancer",
    "nat": "NAT",
    "health_check": "Load_Balancer_Health_Check",
}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

Row = dict[str, Any]
Tables = dict[str, list[Row]]


class Project:
    """A project's rows, to be cloned.

    :param switch: name of its Logical_Switch
    :param router: name of its Logical_Router
    :param octet: the second of its addresses in 10.0.0.0/8
    :param tables: what Octavia has of it
    """

    def __init__(
        self, client: OvsdbClient, switch: str, router: str, octet: int, tables: Tables
    ) -> None:
        self._client = client
        self._rows = dict(_collect(client, switch, router))
        self._octet = octet
        self._tables = {table: list(rows) for table, rows in tables.items()}
        self._ids = sorted(set(_UUID.findall(json.dumps([self._rows, tables]))))

    def multiply(self, times: int) -> Iterator[Tables]:
        """Clone it that many times; yield what Octavia has of each clone."""
        for number in range(times):
            fresh = sorted(str(uuid.uuid4()) for _ in self._ids)
            # In the same order: what is sorted by ids stays so.
            ids = dict(zip(self._ids, fresh, strict=True))
            old, new = (f"10.{octet}." for octet in (self._octet, (self._octet + 1 + number) % 250))

            def renamed(
                value: Any, ids: dict[str, str] = ids, old: str = old, new: str = new
            ) -> Any:
                text = _UUID.sub(lambda found: ids[found[0]], json.dumps(value))
                return json.loads(text.replace(old, new))

            self._client.transact(*_operations(self._rows, renamed))
            yield renamed(self._tables)


def _collect(
    client: OvsdbClient, switch: str, router: str
) -> Iterator[tuple[str, tuple[str, Row]]]:
    """Yield row ids with table and row in wire form."""
    waiting = [
        ("Logical_Switch", ["name", "==", switch]),
        ("Logical_Router", ["name", "==", router]),
    ]
    seen = set()
    while waiting:
        table, condition = waiting.pop()
        operation = {"op": "select", "table": table, "where": [condition]}
        for row in client.transact(operation, comment=None)[0]["rows"]:
            identity = row["_uuid"][1]
            if identity in seen:
                continue
            seen.add(identity)
            yield identity, (table, row)
            for column in _FOLLOWED.get(table, ()):
                target = _TARGETS[column]
                target = target[table] if isinstance(target, dict) else target
                waiting += [(target, ["_uuid", "==", ref]) for ref in _references(row[column])]


def _references(value: Any) -> list[Any]:
    return value[1] if value[0] == "set" else [value]


def _operations(rows: dict[str, tuple[str, Row]], renamed: Callable[[Row], Row]) -> list[Row]:
    operations = []
    for identity, (table, row) in rows.items():
        values = {
            column: _relink(value, rows)
            for column, value in row.items()
            if column not in ("_uuid", "_version")
        }
        operations.append(
            {"op": "insert", "table": table, "uuid-name": _name(identity), "row": renamed(values)}
        )
    return operations


def _relink(value: Any, rows: dict[str, tuple[str, Row]]) -> Any:
    """Return a value whose references lead to the clones; others are left out."""
    if not isinstance(value, list):
        return value
    if value[0] == "uuid":
        return ["named-uuid", _name(value[1])] if value[1] in rows else ["set", []]
    if value[0] == "set":
        links = [_relink(item, rows) for item in value[1]]
        return ["set", [link for link in links if link != ["set", []]]]
    return value


def _name(identity: str) -> str:
    return f"r{identity.replace('-', '_')}"
