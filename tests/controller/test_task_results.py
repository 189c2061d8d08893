# SPDX-License-Identifier: Apache-2.0
"""How long results of background calls are kept, and when they are forgotten."""

import pytest

from octavia_ovn.controller import tasks
from octavia_ovn.controller.tasks import ANSWER_AGE, REFUSAL_AGE, Done
from octavia_ovn.errors import Conflict, NotFound, Refused, Unavailable
from tests.controller.task_bench import Bench


@pytest.fixture
def bench():
    return Bench()


def test_an_answer_counts_until_it_is_forgotten(bench):
    bench.get()
    bench.work()
    bench.tasks.forget("key")

    assert bench.get() is None

    bench.work()

    assert bench.get() == Done("answer 2")


@pytest.mark.parametrize("error", [Refused("quota"), Conflict("taken"), NotFound("no subnet")])
class TestRefusals:
    @pytest.fixture
    def refused(self, bench, error):
        bench.service.error = error
        bench.get()
        bench.work()
        bench.get()
        bench.service.error = None
        bench.woken.clear()
        return bench

    def test_one_is_requested_again_and_counts_meanwhile(self, refused, error):
        refused.tasks.forget_refusals()

        assert refused.get("lb2") == Done(None, error)
        refused.work()
        assert refused.woken == ["lb1", "lb2"]
        assert refused.get() == Done("answer 2")

    def test_one_that_is_old_wakes_those_who_use_it(self, refused, error):
        refused.clock.passes(REFUSAL_AGE - 1)
        refused.tasks.retry_due()
        assert refused.woken == []
        assert refused.tasks.next_due() == pytest.approx(1)

        refused.clock.passes(1)
        refused.tasks.retry_due()

        assert refused.woken == ["lb1"]
        assert refused.tasks.next_due() is None
        assert refused.get() == Done(None, error)
        refused.work()
        assert refused.get() == Done("answer 2")

    def test_one_that_is_not_used_any_more_is_not_requested(self, refused, error):
        refused.tasks.forget("key")
        refused.clock.passes(REFUSAL_AGE)
        refused.tasks.retry_due()

        assert refused.woken == []
        assert len(refused.executor) == 0

    def test_one_counts_while_the_service_is_away(self, refused, error):
        refused.service.error = Unavailable("503")
        refused.tasks.forget_refusals()
        refused.get()
        refused.work()

        assert refused.get() == Done(None, error)


def test_an_answer_that_is_used_for_long_is_requested_again(bench):
    bench.get()
    bench.work()
    bench.clock.passes(ANSWER_AGE)

    assert bench.get() == Done("answer 1")
    bench.work()
    assert bench.get() == Done("answer 2")


def test_an_answer_is_requested_again_after_an_event(bench):
    bench.get()
    bench.work()
    bench.tasks.expire("key")
    bench.tasks.expire("never asked")

    assert bench.get() == Done("answer 1")
    bench.work()
    assert bench.get() == Done("answer 2")


def test_keeps_a_bounded_number_of_answers(bench, monkeypatch):
    monkeypatch.setattr(tasks, "MOST", 3)
    for number in range(3):
        bench.tasks.get(number, bench.service, "lb1")
        bench.work()
    bench.tasks.get(0, bench.service, "lb1")
    bench.tasks.get(3, bench.service, "lb1")
    bench.work()

    assert list(bench.tasks._done) == [2, 0, 3]


class TestForgettingWhatIsUnderWay:
    """The answer to a request that was forgotten meanwhile does not count."""

    @pytest.mark.parametrize("error", [None, Refused("quota"), Unavailable("503")])
    def test_its_result_does_not_count(self, bench, error):
        bench.service.error = error
        bench.get()
        bench.executor.run()
        bench.tasks.forget("key")
        bench.work()

        assert bench.tasks._done == {}
        assert bench.woken == ["lb1"]
        assert bench.tasks.next_due() is None

    @pytest.mark.parametrize("error", [None, Refused("quota")])
    def test_a_new_request_gets_a_new_answer_after_the_old_attempt(self, bench, error):
        bench.service.error = error
        bench.get()
        bench.executor.begin()
        bench.tasks.forget("key")
        assert bench.get("lb2") is None
        assert len(bench.executor) == 1
        bench.work()
        assert bench.woken == []

        bench.service.error = None
        bench.work()

        assert bench.woken == ["lb1", "lb2"]
        assert bench.get() == Done("answer 2")

    def test_a_new_request_waits_while_the_service_is_away(self, bench):
        bench.service.error = Unavailable("503")
        bench.get()
        bench.executor.begin()
        bench.tasks.forget("key")
        bench.get("lb2")
        bench.work()
        bench.service.error = None
        bench.clock.passes(1)
        bench.tasks.retry_due()
        bench.work()

        assert bench.get() == Done("answer 2")

    def test_an_attempt_that_has_not_begun_is_not_made(self, bench):
        bench.get()
        bench.tasks.forget("key")
        bench.work()

        assert bench.service.asked == 0
        assert bench.woken == ["lb1"]

    def test_a_retry_is_given_up(self, bench):
        bench.service.error = Unavailable("503")
        bench.get()
        bench.work()
        bench.get()
        bench.tasks.forget("key")
        bench.clock.passes(1)
        bench.tasks.retry_due()

        assert len(bench.executor) == 0
        assert bench.woken == ["lb1", "lb1"]
        assert not bench.tasks.is_running("key", "lb1")


def test_forgetting_an_unknown_task_is_fine(bench):
    bench.tasks.forget("key")

    assert bench.get() is None
