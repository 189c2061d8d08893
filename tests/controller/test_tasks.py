# SPDX-License-Identifier: Apache-2.0
"""Background calls: each is made once beside the main loop, and again until it is answered."""

import logging

import pytest

from octavia_ovn.controller.tasks import REFUSAL_AGE, Done
from octavia_ovn.errors import Conflict, NotFound, Refused, Unavailable
from tests.controller.task_bench import Bench


@pytest.fixture
def bench():
    return Bench()


def test_an_answer_is_there_at_the_next_request(bench):
    assert bench.get() is None
    assert bench.woken == []

    bench.work()

    assert bench.woken == ["lb1"]
    assert bench.get() == Done("answer 1")
    assert len(bench.executor) == 0


def test_nothing_happens_outside_the_main_loop(bench):
    bench.get()
    bench.executor.run()

    assert bench.woken == []
    assert bench.get() is None


def test_many_wait_for_one_question(bench):
    for waiter in ("lb2", "lb1", "lb2"):
        bench.get(waiter)

    bench.work()

    assert bench.service.asked == 1
    assert bench.woken == ["lb1", "lb2"]


@pytest.mark.parametrize("error", [NotFound("gone"), Conflict("taken")])
def test_a_refusal_is_an_answer(bench, error):
    bench.service.error = error
    bench.get()
    bench.work()

    assert bench.woken == ["lb1"]
    assert bench.get() == Done(None, error)


@pytest.mark.parametrize("error", [Unavailable("503"), RuntimeError("bug")])
def test_everything_else_is_tried_again_with_back_off(bench, error):
    bench.service.error = error
    assert bench.get() is None
    for seconds in (0.1, 0.2, 0.4):
        bench.work()

        assert bench.get() is None
        assert bench.tasks.next_due() == pytest.approx(seconds)

        bench.tasks.retry_due()
        assert len(bench.executor) == 0

        bench.clock.passes(seconds + 0.001)
        bench.tasks.retry_due()
    bench.service.error = None
    bench.work()

    assert bench.get() == Done("answer 4")
    assert bench.tasks.next_due() is None


@pytest.mark.parametrize("error", [Unavailable("no answer"), NotFound("no such thing")])
def test_log_lines_name_a_task_without_its_requests(bench, error, caplog):
    bench.service.error = error
    bench.tasks.get(("ports", "lb1", ("create:1",), frozenset({"m1"})), bench.service, "lb1")
    bench.work()

    assert "Task ports lb1 w" in caplog.text


def test_a_waiter_is_woken_by_a_failure_once_and_by_the_answer_if_it_still_waits(bench):
    bench.service.error = Unavailable("503")
    bench.get("lb1")
    bench.get("lb2")
    bench.work()
    assert bench.woken == ["lb1", "lb2"]

    bench.get("lb1")
    bench.service.error = None
    bench.clock.passes(1)
    bench.tasks.retry_due()
    bench.work()

    assert bench.woken == ["lb1", "lb2", "lb1"]


def test_distinguishes_the_first_attempt_from_later_ones(bench):
    bench.service.error = Unavailable("503")
    assert not bench.tasks.is_first_attempt("key", "lb1")
    bench.get()
    assert bench.tasks.is_first_attempt("key", "lb1")

    bench.work()

    assert not bench.tasks.is_first_attempt("key", "lb1")


@pytest.mark.parametrize("error", [None, Refused("no")])
def test_a_one_time_task_runs_as_often_as_it_is_requested(bench, error):
    bench.service.error = error
    for count in (1, 2):
        bench.tasks.run_once("key", bench.service, "lb1")
        bench.tasks.run_once("key", bench.service, "lb2")
        assert bench.tasks.is_running("key", "lb1")
        bench.work()
        assert bench.service.asked == count
        assert not bench.tasks.is_running("key", "lb1")

    assert bench.woken == ["lb1", "lb2"] * 2
    assert bench.tasks._done == {}


