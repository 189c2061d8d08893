# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing.tally import Tally


def run(results: str, rise: int = 2, fall: int = 3) -> Tally:
    """Count results, each a "." for a success or anything else for a failure."""
    tally = Tally()
    for each in results:
        tally = tally.after(None if each == "." else each, rise, fall)
    return tally


def test_the_state_changes_when_enough_results_agree() -> None:
    up, down, unknown = HealthState.UP, HealthState.DOWN, HealthState.UNKNOWN
    cases = {"": unknown, ".": unknown, "..": up, "..xx": up, "..xxx": down, "xx": unknown}
    cases |= {"xxx": down, "xxx.": down, "xxx.x.": down, "xxx..": up, "..xx.xx": up}
    assert {each: run(each).state for each in cases} == cases


def test_the_reason_is_that_of_the_last_failure() -> None:
    assert run("..ab").reason == "b"
    assert run("..ab.").reason == ""


@given(st.text(".x", max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_counts_stay_within_the_thresholds(results: str, rise: int, fall: int) -> None:
    tally = run(results, rise, fall)
    assert tally.successes <= rise
    assert tally.failures <= fall
    assert 0 in (tally.successes, tally.failures)
