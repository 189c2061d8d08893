# SPDX-License-Identifier: Apache-2.0
"""A machine that migrates: its switch port is on two chassis until it runs on the new one."""

from __future__ import annotations

import pytest

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing.conditions import Condition
from octavia_ovn.core.probing.messages import Plan, Result, Results
from octavia_ovn.core.probing.plan import Probes, Target
from octavia_ovn.core.probing.registry import Link, Registry
from tests.core.probing.examples import DOWN, UNCHECKED, UNKNOWN, UP, probe

RISE = 3
TARGET = Target("port1", probe(id="m1", rise=RISE))


class Chassis:
    """The program on a chassis."""

    def __init__(self, registry: Registry, name: str) -> None:
        self.chassis = name
        self._registry = registry
        self.plan: dict[str, int] = {}
        self.version = ""
        registry.join(self)
        registry.receive(self, Results(complete=True))

    def told(self, plan: Plan) -> None:
        for each in plan.put:
            self.plan[each.id], self.version = each.rise, each.version
        for gone in plan.drop:
            del self.plan[gone]

    def finds(self, state: HealthState) -> frozenset[str]:
        return self._registry.receive(self, Results((Result("m1", self.version, state),)))


class World:
    """A member on chassis `a`, found UP, and a chassis `b`."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.a, self.b = (Chassis(self.registry, name) for name in "ab")
        self.registry.want("lb1", Probes({"m1": TARGET}))
        self.registry.settle()
        self.at("a")
        self.a.finds(UP)

    def at(self, *chassis: str) -> None:
        self.registry.locate("port1", *chassis)
        known: dict[Link, Chassis] = {self.a: self.a, self.b: self.b}
        for link, plan in self.registry.outgoing():
            known[link].told(plan)

    @property
    def state(self) -> HealthState:
        return self.registry.state("lb1", "m1", UNKNOWN)


@pytest.fixture
def world() -> World:
    return World()


def test_both_chassis_probe_it_and_the_new_one_believes_the_first_success(world: World) -> None:
    world.at("a", "b")
    assert (world.a.plan, world.b.plan) == ({"m1": RISE}, {"m1": 1})
    world.at("b")
    assert (world.a.plan, world.b.plan) == ({}, {"m1": RISE})


def test_it_stays_up_from_before_to_after(world: World) -> None:
    seen = []
    steps = [
        lambda: world.at("a", "b"),
        lambda: world.b.finds(DOWN),  # it is not there yet
        lambda: world.b.finds(UP),
        lambda: world.a.finds(DOWN),  # it has left
        lambda: world.at("b"),
        lambda: world.b.finds(UP),
    ]
    for step in steps:
        step()
        seen.append(world.state)
    assert seen == [UP] * len(steps)
    assert not world.registry.flips[DOWN]


def test_its_old_chassis_alone_does_not_take_it_out_before_the_new_one_has_asked(
    world: World,
) -> None:
    world.at("a", "b")
    assert world.a.finds(DOWN) == frozenset()
    assert world.state is UP
    assert world.b.finds(DOWN) == {"lb1"}
    assert world.state is DOWN


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_it_is_down_when_both_say_so(world: World, order: str) -> None:
    world.at("a", "b")
    for name in order:
        getattr(world, name).finds(DOWN)
    assert world.state is DOWN
    assert getattr(world, order[0]).finds(UP) == {"lb1"}
    assert world.state is UP


def test_who_cannot_probe_does_not_hide_that_it_is_down(world: World) -> None:
    world.at("a", "b")
    world.b.finds(UNCHECKED)
    assert world.state is UP
    world.a.finds(DOWN)
    assert world.state is DOWN
    world.b.finds(UNCHECKED)
    assert world.state is DOWN


def test_it_is_found_dead_after_it_has_moved(world: World) -> None:
    world.at("a", "b")
    world.b.finds(UP)
    world.at("b")
    assert world.state is UP
    assert world.b.finds(DOWN) == {"lb1"}
    assert world.state is DOWN


def test_a_migration_that_is_given_up_leaves_what_the_old_chassis_says(world: World) -> None:
    world.at("a", "b")
    world.a.finds(DOWN)
    assert world.state is UP
    world.at("a")
    assert world.state is DOWN
    assert world.b.plan == {}


def test_a_chassis_that_leaves_is_not_waited_for(world: World) -> None:
    world.at("a", "b")
    world.a.finds(DOWN)
    assert world.registry.leave(world.b) == {"lb1"}
    assert world.state is DOWN
    assert world.registry.leave(world.b) == frozenset()


def test_a_chassis_that_leaves_changes_nothing_of_those_that_stay(world: World) -> None:
    assert world.registry.leave(world.a) == frozenset()
    assert world.state is UP


def test_another_agent_asks_both(world: World) -> None:
    world.at("a", "b")
    world.registry.begin()
    a, b = (Chassis(world.registry, name) for name in "ab")
    world.a, world.b = a, b
    world.registry.want("lb1", Probes({"m1": TARGET}, {"m1": UP}))
    world.at("a", "b")
    assert (a.plan, b.plan) == ({"m1": RISE}, {"m1": 1})
    assert world.state is UP


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"a": Condition.DEAD}, UP),
        ({"a": Condition.SILENT}, UP),
        ({"a": Condition.SILENT, "b": Condition.SILENT}, UNCHECKED),
        ({"a": Condition.DEAD, "b": Condition.SILENT}, UNCHECKED),
        ({"a": Condition.DEAD, "b": Condition.DEAD}, DOWN),
    ],
)
def test_it_lives_while_one_of_both_lives(
    world: World, conditions: dict[str, Condition], expected: HealthState
) -> None:
    world.at("a", "b")
    world.registry.judge(conditions)
    assert world.state is expected
