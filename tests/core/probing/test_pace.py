# SPDX-License-Identifier: Apache-2.0
"""When probes run."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.core.probing import pace

TIMES = st.floats(0, 1e7)
DELAYS = st.integers(1, 3600)
IDS = [f"member-{number}" for number in range(1000)]


@given(st.sampled_from(IDS), DELAYS, TIMES)
def test_a_new_probe_runs_within_a_second(probe_id, delay, now):
    assert now <= pace.first(probe_id, delay, now) <= now + 1


@given(st.sampled_from(IDS), DELAYS, TIMES, st.floats(0, 100))
def test_the_next_run_is_never_past_and_soon_enough(probe_id, delay, began, took):
    now = began + took
    due = pace.following(probe_id, delay, began, now)

    assert due >= now - 1e-6
    assert due >= began + delay / 2 - 1e-6
    assert due <= max(now, began + delay / 2) + delay + 1e-6


@given(st.sampled_from(IDS), DELAYS, TIMES)
def test_runs_are_a_delay_apart(probe_id, delay, now):
    due = pace.following(probe_id, delay, now, now)

    for _ in range(3):
        again = pace.following(probe_id, delay, due, due + 0.3)
        assert abs(again - due - delay) < 1e-6 * max(1.0, due)
        due = again


def test_runs_of_many_are_spread_over_the_delay():
    seconds = Counter(int(pace.following(each, 10, 1000.0, 1000.0)) % 10 for each in IDS)

    assert len(seconds) == 10
    assert max(seconds.values()) < 140


# --- how many of a project


def test_a_project_gets_its_rate_and_no_more():
    budget = pace.Budget(10)
    times = [budget.book("a", 100.0) for _ in range(40)]

    # What it has not used in the last second, and then one every tenth of a second.
    assert times[:11] == [100.0] * 11
    assert times[11:] == pytest.approx([100.0 + each / 10 for each in range(1, 30)])
    assert budget.book("b", 100.0) == 100.0


def test_what_was_not_used_is_saved_up_for_a_second_only():
    budget = pace.Budget(10)
    budget.book("a", 100.0)
    times = [budget.book("a", 150.0) for _ in range(12)]

    assert times[10] == 150.0
    assert times[11] == pytest.approx(150.1)


@given(st.lists(st.floats(0, 3), max_size=200), st.integers(1, 100))
def test_no_second_has_more_than_the_rate_and_what_was_saved_up(pauses, rate):
    budget, now, times = pace.Budget(rate), 1000.0, []
    for pause in pauses:
        now += pause
        times.append(budget.book("a", now))
        assert times[-1] >= now

    for begin in times:
        assert sum(begin <= each < begin + 1 for each in times) <= 2 * rate + 2


def test_projects_without_probes_are_forgotten():
    budget = pace.Budget(10)
    for each in range(100):
        budget.book(f"project-{each}", 100.0 + each)
    budget.book("a", 300.0)

    assert set(budget._next) == {"a"}
