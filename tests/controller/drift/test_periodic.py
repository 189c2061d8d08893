# SPDX-License-Identifier: Apache-2.0
"""When the agent compares."""

import threading

import pytest

from octavia_ovn.controller.drift import periodic
from octavia_ovn.controller.drift.periodic import (
    FIRST_DELAY,
    MANY,
    RETRY,
    SETTLE,
    PeriodicThread,
)
from tests.controller.drift.periods import Clock

# --- when


class Work:
    def __init__(self):
        self.succeeds = True
        self.calls = 0

    def __call__(self, running):
        self.calls += 1
        assert running()
        if isinstance(self.succeeds, Exception):
            raise self.succeeds
        return self.succeeds


@pytest.fixture
def work():
    return Work()


def test_the_first_comparison_comes_soon_after_taking_over(work):
    clock = Clock()
    timer = PeriodicThread(work, 600.0, clock)
    assert timer.left() is None
    timer.set_leader(is_leader=True)
    assert timer.left() == FIRST_DELAY
    clock.sleep(FIRST_DELAY)
    assert timer.left() == 0
    timer.turn()
    assert timer.left() == 600.0
    timer.set_leader(is_leader=False)
    assert timer.left() is None
    timer.set_leader(is_leader=True)
    assert timer.left() == FIRST_DELAY


@pytest.mark.parametrize("outcome", [False, KeyError("a bug")])
def test_a_comparison_that_failed_is_repeated_soon(work, outcome):
    clock = Clock()
    timer = PeriodicThread(work, 600.0, clock)
    timer.set_leader(is_leader=True)
    clock.sleep(FIRST_DELAY)
    work.succeeds = outcome
    timer.turn()
    assert timer.left() == RETRY


def test_taking_over_during_a_comparison(work):
    clock = Clock()
    timer = PeriodicThread(work, 600.0, clock)
    timer.set_leader(is_leader=True)
    clock.sleep(FIRST_DELAY)

    def lose_and_win(_):
        timer.set_leader(is_leader=False)
        clock.sleep(1)
        timer.set_leader(is_leader=True)
        return False

    timer._work = lose_and_win
    timer.turn()
    assert timer.left() == FIRST_DELAY


def test_zero_turns_it_off(work):
    timer = PeriodicThread(work, 0, Clock())
    timer.start()
    timer.set_leader(is_leader=True)
    assert timer.left() is None
    timer.close(1.0)


def test_the_thread(work, monkeypatch):
    monkeypatch.setattr(periodic, "FIRST_DELAY", 0.0)
    twice = threading.Event()

    def count(running):
        if work(running) and work.calls == 2:
            twice.set()
        return True

    timer = PeriodicThread(count, 0.01)
    timer.start()
    assert work.calls == 0
    timer.set_leader(is_leader=True)
    assert twice.wait(10)
    timer.close(10)
    assert not timer._thread.is_alive()


# --- single load balancers


class Singles(Work):
    """What compares single load balancers; `unknown` are those to be looked at again."""

    def __init__(self):
        super().__init__()
        self.singles = []
        self.unknown = ()

    def single(self, lb_ids, running):
        assert running()
        self.singles.append(sorted(lb_ids))
        if isinstance(self.unknown, Exception):
            raise self.unknown
        return self.unknown


@pytest.fixture
def singles():
    return Singles()


@pytest.fixture
def timer(singles):
    """A watch whose first comparison is over."""
    clock = Clock()
    timer = PeriodicThread(singles, 600.0, clock, single=singles.single)
    timer.clock = clock
    timer.set_leader(is_leader=True)
    clock.sleep(FIRST_DELAY)
    timer.turn()
    assert (singles.calls, singles.singles) == (1, [])
    return timer


def passes(timer):
    """Let time pass until there is work, and do it; return how long that took."""
    left = timer.left()
    timer.clock.sleep(left)
    timer.turn()
    return left


def test_lost_load_balancers_are_compared_soon_and_alone(timer, singles):
    timer.suspect("lb1")
    timer.suspect("lb2")
    timer.suspect("lb1")
    assert passes(timer) == SETTLE
    assert (singles.calls, singles.singles) == (1, [["lb1", "lb2"]])
    assert timer.left() == 600.0 - SETTLE


def test_what_is_not_known_yet_is_asked_again(timer, singles):
    timer.suspect("lb1")
    singles.unknown = ["lb1"]
    passes(timer)
    singles.unknown = ()
    assert passes(timer) == RETRY
    assert singles.singles == [["lb1"], ["lb1"]]


def test_a_wiped_database_leads_to_one_comparison_of_all(timer, singles):
    timer.clock.sleep(RETRY)
    for number in range(MANY + 1):
        timer.suspect(f"lb{number}")
    assert passes(timer) == SETTLE
    assert (singles.calls, singles.singles) == (2, [])
    assert timer.left() == 600.0


def test_a_database_wiped_repeatedly_does_not_keep_octavia_busy(timer, singles):
    for _ in range(100):
        for number in range(MANY + 1):
            timer.suspect(f"lb{number}")
        timer.clock.sleep(1.0)
        if timer.left() == 0:
            timer.turn()
    assert singles.calls <= 1 + 100 / RETRY
    assert singles.singles == []


def test_one_that_fails_does_not_stop_the_watch(timer, singles):
    timer.suspect("lb1")
    singles.unknown = KeyError("a bug")
    passes(timer)
    assert timer.left() == 600.0 - SETTLE


def test_a_standby_agent_compares_nothing(timer, singles):
    timer.suspect("lb1")
    timer.set_leader(is_leader=False)
    timer.suspect("lb2")
    timer.set_leader(is_leader=True)
    assert passes(timer) == FIRST_DELAY
    assert (singles.calls, singles.singles) == (2, [])


def test_suspects_of_a_watch_that_is_off(singles):
    timer = PeriodicThread(singles, 0, Clock(), single=singles.single)
    timer.set_leader(is_leader=True)
    timer.suspect("lb1")
    assert timer.left() is None
