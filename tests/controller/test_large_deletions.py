# SPDX-License-Identifier: Apache-2.0
"""What takes Octavia long is told in parts, the small first, never the same twice at a time."""

import itertools
import threading

import pytest

from octavia_ovn.controller import status_updates
from octavia_ovn.controller.reporter import Reporter
from octavia_ovn.controller.status_updates import StatusUpdate, cut, ids, merge, priced
from octavia_ovn.errors import Refused, Unanswered, Unavailable
from tests.controller.outside import Clock
from tests.controller.test_reporter import PATIENCE, eventually

PER_RECORD = 0.2
"""Seconds that Octavia takes for a deletion: the load balancer is large."""


def deleted(*object_ids):
    return [{"id": each, "provisioning_status": "DELETED"} for each in object_ids]


def deletion(lb_id, members):
    names = [f"{lb_id}-m{number}" for number in range(members)]
    return {
        "members": deleted(*names),
        "pools": deleted(f"{lb_id}-p"),
        "listeners": deleted(f"{lb_id}-l"),
        "loadbalancers": deleted(lb_id),
    }


class Octavia:
    """Takes time for each deletion, counts quotas, and may not answer while it is at work."""

    def __init__(self, clock):
        self.clock = clock
        self.messages = []
        self.objects = {}
        self.entered = 0
        self.open = threading.Event()
        self.open.set()
        self.quota = 0
        self.problem = None
        self.work = []
        """What it has not begun of messages that it has not answered."""

    def add(self, lb_id, message):
        self.objects[lb_id] = set(ids(message))
        self.quota += len(ids(message))

    def update_status(self, message):
        self.entered += 1
        assert self.open.wait(PATIENCE)
        if isinstance(self.problem, Refused):
            raise self.problem
        self.messages.append((self.clock(), message))
        records = [(kind, each["id"]) for kind, records in message.items() for each in records]
        if self.problem is not None:
            # Both that do the same at the same time count quotas down.
            self.work.append(records)
            raise self.problem
        for kind, each in records:
            self.clock.passes(PER_RECORD)
            self._delete(kind, each)

    def works(self, count):
        """Do more of what was not answered; all of that at the same time."""
        for records in self.work:
            for kind, each in records[:count]:
                self._delete(kind, each)
            del records[:count]

    def _delete(self, kind, object_id):
        there = [each for each in self.objects.values() if object_id in each]
        for each in there:
            self.quota -= 1
            if kind != "loadbalancers" or each == {object_id}:
                each.discard(object_id)
        at_work_too = sum((kind, object_id) in records for records in self.work)
        if there and at_work_too > 1:
            self.quota -= at_work_too - 1

    def tree(self, lb_id):
        if isinstance(self.problem, Unavailable) and not isinstance(self.problem, Unanswered):
            return None
        return frozenset(self.objects[lb_id])


class Bench:
    def __init__(self, workers=1):
        self.clock = Clock()
        self.octavia = Octavia(self.clock)
        self.ended = []
        self.reporter = Reporter(
            self.octavia,
            lambda lb_id, _: self.ended.append(lb_id),
            self.clock,
            objects=self._objects,
            workers=workers,
        )

    def _objects(self, lb_id):
        return self.octavia.tree(lb_id)

    def delete(self, lb_id, members):
        message = deletion(lb_id, members)
        self.octavia.add(lb_id, message)
        self.reporter.send(StatusUpdate(lb_id, "ticket", message))

    def passes(self, seconds):
        self.clock.passes(seconds)
        with self.reporter._changed:
            self.reporter._changed.notify_all()

    def in_time(self, condition, step=0.5):
        eventually(condition, lambda: self.passes(step))


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.reporter.close(PATIENCE)


def test_a_large_deletion_is_told_in_parts_that_octavia_ends_soon(bench):
    bench.delete("lb", 500)
    bench.in_time(lambda: bench.ended == ["lb"])

    messages = [message for _, message in bench.octavia.messages]
    told = [record for message in messages for records in message.values() for record in records]
    assert len(told) == len({each["id"] for each in told}) == 503
    assert list(messages[-1])[-1] == "loadbalancers"
    assert all("loadbalancers" not in message for message in messages[:-1])
    sizes = [len(ids(message)) for message in messages]
    assert max(sizes) * PER_RECORD <= 2 * status_updates.PART
    assert len(sizes) <= 2 * 503 * PER_RECORD / status_updates.PART


