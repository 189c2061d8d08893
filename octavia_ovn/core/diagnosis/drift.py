# SPDX-License-Identifier: Apache-2.0
"""Differences between Octavia and the rows, object by object, in words for operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from octavia_ovn.core import model
from octavia_ovn.core.diagnosis.snapshot import Snapshot
from octavia_ovn.core.pending import Kind

Key = tuple[Kind, str]

# The names are those of Octavia's API and command line.
_FIELDS: Mapping[Kind, tuple[tuple[str, str], ...]] = {
    Kind.LISTENER: (
        ("protocol", "protocol"),
        ("protocol_port", "port"),
        ("pool", "pool_id"),
        ("allowed_cidrs", "allowed_cidrs"),
        ("connection_limit", "connection_limit"),
    ),
    Kind.POOL: (
        ("protocol", "protocol"),
        ("lb_algorithm", "algorithm"),
        ("session_persistence", "persistence"),
    ),
    Kind.MEMBER: (
        ("address", "address"),
        ("protocol_port", "port"),
        ("weight", "weight"),
        ("backup", "backup"),
        ("monitor_address", "monitor_address"),
        ("monitor_port", "monitor_port"),
    ),
    Kind.HEALTH_MONITOR: (
        ("type", "type"),
        *((each, each) for each in (*model.MONITOR_NUMBERS, *model.HTTP_FORMS)),
    ),
}


def differences(snapshot: Snapshot) -> dict[Key, tuple[str, ...]]:
    """Return the differences of each object that has some.

    None while one side is not known, or while a request is pending: then they must differ.
    """
    if snapshot.octavia is None or snapshot.intent is None or snapshot.pending is not None:
        return {}
    theirs, ours = _flat(snapshot.octavia), _flat(snapshot.intent)
    found = {key: tuple(_between(theirs.get(key), ours.get(key))) for key in theirs | ours}
    return {key: sentences for key, sentences in found.items() if sentences}


def sentences(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the same as sentences that name the objects."""
    return tuple(
        f"{kind.singular} {snapshot.name_of(kind, object_id)}: {each}"
        for (kind, object_id), found in differences(snapshot).items()
        for each in found
    )


def _between(theirs: Mapping[str, Any] | None, ours: Mapping[str, Any] | None) -> Iterator[str]:
    if ours is None:
        yield "missing in the rows"
    elif theirs is None:
        yield "not in Octavia"
    else:
        for name, value in theirs.items():
            if value != ours[name]:
                yield f"{name} is {_word(value)} in Octavia, {_word(ours[name])} in the rows"


def _flat(lb: model.LoadBalancer) -> dict[Key, dict[str, Any]]:
    flat: dict[Key, dict[str, Any]] = {
        (Kind.LOAD_BALANCER, lb.id): {
            "admin_state_up": lb.enabled,
            "addresses": ", ".join(each.address for each in lb.vips),
        }
    }
    for listener in lb.listeners:
        flat[Kind.LISTENER, listener.id] = _values(Kind.LISTENER, listener)
    for pool in lb.pools:
        flat[Kind.POOL, pool.id] = _values(Kind.POOL, pool)
        if pool.monitor:
            flat[Kind.HEALTH_MONITOR, pool.monitor.id] = _values(Kind.HEALTH_MONITOR, pool.monitor)
    for _, member in lb.members():
        flat[Kind.MEMBER, member.id] = _values(Kind.MEMBER, member)
    return flat


def _values(kind: Kind, thing: Any) -> dict[str, Any]:
    values = {name: getattr(thing, attribute) for name, attribute in _FIELDS[kind]}
    if "protocol" in values:
        values["protocol"] = thing.application or thing.protocol
    return {"admin_state_up": thing.enabled, **values}


def _word(value: object) -> str:
    if isinstance(value, model.SessionPersistence):
        return "SOURCE_IP" + (f" ({value.timeout} s)" if value.timeout else "")
    if isinstance(value, tuple):
        return " ".join(value) or "empty"
    return value.name if isinstance(value, model.Protocol) else str(getattr(value, "value", value))
