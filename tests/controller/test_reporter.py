# SPDX-License-Identifier: Apache-2.0
"""Octavia is told in as few messages as possible, until it has accepted."""

import threading
import time

import pytest

from octavia_ovn.controller.reporter import RESEND_DELAY, Reporter
from octavia_ovn.controller.status_updates import StatusUpdate, ids, merge, without
from octavia_ovn.errors import Refused, Unavailable
from tests.controller.outside import Clock

PATIENCE = 5.0


def eventually(condition, meanwhile=lambda: None):
    """Wait for background threads."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        meanwhile()
        time.sleep(0.001)


class RefusedRecord(Refused):
    def __init__(self, status_object_id):
        super().__init__(f"no {status_object_id}")
        self.status_object_id = status_object_id


class Sink:
    """Octavia's driver agent: remembers what it has accepted; may be closed, or refuse objects."""

    def __init__(self):
        self.open = threading.Event()
        self.open.set()
        self.entered = 0
        self.tried, self.accepted = [], []
        self.refused, self.error = set(), None

    def update_status(self, status):
        self.entered += 1
        assert self.open.wait(PATIENCE)
        self.tried.append(sorted(ids(status)))
        if self.error is not None:
            raise self.error
        for culprit in sorted(ids(status) & self.refused):
            raise RefusedRecord(culprit)
        self.accepted.append(status)


class Bench:
    """A reporter with one thread that sends, so that tests know what it does next."""

    def __init__(self):
        self.sink, self.clock = Sink(), Clock()
        self.answers, self.settled, self.objects = [], frozenset(), {}
        self.reporter = Reporter(
            self.sink,
            lambda lb_id, ticket: self.answers.append((lb_id, ticket)),
            self.clock,
            self._settled,
            lambda lb_id: self.objects.get(lb_id, frozenset({lb_id})),
            workers=1,
        )

    def _settled(self, message):
        if isinstance(self.settled, Exception):
            raise self.settled
        return self.settled & ids(message)

    def send(self, lb_id, ticket="t", late=(), **pools):
        records = [{"id": each, "provisioning_status": word} for each, word in pools.items()]
        message = {"pools": records, "loadbalancers": [{"id": lb_id}]}
        again = {"pools": [each for each in records if each["id"] in late]} if late else {}
        self.reporter.send(StatusUpdate(lb_id, ticket, message, again))

    def busy(self):
        """Have the thread wait in a message, so that what comes now has to wait."""
        before = self.sink.entered
        self.sink.open.clear()
        self.send("busy")
        eventually(lambda: self.sink.entered > before)

    def running(self):
        self.sink.open.set()

    def passes(self, seconds):
        """Let time pass, and have the threads notice."""
        self.clock.passes(seconds)
        with self.reporter._changed:
            self.reporter._changed.notify_all()

    def in_time(self, condition, step=0.05):
        """Let time pass until something has happened."""
        eventually(condition, lambda: self.passes(step))

    def told(self):
        """The ids in each message that was accepted, without the load balancer that kept busy."""
        return [sorted(ids(each)) for each in self.sink.accepted if ids(each) != {"busy"}]


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.running()
    made.reporter.close(PATIENCE)


def test_tells_and_says_that_it_is_accepted(bench):
    bench.send("lb1", p1="ACTIVE")

    eventually(lambda: bench.answers == [("lb1", "t")])

    assert bench.told() == [["lb1", "p1"]]


def test_tells_of_many_in_one_message(bench):
    bench.busy()
    for number in range(1, 4):
        bench.send(f"lb{number}", **{f"p{number}": "ACTIVE"})
    bench.running()

    eventually(lambda: len(bench.answers) == 4)

    (message,) = (each for each in bench.sink.accepted if each.get("pools"))
    assert [each["id"] for each in message["pools"]] == ["p1", "p2", "p3"]
    assert list(message) == ["pools", "loadbalancers"]


def test_a_later_parcel_replaces_one_that_waits(bench):
    bench.busy()
    bench.send("lb1", "old", p1="ACTIVE")
    bench.send("lb1", "new", p1="DELETED")
    bench.running()

    eventually(lambda: len(bench.answers) == 2)

    assert bench.answers[1] == ("lb1", "new")
    assert bench.told() == [["lb1", "p1"]]


