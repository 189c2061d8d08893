# SPDX-License-Identifier: Apache-2.0
"""What the registry says of members that serve."""

from __future__ import annotations

from dataclasses import replace

import pytest

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing import first_checks
from octavia_ovn.core.probing.conditions import Condition
from octavia_ovn.core.probing.messages import Results
from octavia_ovn.core.probing.plan import Target
from octavia_ovn.core.probing.registry import Registry
from tests.core.probing.examples import DOWN, UNCHECKED, UNKNOWN, UP
from tests.core.probing.plans import connected, result, state, target, told, want, wanted


def weights_asked(registry: Registry) -> list[str]:
    return [each for _, plan in registry.outgoing() for each in plan.weighted]


def weighted(*numbers: int) -> dict[str, Target]:
    return {f"m{each}": replace(target(each), weighted=True) for each in numbers}


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

    def test_members_that_are_gone_take_no_memory(self, asking: Registry) -> None:
        asking.forget("lb1")
        assert weights_asked(asking) == []

        (session,) = asking._sessions.values()
        assert not session.asked

    def test_nobody_is_asked_without_the_wish(self, registry: Registry) -> None:
        self.said(registry, 3)
        assert (registry.weight("m1"), registry.reweighted) == (None, set())

    def test_another_agent_begins_with_what_the_rows_say(self) -> None:
        registry = Registry()
        want(registry, "lb1", weighted(1), {"m1": UP}, weights={"m1": 7})
        assert registry.weight("m1") == 7
        want(registry, "lb1", weighted(1), {}, weights={"m1": 9})
        assert registry.weight("m1") == 7
