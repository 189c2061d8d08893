# SPDX-License-Identifier: Apache-2.0
"""Operations of the core in the form that the database server takes, with their conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from octavia_ovn.adapters.northbound.tables import TABLE
from octavia_ovn.adapters.ovsdb import wire
from octavia_ovn.core.rows import InsertRow, Operation, Row, SetColumn, SetKeys

_GUARDED = ("protocol", "external_ids")
SHARED = ("name", "protocol", "external_ids")
"""The columns that say what a load balancer serves."""

Json = dict[str, Any]


def guarded(existing: Sequence[Row], plan: Iterable[Operation]) -> list[Json]:
    """Return the operations, preceded by the condition that nothing has changed since."""
    waits = [_unchanged(row) for row in existing]
    if not existing:
        waits = [_absent(each.row.name) for each in plan if isinstance(each, InsertRow)][:1]
    return [*waits, *map(_json, plan)]


def _unchanged(row: Row) -> Json:
    return _wait([["_uuid", "==", wire.ovs_uuid(row.uuid)]], _GUARDED, [_guarded_values(row)])


def _guarded_values(row: Row) -> Json:
    return {"protocol": _protocol(row.protocol), "external_ids": wire.ovs_map(row.external_ids)}


def _absent(name: str) -> Json:
    return _wait([["name", "==", name]], ("name",), [])


def unchanged_where(where: Sequence[object], rows: Iterable[Row]) -> Json:
    """Return the condition that a selection still gives the same rows, in the columns SHARED."""
    found = [{"name": row.name, **_guarded_values(row)} for row in rows]
    return _wait(where, SHARED, found)


def _wait(where: Sequence[object], columns: Sequence[str], found: Sequence[object]) -> Json:
    return {
        "op": "wait",
        "timeout": 0,
        "table": TABLE,
        "where": where,
        "columns": list(columns),
        "until": "==",
        "rows": found,
    }


def _json(operation: Operation) -> Json:
    """Return one operation of the core in the server's form.

    :raises TypeError: for an operation that a request never needs
    """
    if isinstance(operation, InsertRow):
        values = {"name": operation.row.name, **_guarded_values(operation.row)}
        return {"op": "insert", "table": TABLE, "row": values}
    if isinstance(operation, SetKeys):
        return _mutate(operation.uuid, operation.column, operation.put, operation.remove)
    if isinstance(operation, SetColumn):
        where = [["_uuid", "==", wire.ovs_uuid(operation.uuid)]]
        values = {operation.column: wire.ovs_set(sorted(operation.values))}
        return {"op": "update", "table": TABLE, "where": where, "row": values}
    raise TypeError(operation)


def _mutate(uuid_: str, column: str, put: Mapping[str, str], remove: Iterable[str]) -> Json:
    # Inserting a key that is there changes nothing, so it must go first.
    mutations = [[column, "delete", wire.ovs_set(sorted({*remove, *put}))]]
    if put:
        mutations.append([column, "insert", wire.ovs_map(put)])
    where = [["_uuid", "==", wire.ovs_uuid(uuid_)]]
    return {"op": "mutate", "table": TABLE, "where": where, "mutations": mutations}


def _protocol(protocol: str) -> list[object]:
    return wire.ovs_set([protocol] if protocol else [])
