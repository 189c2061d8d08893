# SPDX-License-Identifier: Apache-2.0
"""When probes run."""

from collections import Counter

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
