# SPDX-License-Identifier: Apache-2.0
"""How often results may have load balancers reconciled."""

from __future__ import annotations

from octavia_ovn.core.probing.damping import Damping


def test_a_burst_is_let_through_at_once() -> None:
    damping = Damping(3, 10.0)
    assert [damping.admit({"lb1"}, 100.0) for _ in range(4)] == [{"lb1"}] * 3 + [set()]
    assert damping.admit({"lb2"}, 100.0) == {"lb2"}


def test_what_waits_comes_when_it_is_due() -> None:
    damping = Damping(2, 10.0)
    assert damping.scan_due is None
    for _ in range(5):
        damping.admit({"lb1"}, 100.0)
    due = damping.scan_due
    assert due is not None
    assert damping.admit((), 109.0) == set()
    assert damping.admit((), 109.9) == set()
    assert damping.scan_due == 110.0
    assert damping.admit((), 110.0) == {"lb1"}
    assert damping.scan_due is None
    assert damping.admit((), 200.0) == set()


def test_the_oldest_are_let_through_before_as_far_as_there_is_room() -> None:
    damping = Damping(1, 100.0, 2)
    for name in "abc":
        damping.admit({name}, 100.0)
    assert damping.admit({"c"}, 100.5) == {"c"}
    damping.admit({"b"}, 100.6)
    damping.admit({"a"}, 100.7)
    damping.admit({"c"}, 100.8)
    assert damping.admit({"new"}, 101.0) == {"new"}
    assert damping.admit((), 101.5) == {"b", "a"}
    assert damping.admit({"b"}, 101.6) == set()
    assert damping.admit((), 102.5) == {"c", "b"}


def test_one_that_changes_each_second_comes_at_intervals() -> None:
    damping = Damping(5, 10.0)
    count = sum(len(damping.admit({"lb1"}, float(now))) for now in range(1000))
    assert count == 5 + 99


def test_after_a_pause_there_is_a_whole_burst() -> None:
    damping = Damping(2, 10.0)
    for _ in range(3):
        damping.admit({"lb1"}, 100.0)
    assert damping.admit((), 130.0) == {"lb1"}
    assert damping.admit({"lb1"}, 160.0) == {"lb1"}
    assert damping.admit({"lb1"}, 160.0) == {"lb1"}
    assert damping.admit({"lb1"}, 160.0) == set()


def test_those_that_are_quiet_take_no_memory() -> None:
    damping = Damping(1, 10.0)
    damping.admit(map(str, range(100)), 100.0)
    damping.admit({"1"}, 101.0)
    damping.admit((), 120.0)
    assert set(damping._full) == {"1"}


def test_those_that_never_wait_take_no_memory_for_ever() -> None:
    """Load balancers come and go, and each may have a member that was DOWN once."""
    damping = Damping(20, 10.0)
    for number in range(10_000):
        assert damping.admit({f"lb{number}"}, float(number)) == {f"lb{number}"}
    assert len(damping._full) < 2_048


def test_another_term_begins_with_nothing() -> None:
    damping = Damping(1, 10.0)
    damping.admit({"lb1"}, 100.0)
    damping.admit({"lb1"}, 100.0)
    damping.clear()
    assert damping.admit((), 200.0) == set()
    assert damping.admit({"lb1"}, 100.0) == {"lb1"}