def test_a_refusal_hits_only_its_own_load_balancer(bench):
    bench.sink.refused = {"p2"}
    bench.busy()
    for number in range(1, 4):
        bench.send(f"lb{number}", **{f"p{number}": "ACTIVE"})
    bench.running()

    eventually(lambda: len(bench.answers) == 3)

    assert {each for each, _ in bench.answers} == {"busy", "lb1", "lb3"}


def test_a_refused_record_is_tried_for_a_while(bench):
    """Octavia may not have committed its row yet."""
    bench.sink.refused = {"p1"}
    bench.send("lb1", p1="ACTIVE")
    eventually(lambda: len(bench.sink.tried) == 1)
    bench.sink.refused = set()

    bench.in_time(lambda: bench.answers == [("lb1", "t")])

    assert bench.told() == [["lb1", "p1"]]


def test_and_in_the_end_left_out_for_the_sake_of_the_others(bench):
    bench.sink.refused = {"p1"}
    bench.send("lb1", p1="ACTIVE", p2="ACTIVE")

    bench.in_time(lambda: bench.answers == [("lb1", "t")], step=1.0)

    assert bench.sink.tried == [["lb1", "p1", "p2"]] * 9 + [["lb1", "p2"]]


def test_nobody_there_is_tried_with_back_off(bench):
    bench.sink.error = Unavailable("no socket")
    bench.send("lb1", p1="ACTIVE")
    bench.in_time(lambda: len(bench.sink.tried) == 5)
    assert bench.answers == []
    assert bench.clock.now - 1000.0 >= 0.05 + 0.1 + 0.2 + 0.4

    bench.sink.error = None
    bench.in_time(lambda: bench.answers == [("lb1", "t")])


def test_what_waits_does_not_hold_up_others(bench):
    bench.sink.refused = {"p1"}
    bench.send("lb1", p1="ACTIVE")
    eventually(lambda: len(bench.sink.tried) == 1)
    bench.send("lb2", p2="ACTIVE")

    eventually(lambda: bench.answers == [("lb2", "t")])


def test_what_nobody_has_foreseen_does_not_end_it(bench, caplog):
    bench.sink.error = KeyError("unforeseen")
    bench.send("lb1", p1="ACTIVE")
    bench.in_time(lambda: len(bench.sink.tried) == 2)
    assert "unforeseen" in caplog.text

    bench.sink.error = None
    bench.in_time(lambda: bench.answers == [("lb1", "t")])


def test_what_waits_is_dropped_when_another_agent_reports(bench):
    bench.busy()
    bench.send("lb1", p1="ACTIVE")
    bench.reporter.drop()
    bench.running()
    bench.send("lb2", p2="ACTIVE")

    eventually(lambda: bench.answers == [("lb2", "t")])
    assert bench.told() == [["lb2", "p2"]]


def test_what_failed_meanwhile_is_dropped_as_well(bench):
    bench.sink.error = Unavailable("no socket")
    bench.busy()
    bench.reporter.drop()
    bench.running()
    eventually(lambda: bench.sink.tried)
    bench.sink.error = None
    bench.send("lb1", "new", p1="ACTIVE")

    bench.in_time(lambda: bench.answers == [("lb1", "new")])
    bench.passes(60)
    bench.send("lb2", p2="ACTIVE")
    eventually(lambda: len(bench.answers) == 2)
    assert len(bench.sink.accepted) == 2


def test_closing_takes_as_long_as_it_may_in_all():
    sink = Sink()
    sink.open.clear()
    reporter = Reporter(sink, lambda *_: None, Clock(), workers=3)
    for number in range(1, 4):
        reporter.send(StatusUpdate(f"lb{number}", "t", {"loadbalancers": [{"id": f"lb{number}"}]}))
        eventually(lambda number=number: sink.entered == number)
    began = time.monotonic()

    reporter.close(0.3)

    sink.open.set()
    assert 0.3 <= time.monotonic() - began < 0.6


