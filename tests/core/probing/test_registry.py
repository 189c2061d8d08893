# SPDX-License-Identifier: Apache-2.0
"""What chassis should probe, and what follows from what they say."""

from __future__ import annotations

import pytest

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing import registry as registries
from octavia_ovn.core.probing.messages import ROWS, Plan, Result, Results
from octavia_ovn.core.probing.registry import Registry
from tests.core.probing.examples import DOWN, UNCHECKED, UNKNOWN, UP
from tests.core.probing.plans import connected, result, state, target, told, want, wanted

VERSION = "0123456789abcdef"


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
