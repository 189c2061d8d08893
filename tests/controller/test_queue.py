# SPDX-License-Identifier: Apache-2.0
"""Keys that need a look: coalescing, with back-off for each."""

from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.controller.queue import Queue
from tests.controller.outside import Clock


def queue(**options):
    clock = Clock()
    return Queue(clock, **options), clock


def test_a_key_is_ready_once_however_often_it_is_added():
    keys, _ = queue()
    for key in "aba":
        keys.add(key)

    assert len(keys) == 2
    assert keys.ready(10) == ["a", "b"]
    assert keys.ready(10) == []


def test_takes_no_more_than_asked_for():
    keys, _ = queue()
    for key in "abc":
        keys.add(key)

    assert keys.ready(2) == ["a", "b"]
    assert keys.ready(2) == ["c"]


def test_keys_in_no_hurry_come_in_their_turn():
    keys, _ = queue()
    for key in "abc":
        keys.add_idle(key)
    keys.add("d")
    keys.add("b")
    keys.add_idle("d")

    assert len(keys) == 4
    assert keys.next_due() == 0.0
    assert keys.ready(10, 1) == ["d", "b", "a"]
    assert keys.ready(10, 1) == ["c"]
    assert keys.next_due() is None


def test_a_key_waits_until_it_is_due():
    keys, clock = queue()
    keys.add("a", 5.0)

    assert keys.ready(10) == []
    assert keys.next_due() == 5.0

    clock.passes(5.0)

    assert keys.next_due() == 0.0
    assert keys.ready(10) == ["a"]
    assert keys.next_due() is None


def test_the_earlier_time_counts():
    keys, _ = queue()
    keys.add("a", 5.0)
    keys.add("a", 1.0)
    keys.add("a", 9.0)

    assert keys.next_due() == 1.0


def test_an_event_does_not_wait_for_the_retry():
    keys, clock = queue()
    keys.retry("a")
    keys.add("a")

    assert keys.ready(10) == ["a"]
    clock.passes(100)
    assert keys.ready(10) == []


def test_backs_off_and_forgets():
    keys, _ = queue(first=0.1, longest=1.0)

    assert [keys.retry("a") for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]

    keys.succeeded("a")

    assert keys.retry("a") == 0.1


def test_backs_off_each_key_by_itself():
    keys, _ = queue()
    keys.retry("a")
    keys.retry("a")

    assert keys.retry("b") == 0.1


def test_many_failures_are_no_problem():
    keys, _ = queue(longest=60.0)

    assert {keys.retry("a") for _ in range(2000)} >= {60.0}


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 5)) | st.integers(0, 3)))
def test_gives_each_key_at_its_earliest_time(steps):
    keys, clock = queue()
    due = {}
    for step in steps:
        match step:
            case (key, delay):
                keys.add(key, float(delay))
                due[key] = min(due.get(key, clock.now + delay), clock.now + delay)
            case seconds:
                clock.passes(seconds)
                ready = {key for key, when in due.items() if when <= clock.now}
                assert set(keys.ready(100)) == ready
                due = {key: when for key, when in due.items() if key not in ready}
        assert len(keys) == len(due)


def test_a_key_with_an_alarm_waits_for_nothing_until_then():
    keys, clock = queue()
    keys.add("b", 9.0)
    keys.set_alarm("a", 5.0)
    keys.set_alarm("a", 7.0)

    assert len(keys) == 1
    assert keys.next_due() == 7.0
    clock.passes(7.0)
    assert keys.next_due() == 0.0
    assert keys.ready(10) == ["a"]
    assert keys.next_due() == 2.0


def test_an_alarm_that_is_switched_off_does_not_sound():
    keys, clock = queue()
    keys.set_alarm("a", 5.0)
    keys.set_alarm("a", None)
    keys.set_alarm("b", None)

    assert keys.next_due() is None
    clock.passes(7.0)
    assert keys.ready(10) == []