class TestLate:
    def test_is_told_once_more(self, bench):
        bench.send("lb1", late=("p1",), p1="ACTIVE", p2="ACTIVE")
        eventually(lambda: bench.answers)
        assert bench.told() == [["lb1", "p1", "p2"]]

        bench.in_time(lambda: len(bench.told()) == 2)
        assert bench.told()[1] == ["p1"]
        bench.passes(10 * RESEND_DELAY)
        bench.send("lb2")
        eventually(lambda: len(bench.told()) == 3)
        assert bench.answers == [("lb1", "t"), ("lb2", "t")]

    def test_not_before_its_time(self, bench):
        bench.send("lb1", late=("p1",), p1="ACTIVE")
        eventually(lambda: bench.answers)
        bench.passes(RESEND_DELAY / 2)
        bench.send("lb2")
        eventually(lambda: len(bench.answers) == 2)

        assert bench.told() == [["lb1", "p1"], ["lb2"]]

    def test_not_what_octavia_shows_as_settled(self, bench):
        bench.settled = frozenset({"p1"})
        bench.send("lb1", late=("p1", "p2"), p1="ACTIVE", p2="ACTIVE")
        eventually(lambda: bench.answers)
        bench.in_time(lambda: len(bench.told()) == 2)
        assert bench.told()[1] == ["p2"]

    def test_not_what_has_been_told_anew(self, bench):
        bench.send("lb1", late=("p1", "p2"), p1="ACTIVE", p2="ACTIVE")
        eventually(lambda: bench.answers)
        bench.send("lb1", p1="DELETED")
        eventually(lambda: len(bench.answers) == 2)
        bench.in_time(lambda: len(bench.told()) == 3)
        assert bench.told()[2] == ["p2"]

    def test_never_with_an_old_status_while_a_new_one_cannot_be_told(self, bench):
        """The new one came while the old one was on its way, and Octavia refuses it for now."""
        bench.sink.open.clear()
        bench.send("lb1", late=("p1", "p2"), p1="ACTIVE", p2="ACTIVE")
        eventually(lambda: bench.sink.entered == 1)
        bench.send("lb1", "new", p1="DELETED")
        bench.sink.refused = {"x"}
        bench.send("lb1", "new", x="ACTIVE", p1="DELETED")
        bench.running()
        eventually(lambda: ["lb1", "p1", "x"] in bench.sink.tried)
        bench.in_time(lambda: len(bench.sink.accepted) >= 2, step=0.25)

        statuses = [
            each["provisioning_status"]
            for message in bench.sink.accepted[1:]
            for each in message["pools"]
            if each["id"] == "p1"
        ]
        assert statuses == []

    def test_a_new_load_balancer_only_when_octavia_knows_it(self, bench):
        record = {"id": "lb1", "provisioning_status": "ACTIVE"}
        bench.objects = {"lb1": frozenset()}
        message = {"loadbalancers": [record]}
        bench.reporter.send(StatusUpdate("lb1", "t", message, message))
        eventually(lambda: bench.answers)
        bench.passes(RESEND_DELAY)
        bench.send("lb2")
        eventually(lambda: len(bench.answers) == 2)
        assert bench.told() == [["lb1"], ["lb2"]]

        bench.objects = {}
        bench.in_time(lambda: bench.told() == [["lb1"], ["lb2"], ["lb1"]])


def test_a_message_without_some_objects():
    message = {"pools": [{"id": "p1"}, {"id": "p2"}], "listeners": [{"id": "l1"}]}

    assert without(message, frozenset({"p1", "l1"})) == {"pools": [{"id": "p2"}]}


def test_merges_in_octavias_order():
    one = {"loadbalancers": [{"id": "lb1"}]}
    two = {"members": [{"id": "m1"}], "loadbalancers": [{"id": "lb2"}]}

    assert list(merge([one, two]).items()) == [
        ("members", [{"id": "m1"}]),
        ("loadbalancers", [{"id": "lb1"}, {"id": "lb2"}]),
    ]


def test_closing_ends_the_threads():
    bench = Bench()
    bench.reporter.close(PATIENCE)
    bench.send("lb1")

    assert bench.sink.tried == []
