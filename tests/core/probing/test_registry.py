# SPDX-License-Identifier: Apache-2.0
"""What chassis should probe, and what follows from what they say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing import entries, first_checks
from octavia_ovn.core.probing import registry as registries
from octavia_ovn.core.probing.conditions import Condition
from octavia_ovn.core.probing.messages import ROWS, Plan, Result, Results
from octavia_ovn.core.probing.plan import Probes, Target
from octavia_ovn.core.probing.registry import Registry
from tests.core.probing.examples import probe

UP, DOWN, UNKNOWN, UNCHECKED = (
    HealthState.UP,
    HealthState.DOWN,
    HealthState.UNKNOWN,
    HealthState.UNCHECKED,
)
VERSION = "0123456789abcdef"


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


def weights_asked(registry: Registry) -> list[str]:
    return [each for _, plan in registry.outgoing() for each in plan.weighted]


def weighted(*numbers: int) -> dict[str, Target]:
    return {f"m{each}": replace(target(each), weighted=True) for each in numbers}


def state(registry: Registry, number: int = 1, before: HealthState = UNKNOWN) -> HealthState:
    return registry.state("lb1", f"m{number}", before)


@pytest.fixture
def registry() -> Registry:
    """Two members on a chassis that is connected and has been told."""
    found = Registry()
    found.locate("port1", "a")
    found.locate("port2", "a")
    want(found, "lb1", wanted(1, 2), {})
    found.settle()
    connected(found, "a")
    assert told(found) == {"a": (["m1", "m2"], [])}
    return found


class TestPlans:
    @pytest.mark.parametrize("order", ["lcw", "lwc", "clw", "cwl", "wlc", "wcl"])
    def test_a_chassis_is_told_in_whatever_order_things_are_known(self, order: str) -> None:
        registry = Registry()
        for step in order:
            if step == "l":
                registry.locate("port1", "a")
            elif step == "c":
                connected(registry, "a")
            else:
                assert want(registry, "lb1", wanted(1), {})
        assert registry.waits
        assert told(registry) == {"a": (["m1"], [])}
        assert not registry.waits
        assert told(registry) == {}

    def test_only_differences_are_sent(self, registry: Registry) -> None:
        assert not want(registry, "lb1", wanted(1, 2), {})
        assert told(registry) == {}

        assert want(registry, "lb1", {**wanted(1), **wanted(2, delay=9)}, {})
        assert told(registry) == {"a": (["m2"], [])}

        assert want(registry, "lb1", wanted(1), {})
        assert told(registry) == {"a": ([], ["m2"])}

        registry.forget("lb1")
        assert told(registry) == {"a": ([], ["m1"])}
        assert len(registry) == 0
        assert registry.ports() == frozenset()
        assert registry.planned() == {}

    def test_a_member_that_moves_is_probed_on_the_other_chassis(self, registry: Registry) -> None:
        connected(registry, "b")
        assert registry.locate("port1", "b") == {"lb1"}
        assert registry.locate("port1", "b") == frozenset()
        assert told(registry) == {"a": ([], ["m1"]), "b": (["m1"], [])}

        registry.locate("port1")
        assert told(registry) == {"b": ([], ["m1"])}

    def test_a_chassis_that_has_the_probes_already_is_told_nothing(self) -> None:
        registry = Registry()
        registry.locate("port1", "a")
        connected(registry, "a", result(1, UP))
        want(registry, "lb1", wanted(1), {})
        assert told(registry) == {}
        assert state(registry) is UP

    def test_nothing_ends_until_all_load_balancers_are_known(self) -> None:
        registry = Registry()
        for chassis in ("a", "b"):
            connected(registry, chassis, result(1, UP), result(2, UP))
        registry.locate("port1", "a")
        want(registry, "lb1", wanted(1), {})
        assert told(registry) == {}

        registry.settle()
        registry.settle()
        assert told(registry) == {"a": ([], ["m2"]), "b": ([], ["m1", "m2"])}

    def test_a_chassis_is_told_once_it_has_said_what_it_has(self) -> None:
        registry = Registry()
        registry.locate("port1", "a")
        want(registry, "lb1", wanted(1), {})
        registry.settle()
        link, _ = connected(registry, "a", complete=False)
        assert told(registry) == {}
        registry.receive(link, Results((result(3, UP),), complete=True))
        assert told(registry) == {"a": (["m1"], ["m3"])}

    def test_a_member_with_another_port_begins_again(self, registry: Registry) -> None:
        assert registry.ports() == {"port1", "port2"}
        connected(registry, "a", result(1, UP), result(2, UP))
        assert state(registry) is UP
        registry.new_ports = False
        connected(registry, "b")
        registry.locate("port3", "b")
        want(registry, "lb1", {**wanted(2), "m1": target(1, port="port3")}, {})
        assert state(registry) is UNKNOWN
        assert registry.ports() == {"port2", "port3"}
        assert registry.new_ports

    def test_a_member_that_is_probed_at_another_address_keeps_its_result(
        self, registry: Registry
    ) -> None:
        """A new monitor_address, on another port, must not cut the member off."""
        registry.locate("port9", "b")
        registry.receive(next(iter(registry.links().values())), Results((result(1, UP),)))
        assert state(registry) is UP
        elsewhere = target(1, "port9", address="10.0.0.99")
        assert want(registry, "lb1", {"m1": elsewhere, "m2": target(2)}, {})
        assert state(registry) is UP
        assert told(registry) == {"a": ([], ["m1"])}

    def test_what_is_not_wanted_any_more_is_never_told(self, registry: Registry) -> None:
        registry.locate("port3", "a")
        want(registry, "lb1", wanted(1, 2, 3), {})
        want(registry, "lb1", wanted(1, 2), {})
        assert told(registry) == {}

    def test_many_probes_are_told_in_parts(self) -> None:
        registry = Registry()
        connected(registry, "a")
        for number in range(2 * ROWS):
            registry.locate(f"port{number}", "a")
        want(registry, "lb1", wanted(*range(2 * ROWS)), {})
        plans = [plan for _, plan in registry.outgoing()]
        assert [len(plan.put) for plan in plans] == [ROWS, ROWS]
        assert all(isinstance(plan, Plan) for plan in plans)

    def test_another_load_balancer_takes_a_member_over(self, registry: Registry) -> None:
        want(registry, "lb2", wanted(1, delay=7), {})
        assert told(registry) == {"a": (["m1"], [])}
        registry.forget("lb1")
        assert told(registry) == {"a": ([], ["m2"])}
        assert len(registry) == 1


class TestResults:
    def say(self, registry: Registry, *results: Result) -> frozenset[str]:
        (link,) = registry.links().values()
        return registry.receive(link, Results(results))

    def test_a_result_decides(self, registry: Registry) -> None:
        assert state(registry) is UNKNOWN
        assert not registry.has_result("m1")
        assert self.say(registry, result(1, UP)) == {"lb1"}
        assert state(registry) is UP
        assert registry.has_result("m1")
        assert self.say(registry, result(1, UP)) == frozenset()

        failed = Result("m1", target(1).probe.version, DOWN, "refused")
        assert self.say(registry, failed) == {"lb1"}
        assert (state(registry), registry.reason("m1")) == (DOWN, "refused")
        assert dict(registry.flips) == {UP: 1, DOWN: 1}

    def test_a_chassis_may_not_be_able_to_probe(self, registry: Registry) -> None:
        assert self.say(registry, result(1, UP)) == {"lb1"}
        assert self.say(registry, result(1, UNCHECKED)) == {"lb1"}
        assert (state(registry), registry.has_result("m1")) == (UNCHECKED, True)

    @pytest.mark.parametrize("before", [UNKNOWN, DOWN])
    def test_who_cannot_probe_calls_nobody_better(self, before: HealthState) -> None:
        registry = Registry()
        registry.locate("port1", "a")
        want(registry, "lb1", wanted(1), {"m1": before})
        _, changed = connected(registry, "a", result(1, UNCHECKED))
        assert not changed
        assert state(registry) is before

    def test_the_last_result_stays_until_another_one_comes(self, registry: Registry) -> None:
        self.say(registry, result(1, UP))
        want(registry, "lb1", {**wanted(2), **wanted(1, delay=9)}, {})
        told(registry)
        assert state(registry) is UP
        connected(registry, "b")
        registry.locate("port1", "b")
        told(registry)
        assert state(registry) is UP
        connected(registry, "b", result(1, UNKNOWN, delay=9))
        assert state(registry) is UP

    @pytest.mark.parametrize(
        "said",
        [Result("m1", VERSION, DOWN), Result("m9", VERSION, DOWN), Result("m1", VERSION, UNKNOWN)],
        ids=["other version", "other member", "unknown"],
    )
    def test_what_a_chassis_was_not_asked_counts_for_nothing(
        self, registry: Registry, said: Result
    ) -> None:
        self.say(registry, result(1, UP))
        assert self.say(registry, said) == frozenset()
        assert state(registry) is UP

    @pytest.mark.parametrize("complete", [True, False])
    def test_a_chassis_decides_on_its_own_members_only(
        self,
        registry: Registry,
        complete: bool,
    ) -> None:
        link, changed = connected(registry, "b", result(1, DOWN), complete=complete)
        assert changed == frozenset()
        assert registry.receive(link, Results((result(1, DOWN),))) == frozenset()
        assert state(registry) is UNKNOWN

    def test_the_newer_connection_counts(self, registry: Registry) -> None:
        (old,) = registry.links().values()
        new, _ = connected(registry, "a")
        assert registry.receive(old, Results((result(1, DOWN),))) == frozenset()
        registry.leave(old)
        assert registry.links() == {"a": new}
        registry.leave(new)
        assert registry.links() == {}

    def test_what_a_chassis_says_it_has_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registries, "MOST", 1)
        registry = Registry()
        connected(registry, "a", result(1, UP), result(2, UP), result(1, DOWN))
        registry.settle()
        assert told(registry) == {"a": ([], ["m1"])}

    def test_a_member_that_is_probed_for_no_one_is_not_known(self, registry: Registry) -> None:
        assert registry.target("m1") == target(1)
        assert registry.target("m9") is None
        assert not registry.has_result("m9")
        assert registry.reason("m9") == ""


class TestTerms:
    def test_until_a_chassis_says_more_members_count_as_before(self) -> None:
        registry = Registry()
        assert state(registry, before=UP) is UP
        before = {"m1": UP, "m2": UNCHECKED}
        want(registry, "lb1", wanted(1, 2, 3), before)
        assert [state(registry, each) for each in (1, 2, 3)] == [UP, UNCHECKED, UNKNOWN]
        assert not registry.has_result("m1")
        assert state(registry, 9, before=UP) is UNKNOWN

    def test_what_is_wanted_later_was_not_checked_before(self) -> None:
        registry = Registry()
        want(registry, "lb1", {}, {})
        want(registry, "lb1", wanted(1), {"m1": UP})
        assert state(registry) is UNKNOWN

    def test_a_new_term_begins_with_nothing_but_places(self, registry: Registry) -> None:
        registry.begin()
        assert (len(registry), registry.links()) == (0, {})
        want(registry, "lb1", wanted(1), {})
        connected(registry, "a")
        assert told(registry) == {"a": (["m1"], [])}


class TestConditions:
    def judge(self, registry: Registry, *conditions: Condition) -> frozenset[str]:
        return registry.judge(dict.fromkeys("a", conditions[0]) if conditions else {})

    def test_results_of_a_silent_chassis_are_out_of_date(self, registry: Registry) -> None:
        (link,) = registry.links().values()
        registry.receive(link, Results((result(1, UP), result(2, DOWN))))
        assert self.judge(registry, Condition.SILENT) == {"lb1"}
        assert (state(registry, 1), state(registry, 2)) == (UNCHECKED, DOWN)
        assert self.judge(registry, Condition.SILENT) == frozenset()
        assert self.judge(registry) == {"lb1"}
        assert (state(registry, 1), state(registry, 2)) == (UP, DOWN)

    def test_what_a_dead_hypervisor_had_is_down_until_a_chassis_says_otherwise(
        self, registry: Registry
    ) -> None:
        (link,) = registry.links().values()
        registry.receive(link, Results((result(1, UP),)))
        assert self.judge(registry, Condition.DEAD) == {"lb1"}
        assert (state(registry), registry.reason("m1")) == (DOWN, entries.DEAD)
        want(registry, "lb1", wanted(1, 2, 3), {})
        registry.locate("port3", "a")
        assert state(registry, 3) is DOWN

        connected(registry, "a", result(1, UP))
        assert self.judge(registry) == {"lb1"}
        assert state(registry) is UP

    @pytest.mark.parametrize(
        ("before", "after"),
        [(UP, UNCHECKED), (UNCHECKED, UNCHECKED), (DOWN, DOWN), (UNKNOWN, UNKNOWN)],
    )
    @pytest.mark.parametrize("condition", [(), (Condition.SILENT,)])
    def test_when_it_was_not_dead_members_serve_as_with_a_dead_program(
        self, before: HealthState, after: HealthState, condition: tuple[Condition, ...]
    ) -> None:
        registry = Registry()
        registry.locate("port1", "a")
        want(registry, "lb1", wanted(1), {"m1": before})
        self.judge(registry, Condition.DEAD)
        assert state(registry) is DOWN
        self.judge(registry, *condition)
        assert state(registry) is after
        self.judge(registry)
        assert state(registry) is after

    def test_a_hypervisor_that_has_given_up_a_port_was_dead(self, registry: Registry) -> None:
        (link,) = registry.links().values()
        registry.receive(link, Results((result(1, UP), result(2, UP))))
        registry.leave(link)
        self.judge(registry, Condition.DEAD)
        registry.locate("port1", None)
        registry.locate("port1", "a")
        self.judge(registry)
        assert (state(registry, 1), state(registry, 2)) == (DOWN, UNCHECKED)

    def test_a_reason_stays_when_a_hypervisor_dies(self, registry: Registry) -> None:
        (link,) = registry.links().values()
        failed = Result("m1", target(1).probe.version, DOWN, "refused")
        registry.receive(link, Results((failed,)))
        self.judge(registry, Condition.DEAD)
        assert registry.reason("m1") == "refused"

    def test_a_chassis_without_members_concerns_no_one(self, registry: Registry) -> None:
        assert registry.judge({"b": Condition.DEAD}) == frozenset()


class TestFirstChecks:
    """Members that serve before they are checked for the first time."""

    LIMIT = first_checks.time_limit(target(1).probe)

    @pytest.fixture
    def serving(self, registry: Registry) -> Registry:
        """Member 3 serves, and is to be checked from now on."""
        registry.locate("port3", "a")
        want(registry, "lb2", wanted(3), {}, first=frozenset({"m3"}))
        return registry

    def state(self, registry: Registry) -> HealthState:
        return registry.state("lb2", "m3", UNKNOWN)

    def test_they_serve_until_the_first_result(self, serving: Registry) -> None:
        assert (self.state(serving), serving.is_first("m3")) == (UNCHECKED, True)
        assert not serving.has_result("m3")
        assert told(serving) == {"a": (["m3"], [])}
        (link,) = serving.links().values()
        serving.receive(link, Results((result(3, UNCHECKED), result(3, UNKNOWN))))
        assert self.state(serving) is UNCHECKED
        serving.receive(link, Results((result(3, DOWN),)))
        assert (self.state(serving), serving.is_first("m3")) == (DOWN, False)

    def test_they_do_not_serve_for_ever(self, serving: Registry) -> None:
        assert serving.expire(100.0) == frozenset()
        assert serving.expire(100.0 + self.LIMIT) == {"lb2"}
        assert (self.state(serving), serving.is_first("m3")) == (UNKNOWN, False)
        want(serving, "lb2", wanted(3), {}, first=frozenset({"m3"}))
        assert self.state(serving) is UNKNOWN

    def test_they_are_forgotten_when_they_are_not_checked_any_more(self, serving: Registry) -> None:
        serving.expire(100.0)
        want(serving, "lb2", {}, {})
        assert not serving.is_first("m3")
        assert serving.expire(1000.0) == frozenset()

    def test_another_check_has_the_whole_time(self, serving: Registry) -> None:
        serving.expire(100.0)
        elsewhere = target(3, "port9", address="10.0.0.99")
        want(serving, "lb2", {"m3": elsewhere}, {})
        assert (self.state(serving), serving.is_first("m3")) == (UNCHECKED, True)
        assert serving.expire(100.0 + self.LIMIT) == frozenset()

    def test_another_machine_with_the_address_is_not_served(self, serving: Registry) -> None:
        want(serving, "lb2", {"m3": target(3, "port9")}, {})
        assert (self.state(serving), serving.is_first("m3")) == (UNKNOWN, False)

    def test_a_result_that_is_there_counts(self, registry: Registry) -> None:
        registry.locate("port3", "b")
        connected(registry, "b", result(3, DOWN))
        want(registry, "lb2", wanted(3), {}, first=frozenset({"m3"}))
        assert (self.state(registry), registry.is_first("m3")) == (DOWN, False)

    def test_a_dead_hypervisor_ends_them(self, serving: Registry) -> None:
        serving.judge({"a": Condition.DEAD})
        assert self.state(serving) is DOWN
        serving.judge({})
        assert self.state(serving) is UNKNOWN
        assert not serving.is_first("m3")

    def test_a_chassis_that_begins_to_probe_has_those_serve_that_do(self) -> None:
        registry = Registry()
        for port in ("port1", "port2", "port3", "port4"):
            registry.locate(port, "a")
        before = {"m1": UNKNOWN, "m2": UNKNOWN, "m3": DOWN, "m4": UNKNOWN}
        serving = frozenset({"m1", "m3", "m4"})
        want(registry, "lb1", wanted(1, 2, 3, 4), before, serving=serving)
        assert registry.knows("lb1")
        assert not registry.knows("lb2")
        _, changed = connected(registry, "a", result(4, UNKNOWN))
        assert changed == {"lb1"}
        found = [state(registry, each) for each in (1, 2, 3, 4)]
        assert found == [UNCHECKED, UNKNOWN, DOWN, UNKNOWN]
        assert registry.is_first("m1")


class TestWeights:
    """What members say themselves."""

    def said(self, registry: Registry, weight: int | None, how: HealthState = UP) -> frozenset[str]:
        (link,) = registry.links().values()
        return registry.receive(link, Results((replace(result(1, how), weight=weight),)))

    @pytest.fixture
    def asking(self, registry: Registry) -> Registry:
        assert want(registry, "lb1", weighted(1) | wanted(2), {})
        assert weights_asked(registry) == ["m1"]
        return registry

    def test_a_program_is_asked_once_in_a_connection(self, asking: Registry) -> None:
        want(asking, "lb1", weighted(1) | wanted(2, delay=9), {})
        assert weights_asked(asking) == []
        # It has the probe from an agent that did not ask.
        connected(asking, "a", result(1, UP), result(2, UP, delay=9))
        assert weights_asked(asking) == ["m1"]
        assert state(asking) is UP

    def test_a_weight_is_taken_over(self, asking: Registry) -> None:
        assert asking.weight("m1") is None
        assert asking.weight("m9") is None
        assert self.said(asking, 3) == {"lb1"}
        assert (asking.weight("m1"), asking.reweighted) == (3, {"lb1"})
        asking.reweighted.clear()
        assert self.said(asking, 3) == frozenset()
        assert asking.reweighted == set()
        assert self.said(asking, 0) == frozenset()
        assert (asking.weight("m1"), asking.reweighted) == (0, {"lb1"})
        assert self.said(asking, None, DOWN) == {"lb1"}
        assert asking.weight("m1") is None

    def test_nobody_is_asked_without_the_wish(self, registry: Registry) -> None:
        self.said(registry, 3)
        assert (registry.weight("m1"), registry.reweighted) == (None, set())

    def test_another_agent_begins_with_what_the_rows_say(self) -> None:
        registry = Registry()
        want(registry, "lb1", weighted(1), {"m1": UP}, weights={"m1": 7})
        assert registry.weight("m1") == 7
        want(registry, "lb1", weighted(1), {}, weights={"m1": 9})
        assert registry.weight("m1") == 7
