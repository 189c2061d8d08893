# SPDX-License-Identifier: Apache-2.0
"""The places of members in `vips`, and what fills them.

OVN hashes a packet to a place in the list. When the client's address alone decides, a member that
leaves must not move the others, or all clients change their member (measured: removing the second
of four moved 43 of 100 clients, overwriting its place with a copy of another moved none but its
own). So its place stays and is filled with a copy; the next new member takes it.
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from octavia_ovn.core import model

MAX_ENTRIES = 256
"""Entries of one vip that weights may produce. A pool of more members has one entry for each;
`[ovn] max_members` limits them. Groups of more than about 800 entries (IPv6: 600) serve, but
`ovs-ofctl dump-groups` cannot show them and crashed ovs-vswitchd in our tests."""


def places(pool: model.Pool) -> tuple[str, ...]:
    """Return the member id in each place, an empty string where it is vacant."""
    return pool.slots or tuple(member.id for member in pool.members)


def arrange(pool: model.Pool, before: Sequence[str] = ()) -> model.Pool:
    """Return a pool whose `slots` fit its members.

    :param before: the places until now
    """
    if not pool.hashes_client_ip:
        return replace(pool, slots=())
    ids = [member.id for member in pool.members]
    now = _keep(before, set(ids))
    vacant = [place for place, member_id in enumerate(now) if not member_id]
    taken = set(now)
    for member_id in ids:
        if member_id in taken:
            continue
        if vacant:
            now[vacant.pop(0)] = member_id
        else:
            now.append(member_id)
    # Without the last place, OVN hashes to the other places as before.
    while now and not now[-1]:
        now.pop()
    return replace(pool, slots=() if now == ids else tuple(now))


def _keep(before: Iterable[str], ids: set[str]) -> list[str]:
    """Return the places with those of members that are gone vacant."""
    return [each if each in ids else "" for each in before]


def entries(
    pool: model.Pool,
    eligible: Iterable[model.Member],
    weight: Callable[[model.Member], int] = lambda member: member.weight,
) -> tuple[model.Member, ...]:
    """Return the members to write into a vip, in order, each as often as its weight says.

    :param weight: returns the weight of a member, above 0
    """
    members = {member.id: member for member in eligible}
    if not members:
        return ()
    if not pool.hashes_client_ip:
        chosen = [members[each] for each in places(pool) if each in members]
    else:
        chosen = [
            members.get(each) or _stand_in(index, members)
            for index, each in enumerate(places(pool))
        ]
    shares = _shares([weight(member) for member in chosen])
    return tuple(member for member, share in zip(chosen, shares, strict=True) for _ in range(share))


def _stand_in(place: int, members: dict[str, model.Member]) -> model.Member:
    """Choose who fills a vacant place, without moving other places when members come and go."""
    return max(
        members.values(), key=lambda each: (zlib.crc32(f"{place}/{each.id}".encode()), each.id)
    )


def _shares(weights: Sequence[int]) -> list[int]:
    """Reduce weights to the fewest entries that keep their ratio, capped at MAX_ENTRIES in all."""
    divisor = functools.reduce(math.gcd, weights)
    reduced = [weight // divisor for weight in weights]
    total = sum(reduced)
    if total <= max(MAX_ENTRIES, len(reduced)):
        return reduced
    room = MAX_ENTRIES - len(reduced)
    if room <= 0:
        return [1] * len(reduced)
    # Each member gets one entry; the rest is divided by weight, rounded down.
    return [1 + (weight - 1) * room // total for weight in reduced]
