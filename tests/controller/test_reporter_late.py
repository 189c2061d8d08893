# SPDX-License-Identifier: Apache-2.0
"""What Octavia may have overwritten is told once more, unless Octavia says that it has not."""

import threading

import pytest

from octavia_ovn.controller.reporter import RESEND_DELAY, Reporter
from octavia_ovn.controller.status_updates import StatusUpdate, ids, merge
from octavia_ovn.errors import Unavailable
from tests.controller.outside import Clock
from tests.controller.test_reporter import PATIENCE, eventually

POOL = {"id": "pool", "provisioning_status": "ACTIVE"}
MEMBER = {"id": "member", "provisioning_status": "ACTIVE"}
MESSAGE = {"members": [MEMBER], "pools": [POOL]}


LB = {"id": "lb", "provisioning_status": "ACTIVE"}
CREATION = {**MESSAGE, "loadbalancers": [LB]}
AWAY = Unavailable("Octavia's API does not answer")


class Sink:
    """Octavia, which keeps what it is told; may be held up."""

    def __init__(self):
        self.messages = []
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def update_status(self, status):
        self.entered.set()
        assert self.open.wait(PATIENCE)
        self.messages.append(status)


class Bench:
    def __init__(self):
        self.sink, self.clock = Sink(), Clock()
        self.settled = lambda _: frozenset()
        self.objects = {"lb"}
        self.reporter = Reporter(
            self.sink,
            lambda *_: None,
            self.clock,
            self._settled,
            lambda _: frozenset(self.objects),
        )

    def _settled(self, message):
        return self.settled(message)

    def report(self, message, late):
        self.reporter.send(StatusUpdate("lb", "ticket", message, resend=late))
        self.rests()

    def rests(self):
        """Wait until the threads have done what is due now."""
        eventually(lambda: not self._busy())

    def _busy(self):
        with self.reporter._changed:
            parcels = [*self.reporter._waiting.values(), *self.reporter._resends.values()]
            due = any(each.due <= self.clock() for each in parcels)
            return due or bool(self.reporter._sending)

    def passes(self, seconds):
        self.clock.passes(seconds)
        with self.reporter._changed:
            self.reporter._changed.notify_all()
        self.rests()

    def again(self):
        """What has been told after the first message."""
        return merge(self.sink.messages[1:])


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.sink.open.set()
    made.reporter.close(PATIENCE)


@pytest.fixture
def told_again(bench):
    """Return a function that reports, lets time pass, and returns what is told once more."""

    def tell(settled, message):
        bench.settled = settled
        bench.report(message, message)
        assert bench.sink.messages == [message]
        bench.passes(RESEND_DELAY)
        return bench.again()

    return tell


def test_what_is_settled_is_not_told_again(told_again):
    assert told_again(lambda _: frozenset({"pool", "member"}), MESSAGE) == {}


def test_what_is_not_settled_is_told_again(told_again):
    assert told_again(lambda _: frozenset({"pool"}), MESSAGE) == {"members": [MEMBER]}


def test_an_answer_that_nobody_has_foreseen_settles_nothing(told_again):
    def settled(_):
        raise KeyError("provisioning_status")

    assert told_again(settled, MESSAGE) == MESSAGE


def test_octavia_is_asked_only_about_a_few(told_again):
    many = {"members": [{"id": f"member {number}"} for number in range(100)]}
    asked = []

    def settled(message):
        asked.append(message)
        return ids(message)

    assert told_again(settled, many) == many
    assert asked == []


def test_what_is_told_while_earlier_records_wait_has_its_own_second(bench):
    """Octavia may overwrite it after the earlier ones have been told once more."""
    bench.report({"members": [MEMBER]}, {"members": [MEMBER]})
    bench.passes(0.9 * RESEND_DELAY)
    bench.report({"pools": [POOL]}, {"pools": [POOL]})
    bench.passes(0.9 * RESEND_DELAY)
    assert bench.again() == {"pools": [POOL]}

    bench.passes(0.1 * RESEND_DELAY)
    assert merge(bench.sink.messages[2:]) == MESSAGE


def away(_):
    raise AWAY


class TestOctaviaDoesNotSay:
    """A load balancer that is told ACTIVE once more is let go, whatever request holds it."""

    def test_what_belongs_to_a_load_balancer_is_told_all_the_same(self, told_again):
        assert told_again(away, MESSAGE) == MESSAGE

    def test_a_load_balancer_that_no_later_request_holds_is_told_in_the_end(self, bench):
        bench.settled = away
        bench.report(CREATION, CREATION)
        bench.passes(RESEND_DELAY)
        assert bench.again() == {}

        for _ in range(120):
            bench.passes(1.0)
        assert bench.again() == CREATION

    @pytest.mark.parametrize("before", [0.0, 0.5, RESEND_DELAY, 7.0])
    def test_a_load_balancer_that_a_later_request_holds_is_never_told(self, bench, before):
        bench.settled = away
        bench.report(CREATION, CREATION)
        bench.passes(before)
        bench.reporter.withdraw("lb")
        for _ in range(120):
            bench.passes(1.0)
        assert bench.again() == MESSAGE

    def test_neither_when_the_request_came_before_the_answer(self, bench):
        """Octavia has let the load balancer go, and its answer is still on its way."""
        bench.settled = away
        bench.sink.open.clear()
        bench.reporter.send(StatusUpdate("lb", "ticket", CREATION, resend=CREATION))
        assert bench.sink.entered.wait(PATIENCE)
        bench.reporter.withdraw("lb")
        bench.sink.open.set()
        bench.rests()
        for _ in range(120):
            bench.passes(1.0)
        assert bench.again() == MESSAGE

    def test_as_soon_as_octavia_says_that_it_is_needed_it_is_told(self, bench):
        bench.settled = away
        bench.report(CREATION, CREATION)
        bench.passes(RESEND_DELAY)
        bench.settled = lambda _: frozenset()
        bench.passes(10 * RESEND_DELAY)
        assert bench.again() == CREATION
