# SPDX-License-Identifier: Apache-2.0
"""Attributes of listeners and pools that the existing format has no keys for.

For a pool it is the JSON of `octavia:attributes_<id>`, for a listener that of
`octavia:listener:<id>`, which is there only if it says something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from octavia_ovn.core import ip, model, slots

# RecursionError: JSON may be nested as deep as its writer likes.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading raises when a value is not what it should be."""


def listener_with_attributes(
    listener: model.Listener, attributes: Mapping[str, object]
) -> model.Listener:
    """Complete a listener by its JSON.

    :raises ValueError: and TypeError when it says nonsense
    """
    limit = attributes.get("connection_limit")
    return replace(
        listener,
        application=_application(attributes),
        allowed_cidrs=_networks(attributes.get("allowed_cidrs", [])),
        connection_limit=None if limit is None else _number(limit),
    )


def _networks(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        msg = f"{value!r} are not networks"
        raise TypeError(msg)
    return ip.canonical_networks(value)


def pool_with_attributes(pool: model.Pool, attributes: Mapping[str, object]) -> model.Pool:
    """Complete a pool by its JSON.

    :raises ValueError: and KeyError, TypeError, AttributeError when it says nonsense
    """
    persistence = _mapping(attributes.get("persistence"))
    monitor = _mapping(attributes.get("monitor"))
    odd = _mapping(attributes.get("members")) or {}
    places = attributes.get("slots")
    found = replace(
        pool,
        algorithm=model.Algorithm(attributes["algorithm"]),
        persistence=_persistence(persistence) if persistence else None,
        monitor=_monitor(monitor) if monitor else None,
        members=tuple(_member(member, _mapping(odd.get(member.id))) for member in pool.members),
        application=_application(attributes),
    )
    # Another driver may have changed the members alone: each must have a slot nevertheless.
    return slots.arrange(found, places if isinstance(places, list) else slots.places(pool))


def texts(value: Mapping[str, object]) -> dict[str, str]:
    """Return the pairs of a mapping whose values are strings."""
    return {key: each for key, each in value.items() if isinstance(each, str)}


def _mapping(value: object) -> dict[str, object] | None:
    return value if isinstance(value, dict) else None


def _application(attributes: Mapping[str, object]) -> model.Application | None:
    name = attributes.get("application")
    return None if name is None else model.Application(name)


def _number(value: object) -> int:
    if not isinstance(value, int):
        msg = f"{value!r} is not a number"
        raise TypeError(msg)
    return value


def _persistence(value: Mapping[str, object]) -> model.SessionPersistence:
    timeout = value.get("timeout")
    return model.SessionPersistence(
        mechanism=model.Mechanism(value["mechanism"]),
        timeout=None if timeout is None else _number(timeout),
    )


def _monitor(value: Mapping[str, object]) -> model.HealthMonitor:
    fields: dict[str, Any] = {name: _number(value[name]) for name in model.MONITOR_NUMBERS}
    fields |= {name: str(value[name]) for name in model.HTTP_FORMS if name in value}
    return model.HealthMonitor(
        id=str(value["id"]),
        type=model.MonitorType(value["type"]),
        enabled=value.get("enabled") is not False,
        **fields,
    )


def _member(member: model.Member, odd: Mapping[str, object] | None) -> model.Member:
    if not odd:
        return member
    address, port = odd.get("monitor_address"), odd.get("monitor_port")
    return replace(
        member,
        weight=_number(odd.get("weight", 1)),
        backup=odd.get("backup") is True,
        enabled=odd.get("enabled") is not False,
        monitor_address=None if address is None else str(address),
        monitor_port=None if port is None else _number(port),
    )
