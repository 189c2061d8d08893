# SPDX-License-Identifier: Apache-2.0
"""Each load balancer has messages of its own, until Octavia has accepted them."""

import threading
import time

import pytest

from octavia_ovn.controller.reporter import MAX_MESSAGES, MAX_WAITING, SLOW, Reporter
from octavia_ovn.controller.status_updates import StatusUpdate, without
from octavia_ovn.errors import Unanswered, Unavailable
from octavia_ovn.supervised import DaemonExecutor
from tests.controller.outside import Clock
from tests.controller.reports import Bench

AWAY = Unavailable("no socket")
ALONE = {"loadbalancers": [{"id": "lb1", "operating_status": "ONLINE"}]}


@pytest.fixture
def bench():
    return Bench()


def test_reports_and_says_that_it_is_accepted(bench):
    bench.send("lb1", p1="ACTIVE")
    bench.settle()

    assert bench.ended == [("lb1", "key")]
    assert bench.messages == [["lb1", "p1"]]
    assert bench.reporter.next_due() is None


def test_one_that_is_not_wanted_any_more_is_not_sent(bench):
    bench.reporter._wanted = lambda lb_id, _: lb_id != "lb1"
    bench.send("lb1")
    bench.send("lb2")
    bench.settle()

    assert bench.ended == [("lb2", "key")]


def test_one_is_sent_if_it_cannot_be_found_out_whether_it_is_wanted(bench, caplog):
    """An error of one must not end the main loop, which all share."""

    def fail(lb_id, _):
        if lb_id == "lb1":
            raise KeyError("no such column")
        return True

    bench.reporter._wanted = fail
    bench.send("lb1")
    bench.send("lb2")
    bench.settle()

    assert {lb_id for lb_id, _ in bench.ended} == {"lb1", "lb2"}
    assert caplog.text.count("Load balancer lb1 cannot be read") == 1


def test_load_balancers_are_reported_beside_each_other(bench):
    for number in range(MAX_MESSAGES + 1):
        bench.send(f"lb{number}")
    bench.begin()
    bench.begin()
    assert len(bench.executor) == MAX_MESSAGES

    bench.settle()
    assert bench.ended == [(f"lb{number}", "key") for number in range(MAX_MESSAGES + 1)]


def test_those_that_wait_for_a_lock_hold_no_others_up(bench):
    for number in range(MAX_MESSAGES + 1):
        bench.send(f"lb{number}")
    bench.begin()
    bench.clock.passes(bench.reporter.next_due())
    bench.begin()
    assert len(bench.executor) == MAX_MESSAGES + 1


def test_the_number_that_waits_is_bounded(bench):
    for number in range(2 * MAX_WAITING):
        bench.send(f"lb{number}")
    for _ in range(20):
        bench.begin()
        bench.clock.passes(SLOW)
    assert len(bench.executor) == MAX_WAITING

    bench.settle()
    assert len(bench.ended) == 2 * MAX_WAITING


def test_messages_about_one_load_balancer_follow_each_other(bench):
    bench.send("lb1", "old", p1="ACTIVE")
    bench.begin()
    bench.send("lb1", "new", p1="DELETED")
    bench.begin()
    assert len(bench.executor) == 1

    bench.settle()
    assert bench.ended == [("lb1", "old"), ("lb1", "new")]


def test_a_later_update_replaces_one_that_waits(bench):
    bench.send("lb1", "old", p1="ACTIVE")
    bench.send("lb1", "new", p1="DELETED")
    bench.settle()

    assert bench.ended == [("lb1", "new")]
    assert bench.messages == [["lb1", "p1"]]


def test_a_later_update_replaces_one_that_has_failed(bench):
    bench.octavia.error = AWAY
    bench.send("lb1", "old", p1="ACTIVE")
    bench.begin()
    bench.send("lb1", "new", p1="DELETED")
    bench.end()
    bench.octavia.error = None
    bench.settle()

    assert bench.ended == [("lb1", "new")]


def test_load_balancers_are_forgotten_when_they_have_been_reported(bench):
    for number in range(100):
        bench.send(f"lb{number}")
        bench.settle()
    kept = [bench.reporter, bench.reporter._queue]
    sizes = [len(each) for part in kept for each in vars(part).values() if hasattr(each, "__len__")]
    assert set(sizes) == {0}


def test_a_refused_record_is_left_out_in_the_end(bench):
    bench.octavia.refused = {"p1"}
    bench.send("lb1", p1="ACTIVE", p2="ACTIVE")
    bench.send("lb2", p3="ACTIVE")
    bench.settle()
    assert bench.ended == [("lb2", "key")]

    assert bench.until(lambda: len(bench.ended) == 2) < 70
    assert bench.octavia.tried[-2:] == [["lb1", "p1", "p2"], ["lb1", "p2"]]


def test_a_record_that_is_refused_for_a_while_is_not_left_out(bench):
    bench.octavia.refused = {"p1"}
    bench.send("lb1", p1="ACTIVE")
    bench.until(lambda: len(bench.octavia.tried) == 5)
    bench.octavia.refused = set()

    bench.until(lambda: bench.ended)
    assert bench.messages == [["lb1", "p1"]]


