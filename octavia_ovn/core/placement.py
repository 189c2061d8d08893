# SPDX-License-Identifier: Apache-2.0
"""Placement of listeners and pools in Load_Balancer rows.

Protocol, selection fields and affinity are columns of the row, so pools that differ in one of them
cannot share it. A listener is in the row of its pool.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from octavia_ovn.core import model
from octavia_ovn.core.rows import Row

DEFAULT_AFFINITY_TIMEOUT = 360
MAX_AFFINITY_TIMEOUT = 65535
"""In seconds; the most that OVN knows."""


class HashScope(str, enum.Enum):
    """The part of a packet that OVN hashes to choose a member."""

    CONNECTION = "connection"
    CLIENT = "client"
    ANY = "any"


@dataclass(frozen=True, slots=True, order=True)
class Profile:
    """The columns that all pools of a row share; `affinity` in seconds, 0 for none."""

    scope: HashScope = HashScope.CONNECTION
    affinity: int = 0


@dataclass(frozen=True, slots=True)
class RowGroup:
    """The content of one row. Protocol and profile are None while nothing demands one."""

    protocol: model.Protocol | None = None
    profile: Profile | None = None
    listeners: tuple[model.Listener, ...] = ()
    pools: tuple[model.Pool, ...] = ()


def profile_of(pool: model.Pool) -> Profile:
    """Return the profile that a pool demands of its row."""
    affinity = 0
    if pool.persistence and pool.persistence.mechanism is model.Mechanism.AFFINITY:
        timeout = pool.persistence.timeout or DEFAULT_AFFINITY_TIMEOUT
        affinity = max(1, min(timeout, MAX_AFFINITY_TIMEOUT))
    if pool.hashes_client_ip:
        return Profile(HashScope.CLIENT, affinity)
    if pool.algorithm is model.Algorithm.ROUND_ROBIN:
        return Profile(HashScope.ANY, affinity)
    return Profile(HashScope.CONNECTION, affinity)


def row_groups(lb: model.LoadBalancer) -> tuple[RowGroup, ...]:
    """Distribute the listeners and pools of a load balancer over as few rows as possible.

    There is always at least one; the result does not depend on the order of the input.
    """
    keys = sorted({(pool.protocol, profile_of(pool)) for pool in lb.pools})
    taken = {protocol for protocol, _ in keys}
    bare = sorted({each.protocol for each in lb.listeners} - taken)
    every: list[tuple[model.Protocol | None, Profile | None]] = sorted(
        [*keys, *((protocol, Profile()) for protocol in bare)]
    )
    return tuple(_row_group(lb, key, _first(every, key)) for key in every) or (RowGroup(),)


Key = tuple["model.Protocol | None", "Profile | None"]


def _first(every: Sequence[Key], key: Key) -> bool:
    return next(each for each in every if each[0] == key[0]) == key


def _row_group(lb: model.LoadBalancer, key: Key, first: bool) -> RowGroup:
    pools = sorted(
        (pool for pool in lb.pools if (pool.protocol, profile_of(pool)) == key),
        key=lambda pool: pool.id,
    )
    ids = {pool.id for pool in pools}
    listeners = (
        each
        for each in lb.listeners
        if each.pool_id in ids
        or (first and each.protocol is key[0] and lb.pool(each.pool_id) is None)
    )
    return RowGroup(
        key[0], key[1], tuple(sorted(listeners, key=lambda each: each.id)), tuple(pools)
    )


def match(existing: Iterable[Row], wanted: Sequence[Wanted]) -> list[Row | None]:
    """Find the existing row that each wanted one continues, so that as little as possible moves.

    :returns: for each wanted row the existing one, or None when it must be made
    """
    free = {row.uuid: row for row in sorted(existing, key=lambda row: row.uuid)}
    found: list[Row | None] = [None] * len(wanted)
    for fits in (_continues, _same_protocol, _without_protocol):
        for index, want in enumerate(wanted):
            candidates = [row for row in free.values() if found[index] is None and fits(row, want)]
            if candidates:
                best = max(candidates, key=lambda row: len(want.keys & row.external_ids.keys()))
                found[index] = free.pop(best.uuid)
    return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """The identity of a desired row: its protocol and its listeners' and pools' keys."""

    protocol: str
    keys: frozenset[str]


def _continues(row: Row, want: Wanted) -> bool:
    return row.protocol == want.protocol and not want.keys.isdisjoint(row.external_ids)


def _same_protocol(row: Row, want: Wanted) -> bool:
    return row.protocol == want.protocol


def _without_protocol(row: Row, want: Wanted) -> bool:
    """Before its first listener and after its last a load balancer has no protocol."""
    return not (row.protocol and want.protocol)