class TestOrder:
    def test_a_one_time_task_follows_a_task_that_is_under_way(self, bench):
        order = []
        bench.tasks.get("source", lambda: order.append("source"), "lb1")
        bench.executor.begin()
        bench.tasks.forget("source")
        bench.tasks.run_once("release", lambda: order.append("release"), "lb1", after="source")
        assert len(bench.executor) == 1
        bench.work()
        bench.work()

        assert order == ["source", "release"]
        assert not bench.tasks.is_running("release", "lb1")

    def test_a_one_time_task_follows_nothing_that_has_ended_or_waits_for_its_retry(self, bench):
        bench.service.error = Unavailable("503")
        bench.get()
        bench.work()
        bench.tasks.forget("key")
        bench.tasks.run_once("release", lambda: None, "lb1", after="key")

        assert len(bench.executor) == 1

    def test_a_one_time_task_that_is_requested_while_it_runs_runs_again(self, bench):
        def work():
            if bench.service.asked == 0:
                bench.tasks.run_once("key", bench.service, "lb2")
            return bench.service()

        bench.tasks.run_once("key", work, "lb1")
        bench.work()
        assert bench.service.asked == 1
        assert bench.tasks.is_running("key", "lb1")
        bench.work()

        assert bench.service.asked == 2
        assert bench.woken == ["lb1", "lb2"]


def test_an_agent_that_is_not_active_any_more_begins_nothing(bench):
    """Not what waits for a thread, for its retry or for another task."""
    bench.get()
    bench.tasks.run_once("release", bench.service, "lb1", after="key")
    bench.tasks.run_once("other", bench.service, "lb1")
    bench.tasks.clear()
    bench.work()
    assert bench.service.asked == 0

    bench.service.error = Unavailable("503")
    bench.tasks.run_once("other", bench.service, "lb1")
    bench.work()
    bench.tasks.clear()
    bench.clock.passes(100)
    bench.tasks.retry_due()
    assert len(bench.executor) == 0
    assert not bench.tasks.is_running("other", "lb1")


def test_what_waited_for_a_task_that_is_under_way_is_not_done_either(bench):
    bench.get()
    bench.executor.begin()
    bench.tasks.run_once("release", bench.service, "lb1", after="key")
    bench.tasks.clear()
    bench.work()
    bench.work()

    assert bench.service.asked == 1
    assert bench.tasks._done == {}


@pytest.mark.parametrize(
    ("error", "longest"),
    [(Unavailable("503"), 60.0), (RuntimeError("bug"), 60.0), (Refused("403"), REFUSAL_AGE)],
)
def test_after_an_outage_of_a_day_all_is_asked_for_soon(caplog, error, longest):
    """Nothing grows meanwhile, and nothing is asked for more often than it should be."""
    caplog.set_level(logging.CRITICAL)
    bench = Bench(longest=60.0)
    keys = [("subnet", number) for number in range(5)]

    def look(seconds):
        for key in keys:
            bench.tasks.get(key, bench.service, "lb1")
        bench.work()
        bench.clock.passes(seconds)
        bench.tasks.retry_due()

    bench.service.error = error
    end = bench.clock.now + 24 * 3600
    while bench.clock.now < end:
        look(10)
    assert bench.service.asked <= len(keys) * (24 * 3600 / longest + 10)
    assert len(bench.tasks._done) + len(bench.tasks._tasks) <= 2 * len(keys)
    assert len(bench.tasks._retries) + len(bench.tasks._refusals) <= 2 * len(keys)

    bench.service.error = None
    for _ in range(3):
        look(longest)

    assert all(bench.tasks.get(key, bench.service, "lb1").value for key in keys)
    assert bench.tasks.next_due() is None


def test_waits_only_for_what_has_been_started(bench):
    assert not bench.tasks.is_running("key", "lb2")

    bench.get()
    assert bench.tasks.is_running("key", "lb2")
    bench.work()

    assert bench.woken == ["lb1", "lb2"]
    assert not bench.tasks.is_running("key", "lb2")
