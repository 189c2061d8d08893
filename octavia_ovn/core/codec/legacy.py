# SPDX-License-Identifier: Apache-2.0
"""Pools as ovn-octavia-provider writes them: missing fields are read from the row's columns.

Taking such a row over must not change what it does, so the answer is what the row does now, which
is not always what Octavia was asked for; the comparison with Octavia puts that right.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

from octavia_ovn.core import model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.codec.write import endpoint
from octavia_ovn.core.rows import HealthCheck, Row

_CONNECTION_FIELDS = {"tp_src", "tp_dst"}


def complete(pool: model.Pool, row: Row, statuses: Mapping[str, str]) -> model.Pool:
    """Return a pool with the algorithm, persistence, monitor and member states of its row."""
    return replace(
        pool,
        algorithm=_algorithm(row),
        persistence=_persistence(row),
        monitor=_monitor(pool, row),
        members=tuple(_member(member, row, statuses) for member in pool.members),
    )


def _algorithm(row: Row) -> model.Algorithm:
    if not row.selection_fields:
        return model.Algorithm.ROUND_ROBIN
    if row.selection_fields & _CONNECTION_FIELDS:
        return model.Algorithm.SOURCE_IP_PORT
    return model.Algorithm.SOURCE_IP


def _persistence(row: Row) -> model.SessionPersistence | None:
    timeout = row.options.get("affinity_timeout", "")
    if not timeout.isdecimal():
        return None
    return model.SessionPersistence(model.Mechanism.AFFINITY, int(timeout))


def _member(member: model.Member, row: Row, statuses: Mapping[str, str]) -> model.Member:
    """A stored OFFLINE means disabled only if the member is out of `vips`.

    The existing driver also stores it when a check disappears.
    """
    if statuses.get(member.id) != "OFFLINE":
        return member
    backend = endpoint(member.address, member.port)
    served = any(backend in backends.split(",") for backends in row.vips.values())
    return member if served else replace(member, enabled=False)


def _monitor(pool: model.Pool, row: Row) -> model.HealthMonitor | None:
    for check in row.health_checks:
        if check.external_ids.get(k.CHECK_POOL) == pool.id:
            return _from_check(pool, check)
    return None


def _from_check(pool: model.Pool, check: HealthCheck) -> model.HealthMonitor:
    number = functools.partial(_number, check)
    udp = pool.protocol is model.Protocol.UDP
    return model.HealthMonitor(
        id=check.external_ids[k.CHECK_MONITOR],
        type=model.MonitorType.UDP_CONNECT if udp else model.MonitorType.TCP,
        delay=number("interval"),
        timeout=number("timeout"),
        max_retries=number("success_count"),
        max_retries_down=number("failure_count"),
    )


def _number(check: HealthCheck, option: str) -> int:
    text = check.options.get(option, "")
    return int(text) if text.isdecimal() else 3
