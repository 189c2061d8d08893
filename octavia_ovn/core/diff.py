# SPDX-License-Identifier: Apache-2.0
"""`diff(existing, wanted)`: the fewest operations that turn existing rows into wanted ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from octavia_ovn.core import rows
from octavia_ovn.core.rows import Operation, Row

_MAPS = ("vips", "ip_port_mappings", "options", "external_ids")
_PARENTS = ((rows.SWITCH, "switches"), (rows.ROUTER, "routers"))


def diff(existing: Sequence[Row], wanted: Sequence[Row]) -> tuple[Operation, ...]:
    """Return the operations that turn existing rows into wanted ones, paired by uuid."""
    before = {row.uuid: row for row in existing}
    kept = {row.uuid for row in wanted if row.uuid}
    operations: list[Operation] = []
    for row in wanted:
        if row.uuid:
            operations.extend(_update(before[row.uuid], row))
        else:
            operations.append(rows.InsertRow(row))
    operations.extend(rows.DeleteRow(row) for row in existing if row.uuid not in kept)
    return tuple(operations)


def _update(old: Row, new: Row) -> Iterator[Operation]:
    protocol = frozenset({new.protocol} - {""})
    if old.protocol != new.protocol:
        yield rows.SetColumn(old.uuid, "protocol", protocol)
    if old.selection_fields != new.selection_fields:
        yield rows.SetColumn(old.uuid, "selection_fields", new.selection_fields)
    for column in _MAPS:
        put, remove = _map_difference(getattr(old, column), getattr(new, column))
        if put or remove:
            yield rows.SetKeys(old.uuid, column, put, remove)
    yield from _check_operations(old, new)
    for table, column in _PARENTS:
        have, want = getattr(old, column), getattr(new, column)
        yield from (rows.Attach(table, name, old.uuid) for name in sorted(want - have))
        yield from (rows.Detach(table, name, old.uuid) for name in sorted(have - want))


def _map_difference(
    old: Mapping[str, str], new: Mapping[str, str]
) -> tuple[dict[str, str], frozenset[str]]:
    put = {key: value for key, value in new.items() if old.get(key) != value}
    return put, frozenset(old.keys() - new.keys())


def _check_operations(old: Row, new: Row) -> Iterator[Operation]:
    before = {check.uuid: check for check in old.health_checks}
    kept = {check.uuid for check in new.health_checks if check.uuid}
    for check in new.health_checks:
        if not check.uuid:
            yield rows.AddHealthCheck(old.uuid, check)
        elif before[check.uuid] != check:
            yield rows.UpdateHealthCheck(check)
    yield from (
        rows.RemoveHealthCheck(old.uuid, check)
        for check in old.health_checks
        if check.uuid not in kept
    )
