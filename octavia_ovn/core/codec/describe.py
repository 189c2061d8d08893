# SPDX-License-Identifier: Apache-2.0
"""Differences between rows and Octavia, in words for operators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.rows import InsertRow, Operation, Row, SetColumn, SetKeys
from octavia_ovn.core.text import plain

_AT_MOST = 4
_OBJECTS = (
    (k.LISTENER, "listener"),
    (k.LISTENER_ATTRIBUTES, "listener"),
    (k.POOL_ATTRIBUTES, "pool"),
    (k.POOL_MARK, "pool"),
    (k.POOL, "pool"),
)
_SINGLE = {k.VIP: "VIP", k.FLAVOR: "flavor"}


def describe(operations: Iterable[Operation], rows: Sequence[Row]) -> str:
    """Return the differences between rows and the result of operations, as words."""
    found: dict[str, set[str]] = {}
    existing = {row.uuid: row for row in rows}
    for operation in operations:
        for name, state in _differences(operation, existing):
            found.setdefault(name, set()).add(state)
    sentences = [_sentence(name, states) for name, states in sorted(found.items())]
    more = len(sentences) - _AT_MOST
    return "; ".join(sentences[:_AT_MOST]) + (f"; and {more} more" if more > 0 else "")


def _differences(operation: Operation, existing: dict[str, Row]) -> Iterator[tuple[str, str]]:
    if isinstance(operation, InsertRow):
        yield from (
            (_name(key), "missing") for key in operation.row.external_ids if _is_object(key)
        )
        yield f"row for {operation.row.protocol or 'no protocol'}", "missing"
    elif isinstance(operation, SetColumn):
        yield operation.column, "different"
    elif isinstance(operation, SetKeys):
        keys = existing[operation.uuid].external_ids
        known = set(map(_name, keys))
        for key in operation.put:
            yield _name(key), "different" if _name(key) in known else "missing"
        left = set(map(_name, keys.keys() - operation.remove))
        for key in operation.remove:
            yield _name(key), "different" if _name(key) in left else "not in Octavia"


def _sentence(name: str, states: set[str]) -> str:
    """Name one state; an object with several, on both sides, is different."""
    return f"{name} {states.pop() if len(states) == 1 else 'different'}"


def _is_object(key: str) -> bool:
    return key.startswith((k.LISTENER, k.POOL))


def _name(key: str) -> str:
    for prefix, kind in _OBJECTS:
        if key.startswith(prefix):
            return f"{kind} {plain(key[len(prefix) :].removesuffix(k.DISABLED))}"
    return _SINGLE.get(key, plain(key))