@pytest.mark.parametrize("error", [AWAY, Unanswered("no answer"), KeyError("unforeseen")])
def test_what_fails_is_sent_again_with_back_off(bench, error, caplog):
    bench.octavia.error = error
    bench.send("lb1", p1="ACTIVE")
    assert bench.until(lambda: len(bench.octavia.tried) == 5) >= 0.05 + 0.1 + 0.2 + 0.4
    assert bench.until(lambda: len(bench.octavia.tried) == 50) <= 45 * 10
    assert str(error.args[0]) in caplog.text
    lines = [each for each in caplog.messages if "be reported to Octavia" in each]
    assert len(lines) == (50 if isinstance(error, KeyError) else 1)
    assert bench.ended == []

    bench.octavia.error = None
    assert bench.until(lambda: bench.ended == [("lb1", "key")]) <= 10


class TestAnotherAgentReports:
    def test_what_waits_is_dropped(self, bench):
        bench.send("lb1", p1="ACTIVE")
        bench.reporter.drop()
        bench.settle()

        assert bench.octavia.tried == []

    @pytest.fixture
    def leaderless(self, bench, monkeypatch):
        """Another agent becomes the leader during each message."""
        update_status = bench.octavia.update_status

        def dropping(status):
            bench.reporter.drop()
            update_status(status)

        with monkeypatch.context() as patch:
            patch.setattr(bench.octavia, "update_status", dropping)
            yield patch

    @pytest.mark.parametrize("error", [None, AWAY])
    def test_what_is_being_sent_is_forgotten(self, bench, error, leaderless):
        bench.octavia.error = error
        bench.send("lb1", "old", p1="ACTIVE")
        bench.passes(60)
        assert len(bench.octavia.tried) == 1
        assert bench.ended == []

        leaderless.undo()
        bench.octavia.error = None
        bench.send("lb1", "new", p1="ACTIVE")
        bench.settle()
        assert bench.ended == [("lb1", "new")]

    @pytest.mark.usefixtures("leaderless")
    def test_no_statuses_follow_a_commit_that_took_as_long(self, bench):
        bench.send("lb1", first=True, p1="ACTIVE")
        bench.settle()

        assert bench.messages == [["lb1"]]
        assert bench.ended == []


class TestCommit:
    """Octavia calls the driver before it commits."""

    def test_a_request_is_committed_before_its_statuses_are_sent(self, bench):
        bench.send("lb1", first=True, p1="ACTIVE")
        bench.settle()

        assert bench.octavia.accepted[0] == ALONE
        assert bench.messages == [["lb1"], ["lb1", "p1"]]

    def test_nothing_else_is_sent_until_it_is(self, bench):
        bench.octavia.error = Unavailable("Lock wait timeout exceeded")
        bench.send("lb1", first=True, p1="ACTIVE")
        bench.until(lambda: len(bench.octavia.tried) == 3)

        assert bench.octavia.tried == [["lb1"]] * 3

    def test_a_new_load_balancer_is_reported_once_octavia_shows_it(self, bench):
        bench.octavia.uncommitted = {"lb1"}
        bench.send("lb1", new=True, p1="ACTIVE")
        bench.send("lb2", new=True)
        bench.passes(3.0)
        assert bench.messages == [["lb2"]]

        bench.octavia.uncommitted = set()
        bench.until(lambda: len(bench.ended) == 2)
        assert bench.messages == [["lb2"], ["lb1", "p1"]]

    def test_a_commit_is_noticed_soon(self, bench):
        bench.octavia.uncommitted = {"lb1"}
        bench.send("lb1", new=True)
        bench.passes(0)
        bench.octavia.uncommitted = set()

        assert bench.until(lambda: bench.ended) <= 0.02

    @pytest.mark.parametrize("problem", [None, AWAY, KeyError("unforeseen")])
    def test_one_that_octavia_never_shows_is_reported_in_the_end(self, bench, problem):
        bench.octavia.uncommitted, bench.octavia.problem = {"lb1"}, problem
        bench.send("lb1", new=True)

        assert 30 < bench.until(lambda: bench.ended) < 70


def test_closing_waits_for_what_is_being_sent_as_long_as_it_may():
    class Slow:
        opened = threading.Event()

        def update_status(self, _):
            self.opened.wait()

    sink = Slow()
    reporter = Reporter(sink, None, None, DaemonExecutor("report"), lambda _: None, Clock())
    for number in range(3):
        reporter.send(StatusUpdate(f"lb{number}", "key", {}))
    reporter.run()
    began = time.monotonic()
    reporter.close(0.3)
    assert 0.3 <= time.monotonic() - began < 0.6

    sink.opened.set()
    reporter.close(5.0)
    assert time.monotonic() - began < 5.0


def test_a_message_without_some_objects():
    message = {"pools": [{"id": "p1"}, {"id": "p2"}], "listeners": [{"id": "l1"}]}

    assert without(message, frozenset({"p1", "l1"})) == {"pools": [{"id": "p2"}]}
