# SPDX-License-Identifier: Apache-2.0
"""Whether a hypervisor is dead, or only the program on it that probes.

`NB_Global.nb_cfg` is a number that each ovn-controller copies into its row of Chassis_Private once
it has done all that the Northbound database says. While a program is silent, the number is
incremented: a hypervisor that does not follow, while another one does, is dead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from octavia_ovn.core.probing.conditions import Condition

PATIENCE = 3.0
"""Seconds of silence until the first test."""
OUTDATED = 60.0
"""Seconds of silence until results are out of date."""
INTERVAL = 5.0
"""Seconds between two tests at least."""
LONGEST = 60.0
"""Seconds between two tests of a hypervisor that passes them."""


@dataclass(slots=True)
class _Silence:
    """A chassis whose program says nothing.

    :param since: when it began, in seconds; the same for the rest
    :param number: that it must reach; None before the first test
    :param followed: when it was seen that another hypervisor has passed that test
    :param due: when to test again
    """

    since: float
    number: int | None = None
    followed: float | None = None
    due: float = 0.0
    pause: float = INTERVAL
    passed: bool = False
    dead: bool = False


class Liveness:
    """Follows silent chassis.

    :param timeout: seconds that a hypervisor has to follow
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._last_test = float("-inf")
        self._silences: dict[str, _Silence] = {}

    def begin(self) -> None:
        """Forget all: another agent may have been the leader."""
        self._silences.clear()

    def update(
        self, now: float, silent: Collection[str], reached: Mapping[str, int]
    ) -> dict[str, Condition]:
        """Return what is wrong with which chassis.

        :param silent: the chassis that have probes and say nothing
        :param reached: chassis → its number
        """
        for chassis in self._silences.keys() - set(silent):
            del self._silences[chassis]
        for chassis in silent:
            silence = self._silences.setdefault(chassis, _Silence(now, due=now + PATIENCE))
            self._examine(now, silence, chassis, reached)
        found = ((chassis, _condition(now, each)) for chassis, each in self._silences.items())
        return {chassis: condition for chassis, condition in found if condition is not None}

    def _examine(
        self, now: float, silence: _Silence, chassis: str, reached: Mapping[str, int]
    ) -> None:
        number = silence.number
        if number is None or silence.passed:
            return
        if reached.get(chassis, -1) >= number:
            silence.passed, silence.dead = True, False
            silence.due, silence.pause = now + silence.pause, min(2 * silence.pause, LONGEST)
            return
        # The time counts from there: northd and the databases may be slow, or away for long.
        if silence.followed is None:
            others = (each >= number for name, each in reached.items() if name != chassis)
            silence.followed = now if any(others) else None
        elif now - silence.followed > self._timeout and chassis in reached:
            silence.dead = True

    def is_due(self, now: float) -> bool:
        """Whether to increment the number now."""
        return now - self._last_test >= INTERVAL and any(
            _is_due(now, each) for each in self._silences.values()
        )

    def tested(self, now: float, number: int) -> None:
        """Take note that the number has been incremented, or that this was tried.

        :param number: that it is now
        """
        self._last_test = now
        for each in self._silences.values():
            if _is_due(now, each):
                each.number, each.followed, each.passed = number, None, False


def _is_due(now: float, silence: _Silence) -> bool:
    return now >= silence.due and (silence.number is None or silence.passed)


def _condition(now: float, silence: _Silence) -> Condition | None:
    if silence.dead:
        return Condition.DEAD
    return Condition.SILENT if now - silence.since >= OUTDATED else None
