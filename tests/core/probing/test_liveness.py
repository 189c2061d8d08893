# SPDX-License-Identifier: Apache-2.0
"""Whether a hypervisor is dead, or only the program on it."""

from __future__ import annotations

from octavia_ovn.core.probing.liveness import INTERVAL, LONGEST, OUTDATED, PATIENCE, Liveness
from octavia_ovn.core.probing.registry import Condition

TIMEOUT = 10.0


class World:
    """A leader that looks each second; `follows` are the hypervisors that are alive."""

    def __init__(self, silent: str = "a", follows: str = "ab", known: str = "ab") -> None:
        self.now, self.number = 100.0, 5
        self.silent, self.follows = set(silent), set(follows)
        self.reached = dict.fromkeys(known, 5)
        self.tests: list[float] = []
        self.liveness = Liveness(TIMEOUT)
        self.found: dict[str, Condition] = {}

    def passes(self, seconds: float) -> dict[str, Condition]:
        for _ in range(int(seconds)):
            self.reached |= dict.fromkeys(self.follows & self.reached.keys(), self.number)
            self.found = self.liveness.update(self.now, self.silent, self.reached)
            if self.liveness.is_due(self.now):
                self.number += 1
                self.tests.append(self.now)
                self.liveness.tested(self.now, self.number)
            self.now += 1
        return self.found


def test_a_chassis_that_speaks_is_not_tested() -> None:
    world = World(silent="")
    assert world.passes(100) == {}
    assert world.tests == []


def test_a_dead_hypervisor_is_found() -> None:
    world = World(follows="b")
    assert world.passes(PATIENCE + TIMEOUT) == {}
    assert world.passes(3) == {"a": Condition.DEAD}
    assert len(world.tests) == 1
    assert world.passes(OUTDATED) == {"a": Condition.DEAD}
    assert len(world.tests) == 1

    world.follows.add("a")
    assert world.passes(2) == {"a": Condition.SILENT}
    world.silent.clear()
    assert world.passes(1) == {}


def test_a_dead_program_is_no_dead_hypervisor() -> None:
    world = World()
    assert world.passes(OUTDATED) == {}
    assert world.passes(2) == {"a": Condition.SILENT}
    world.passes(400)
    pauses = [after - before for before, after in zip(world.tests, world.tests[1:], strict=False)]
    assert pauses[0] >= INTERVAL
    assert pauses[-1] >= LONGEST
    assert pauses == sorted(pauses)

    world.follows.discard("a")
    assert world.passes(LONGEST + TIMEOUT + 5) == {"a": Condition.DEAD}


def test_when_no_hypervisor_follows_it_is_not_their_fault() -> None:
    world = World(follows="")
    assert world.passes(OUTDATED + 2) == {"a": Condition.SILENT}
    # A database that comes back shows it all others first: it has its time, too.
    world.follows.add("b")
    assert world.passes(TIMEOUT) == {"a": Condition.SILENT}
    assert world.passes(2) == {"a": Condition.DEAD}


def test_a_chassis_that_ovn_does_not_know_is_not_called_dead() -> None:
    world = World(silent="c")
    assert world.passes(OUTDATED) == {}


def test_chassis_that_fall_silent_later_are_tested_later() -> None:
    world = World(follows="c", known="abc")
    world.passes(4)
    world.silent.add("b")
    world.passes(2)
    assert len(world.tests) == 1
    world.passes(TIMEOUT + 10)
    assert len(world.tests) == 2
    assert world.found == {"a": Condition.DEAD, "b": Condition.DEAD}


def test_another_term_begins_without_silences() -> None:
    world = World(follows="b")
    world.passes(PATIENCE + TIMEOUT + 3)
    world.liveness.begin()
    assert world.passes(1) == {}
