# SPDX-License-Identifier: Apache-2.0
"""What the Northbound database holds, to compare it before and after."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox import shell
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from sandbox.settings import Settings

# Neutron counts revisions in rows of its own; of those only what refers to load balancers counts.
_TABLES: dict[str, tuple[str, ...] | None] = {
    "ACL": None,
    "Address_Set": None,
    "Load_Balancer": None,
    "Load_Balancer_Group": None,
    "Load_Balancer_Health_Check": None,
    "Logical_Router": ("load_balancer", "load_balancer_group"),
    "Logical_Switch": ("load_balancer", "load_balancer_group", "acls"),
    "Port_Group": None,
}
_PENDING = "octavia:pending"
_VERDICTS = "neutron:member_status"
"""What the checks say; it changes by itself."""

Rows = dict[str, dict[str, Any]]
"""Table and UUID of each row -> its columns."""


def rows(settings: Settings) -> Rows:
    """Return all rows that a load balancer may touch, once no request is pending in them."""
    found: Rows = {}

    def settled() -> bool:
        found.clear()
        found.update(_read(settings))
        return _PENDING not in json.dumps(found)

    until(settled)
    return found


def differences(before: Rows, after: Rows) -> list[str]:
    """Say what differs, a line each; empty when nothing does."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, {}), after.get(name, {})
        lines += [
            f"{name} {column}: {old.get(column)} -> {new.get(column)}"
            for column in sorted(old.keys() | new.keys())
            if old.get(column) != new.get(column)
        ]
    return lines


def without_identity(found: Rows) -> Rows:
    """Return rows with what they say in the place of UUIDs, so that one made anew is the same."""
    text = json.dumps(sorted(found.items()))
    for name, row in found.items():
        table, uuid = name.split()
        says = [row.get(column) for column in ("name", "match", "vip", "protocol", "vips")]
        text = text.replace(uuid, json.dumps([table, *says])[1:-1].replace('"', "'"))
    return {name: _sorted(row) for name, row in json.loads(text)}


def _sorted(value: Any) -> Any:
    """Return a column's value with its sets in an order of their contents, no longer of UUIDs."""
    if isinstance(value, dict):
        return {name: _sorted(each) for name, each in value.items()}
    if not isinstance(value, list):
        return value
    inside = [_sorted(each) for each in value]
    return sorted(inside, key=json.dumps) if value and isinstance(value[0], list) else inside


def _read(settings: Settings) -> Rows:
    selects = [
        {"op": "select", "table": table, "where": []}
        | ({"columns": ["_uuid", *columns]} if columns else {})
        for table, columns in _TABLES.items()
    ]
    text = shell.run(
        ["ovsdb-client", "transact", settings.nb, json.dumps(["OVN_Northbound", *selects])]
    )
    found = {}
    for table, answer in zip(_TABLES, json.loads(text), strict=True):
        for row in answer["rows"]:
            uuid = row.pop("_uuid")[1]
            row.pop("_version", None)
            if ids := row.get("external_ids"):
                ids[1] = [pair for pair in ids[1] if pair[0] != _VERDICTS]
            found[f"{table} {uuid}"] = row
    return found
