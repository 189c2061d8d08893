# SPDX-License-Identifier: Apache-2.0
"""A registry, what it wants and what chassis say, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing.messages import Result, Results
from octavia_ovn.core.probing.plan import Probes, Target
from octavia_ovn.core.probing.registry import Registry
from tests.core.probing.examples import UNKNOWN, probe


@dataclass(eq=False)
class Link:
    chassis: str


def target(number: int = 1, port: str = "", **changes: object) -> Target:
    return Target(port or f"port{number}", probe(id=f"m{number}", **changes))


def result(number: int, state: HealthState, **changes: object) -> Result:
    return Result(f"m{number}", target(number, **changes).probe.version, state)


def wanted(*numbers: int, **changes: object) -> dict[str, Target]:
    return {f"m{number}": target(number, **changes) for number in numbers}


def want(
    registry: Registry,
    lb_id: str,
    targets: dict[str, Target],
    before: dict[str, HealthState],
    **rest: Any,
) -> bool:
    return registry.want(lb_id, Probes(targets, before, **rest))


def connected(
    registry: Registry, chassis: str, *results: Result, complete: bool = True
) -> tuple[Link, frozenset[str]]:
    """Connect a chassis; return the load balancers that this concerns, too."""
    link = Link(chassis)
    registry.join(link)
    return link, registry.receive(link, Results(results, complete=complete))


def told(registry: Registry) -> dict[str, tuple[list[str], list[str]]]:
    """Return chassis → the ids of probes to begin and to end."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for link, plan in registry.outgoing():
        put, drop = found.setdefault(link.chassis, ([], []))
        put += [each.id for each in plan.put]
        drop += plan.drop
    return found


def state(registry: Registry, number: int = 1, before: HealthState = UNKNOWN) -> HealthState:
    return registry.state("lb1", f"m{number}", before)