def test_parts_adapt_to_what_octavia_takes(bench, monkeypatch):
    monkeypatch.setattr("tests.controller.test_large_deletions.PER_RECORD", 0.001)
    bench.delete("lb", 5000)
    bench.in_time(lambda: bench.ended == ["lb"])

    sizes = [len(ids(message)) for _, message in bench.octavia.messages]
    assert sizes[0] <= status_updates.PART / 0.02
    assert all(later <= 2 * earlier + 1 for earlier, later in itertools.pairwise(sizes))
    assert max(sizes) > 500


def test_small_load_balancers_do_not_wait_for_a_large_one(bench):
    bench.octavia.open.clear()
    bench.delete("large", 1000)
    eventually(lambda: bench.octavia.entered)
    small = [f"small{number}" for number in range(5)]
    for lb_id in small:
        bench.delete(lb_id, 2)
    bench.octavia.open.set()
    eventually(lambda: "large" in bench.ended)

    assert bench.ended == [*small, "large"]
    told = [ids(message) for _, message in bench.octavia.messages]
    # After the part that was on its way.
    assert {each.partition("-")[0] for each in told[1]} == set(small)


def test_a_large_one_does_not_wait_for_ever(bench):
    """Small ones are always there; one that came much later is told later."""
    bench.octavia.open.clear()
    bench.delete("first", 1)
    eventually(lambda: bench.octavia.entered)
    bench.delete("large", 100)
    small = [f"small{number}" for number in range(100)]
    for lb_id in small:
        bench.clock.passes(1.0)
        bench.delete(lb_id, 2)
    bench.octavia.open.set()
    eventually(lambda: set(small) < set(bench.ended))

    assert 0 < bench.ended.index("large") < len(small) / 2


@pytest.mark.parametrize("pace", [1, 7, 40])
def test_the_same_is_never_told_again_while_octavia_is_at_work_on_it(bench, pace):
    bench.octavia.problem = Unanswered("no answer in time")
    bench.delete("lb", 100)
    eventually(lambda: bench.octavia.messages)
    bench.octavia.problem = Unavailable("away")
    first = bench.octavia.messages[0][1]
    # While Octavia does not say, and then while it keeps deleting, nothing is told.
    for _ in range(5):
        bench.passes(1.0)
    bench.octavia.problem = None
    while any(bench.octavia.work):
        assert len(bench.octavia.messages) == 1
        bench.octavia.works(pace)
        bench.passes(5.0)
    bench.in_time(lambda: bench.ended == ["lb"])

    again = merge(message for _, message in bench.octavia.messages[1:])
    assert not ids(first) & ids(again)
    assert bench.octavia.quota == 0


def test_what_an_unanswered_message_has_not_done_is_told_again(bench):
    bench.octavia.problem = Unanswered("the process was killed")
    bench.delete("lb", 100)
    eventually(lambda: bench.octavia.messages)
    bench.octavia.works(4)
    bench.octavia.work.clear()
    bench.octavia.problem = None
    bench.in_time(lambda: bench.ended == ["lb"])

    assert bench.octavia.quota == 0
    assert len(bench.octavia.messages) > 1


def test_nothing_is_held_back_for_ever_because_octavia_does_not_say(bench):
    bench.octavia.tree = lambda _: None
    bench.octavia.problem = Unanswered("the process was killed")
    bench.delete("lb", 3)
    eventually(lambda: bench.octavia.messages)
    bench.octavia.work.clear()
    bench.octavia.problem = None
    began = bench.clock()
    bench.in_time(lambda: bench.ended == ["lb"])

    assert bench.clock() - began > 50


def test_a_message_that_deletes_nothing_is_told_again_at_once(bench):
    bench.octavia.problem = Unanswered("no answer in time")
    bench.octavia.tree = lambda _: pytest.fail("it is asked")
    bench.reporter.send(StatusUpdate("lb", "t", {"loadbalancers": [{"id": "lb"}]}))
    eventually(lambda: bench.octavia.messages)
    bench.octavia.work.clear()
    bench.octavia.problem = None
    bench.in_time(lambda: bench.ended == ["lb"], step=0.05)


@pytest.mark.parametrize("members", [0, 1, 40, 3000])
def test_cutting_loses_nothing_and_keeps_octavias_order(members):
    parcel = priced(StatusUpdate("lb", "t", deletion("lb", members)))
    told = []
    while parcel.message:
        now, rest = cut(parcel)
        assert now
        told += [each["id"] for records in now.values() for each in records]
        parcel = status_updates.advanced(parcel, now, rest, took=0.5)
    wanted = deletion("lb", members)
    assert told == [each["id"] for records in wanted.values() for each in records]
    assert parcel.cost == 0
