# SPDX-License-Identifier: Apache-2.0
"""Chassis that say nothing, and what follows for their members."""

from __future__ import annotations

import pytest

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing import entries
from octavia_ovn.core.probing.conditions import Condition
from octavia_ovn.core.probing.messages import Result, Results
from octavia_ovn.core.probing.registry import Registry
from tests.core.probing.examples import DOWN, UNCHECKED, UNKNOWN, UP
from tests.core.probing.plans import connected, result, state, target, want, wanted


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
