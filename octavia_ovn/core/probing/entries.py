# SPDX-License-Identifier: Apache-2.0
"""What is known of a member that is probed, and of a program that probes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing.messages import Result
from octavia_ovn.core.probing.plan import Target

DEAD = "its hypervisor does not answer"
"""The reason of a member that is DOWN with its hypervisor."""
_FOUND = (HealthState.UP, HealthState.DOWN)
_SERVED = (HealthState.UP, HealthState.UNCHECKED)


class Link(Protocol):
    """A connection of a chassis."""

    @property
    def chassis(self) -> str:
        """The name of the chassis."""


@dataclass(slots=True)
class Session:
    """What is known of the program that is connected from a chassis.

    :param has: its probes, as it has said, and as it has been told since
    :param asked: those whose weights it has been asked for
    :param complete: whether it has said all
    """

    link: Link
    has: dict[str, Result] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    complete: bool = False

    def needs(self, target: Target, version: str) -> bool:
        """Whether it must be told how to probe a member; take note of it.

        :param version: of the probe
        """
        member_id, had = target.probe.id, self.has.get(target.probe.id)
        same = had is not None and had.version == version
        if not same:
            self.has[member_id] = Result(member_id, version, HealthState.UNKNOWN)
        # It may have been told by an older agent, which does not ask for weights.
        if same and (not target.weighted or member_id in self.asked):
            return False
        if target.weighted:
            self.asked.add(member_id)
        return True

    def ends(self, member_id: str) -> bool:
        """Whether it must be told to end a probe; take note of it."""
        self.asked.discard(member_id)
        return self.has.pop(member_id, None) is not None


@dataclass(slots=True)
class Entry:
    """A member that a chassis should probe.

    :param found: whether a chassis has found its state; else it counts as before
    :param weight: that its last answer has said
    :param serving: whether it receives connections, in any state
    :param alive: its state before its hypervisor was found dead; None if that is not so
    """

    lb_id: str
    target: Target
    version: str
    state: HealthState
    found: bool = False
    reason: str = ""
    weight: int | None = None
    serving: bool = False
    alive: HealthState | None = None

    def take(self, result: Result) -> bool:
        """Take over the state that a chassis has found; return whether it is new."""
        found = self.found or result.state in _FOUND
        new = found is not self.found or self.state is not result.state
        self.state, self.found, self.reason = result.state, found, result.reason
        self.alive = None
        return new

    def weigh(self, result: Result) -> bool:
        """Take over the weight that a member has said; return whether it is new."""
        before, self.weight = self.weight, result.weight if self.target.weighted else None
        return self.weight != before

    def bury(self, *, first: bool) -> None:
        """Count the member as DOWN with its hypervisor.

        :param first: whether it has served without a result
        """
        self.alive = HealthState.UNKNOWN if first else self.state
        if self.state is not HealthState.DOWN:
            self.state, self.reason = HealthState.DOWN, DEAD

    def revive(self) -> None:
        """Count the member as if only the program on its chassis had been away."""
        if self.alive is not None:
            self.state = HealthState.UNCHECKED if self.alive in _SERVED else self.alive
            self.alive = None
