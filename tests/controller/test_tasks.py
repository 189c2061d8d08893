"""Slow questions, asked once each beside the main loop, and again while nobody answers."""

import pytest

from octavia_ovn.controller.tasks import Done, Tasks
from octavia_ovn.errors import Conflict, NotFound, Refused, Unavailable
from tests.controller.outside import Clock, Later


class Service:
    """Answers, or raises the error that is set."""

    def __init__(self):
        self.asked = 0
        self.error = None

    def __call__(self):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return f"answer {self.asked}"


class Bench:
    def __init__(self):
        self.clock, self.executor, self.service = Clock(), Later(), Service()
        self.posted, self.woken = [], []
        self.tasks = Tasks(
            self.executor, self.posted.append, self.woken.append, self.clock, longest=10.0
        )

    def get(self, waiter="lb1"):
        return self.tasks.get("key", self.service, waiter)

    def work(self):
        """The executor works, then the main loop."""
        self.executor.run()
        while self.posted:
            self.posted.pop(0)()


@pytest.fixture
def bench():
    return Bench()


def test_an_answer_is_there_at_the_next_look(bench):
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


def test_who_waits_hears_of_a_failure_once_and_of_the_answer_if_it_still_waits(bench):
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


def test_tells_the_first_attempt_from_later_ones(bench):
    bench.service.error = Unavailable("503")
    assert not bench.tasks.is_first_attempt("key", "lb1")
    bench.get()
    assert bench.tasks.is_first_attempt("key", "lb1")

    bench.work()

    assert not bench.tasks.is_first_attempt("key", "lb1")


def test_an_answer_counts_until_it_is_forgotten(bench):
    bench.get()
    bench.work()
    bench.tasks.forget("key")

    assert bench.get() is None

    bench.work()

    assert bench.get() == Done("answer 2")


@pytest.mark.parametrize("error", [None, Refused("no")])
def test_a_deed_is_done_as_often_as_it_is_asked_for(bench, error):
    bench.service.error = error
    for count in (1, 2):
        bench.tasks.do("key", bench.service, "lb1")
        bench.tasks.do("key", bench.service, "lb2")
        assert bench.tasks.wait_for("key", "lb1")
        bench.work()
        assert bench.service.asked == count
        assert not bench.tasks.wait_for("key", "lb1")

    assert bench.woken == ["lb1", "lb2"] * 2
    assert bench.tasks._done == {}


def test_a_refusal_is_forgotten_and_what_does_not_exist_is_not(bench):
    for key, error in (("key", Refused("quota")), ("other", NotFound("no subnet"))):
        bench.service.error = error
        bench.tasks.get(key, bench.service, "lb1")
        bench.work()
    bench.service.error = None

    bench.tasks.forget_refusals()

    assert bench.get() is None
    assert bench.tasks.get("other", bench.service, "lb1").refusal is not None


def test_waits_only_for_what_has_been_started(bench):
    assert not bench.tasks.wait_for("key", "lb2")

    bench.get()
    assert bench.tasks.wait_for("key", "lb2")
    bench.work()

    assert bench.woken == ["lb1", "lb2"]
    assert not bench.tasks.wait_for("key", "lb2")


def test_forgetting_what_nobody_asked_is_fine(bench):
    bench.tasks.forget("key")

    assert bench.get() is None
