# SPDX-License-Identifier: Apache-2.0
"""Which members of a pool serve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from octavia_ovn.core import ip, model, slots
from octavia_ovn.core.health import Health, HealthState


def eligible(
    flavor: model.Flavor, pool: model.Pool, family: int, health: Health
) -> tuple[model.Member, ...]:
    """Return the entries that serve a VIP of one IP version.

    Backup members serve when no other member may. A member that is DOWN stays in the list beside
    them: OVN skips it, and would stop checking it otherwise. An unreachable member is left out: OVN
    would send it connections until a check fails, and no check runs.
    Of a pool that chassis check, only those that serve are in the list. When all of them fail,
    a flavor may have them serve, backup members if there are no others.
    """
    members = [
        each
        for each in pool.members
        if each.enabled
        and health.weight(each)
        and ip.family(each.address) == family
        and health.of(pool, each) is not HealthState.UNREACHABLE
    ]
    failing = members
    if pool.id in health.probed:
        members = _serving(pool, members, health)
    first = [each for each in members if not each.backup]
    if any(health.may_serve(pool, each) for each in first):
        members = first
    elif pool.id in health.probed and not members and flavor.fail_open:
        members = [each for each in failing if not each.backup] or failing
    return slots.entries(pool, _distinct(members), health.weight)


def _serving(
    pool: model.Pool, members: Sequence[model.Member], health: Health
) -> list[model.Member]:
    """Return the members that serve; those that are not checked yet only while none is UP."""
    states = [health.of(pool, each) for each in members]
    out = {HealthState.DOWN}
    if HealthState.UP in states:
        out.add(HealthState.UNKNOWN)
    return [each for each, state in zip(members, states, strict=True) if state not in out]


def _distinct(members: Sequence[model.Member]) -> Iterable[model.Member]:
    """Return the members without those that have the address and port of an earlier one.

    Octavia compares spellings, so a pool may have an IPv6 address twice.
    """
    return {(each.address, each.port): each for each in reversed(members)}.values()
