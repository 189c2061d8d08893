# SPDX-License-Identifier: Apache-2.0
"""What takes Octavia long is reported in parts, between others, never the same twice at a time."""

import pytest

from octavia_ovn.controller.reporter import MAX_MESSAGES
from octavia_ovn.controller.status_updates import CHANGES, DELETIONS, StatusUpdate, cut
from octavia_ovn.core.pending import Kind
from octavia_ovn.errors import Refused, Unanswered, Unavailable
from tests.controller.reports import Bench as ReportBench
from tests.controller.reports import ids


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
    """Counts quotas, and may not answer while it is at work."""

    def __init__(self):
        self.messages = []
        self.objects = {}
        self.quota = 0
        self.problem = self.silence = None
        self.asked = 0
        self.work = []
        """What it has not begun of messages that it has not answered."""

    def add(self, lb_id, message):
        self.objects[lb_id] = {
            (Kind(kind), each["id"]) for kind, records in message.items() for each in records
        }
        self.quota += len(self.objects[lb_id])

    def update_status(self, message):
        self.messages.append(message)
        records = [
            (Kind(kind), each["id"]) for kind, records in message.items() for each in records
        ]
        if self.problem is not None:
            # Both that do the same at the same time count quotas down.
            self.work.append(records)
            raise self.problem
        for key in records:
            self._delete(key)

    def works(self, count):
        """Do more of what was not answered; all of that at the same time."""
        for records in self.work:
            for key in records[:count]:
                self._delete(key)
            del records[:count]

    def _delete(self, key):
        there = [each for each in self.objects.values() if key in each]
        for each in there:
            self.quota -= 1
            if key[0] is not Kind.LOAD_BALANCER or each == {key}:
                each.discard(key)
        at_work_too = sum(key in records for records in self.work)
        if there and at_work_too > 1:
            self.quota -= at_work_too - 1

    def belonging(self, lb_id, keys):
        self.asked += 1
        if self.silence is not None:
            raise self.silence
        return frozenset(keys) & self.objects[lb_id]


class Bench(ReportBench):
    def __init__(self):
        super().__init__(Octavia())

    def delete(self, lb_id, members, key="key"):
        message = deletion(lb_id, members)
        if lb_id not in self.octavia.objects:
            self.octavia.add(lb_id, message)
        self.reporter.send(StatusUpdate(lb_id, key, message))


@pytest.fixture
def bench():
    return Bench()


def test_a_large_deletion_is_reported_in_parts(bench):
    bench.delete("lb", 500)
    bench.settle()

    assert bench.ended == [("lb", "key")]
    sizes = [len(ids(message)) for message in bench.octavia.messages]
    assert sum(sizes) == len(set.union(*map(ids, bench.octavia.messages))) == 503
    assert max(sizes) == DELETIONS
    assert all("loadbalancers" not in message for message in bench.octavia.messages[:-1])
    assert bench.octavia.quota == 0


def test_small_load_balancers_do_not_wait_for_large_ones(bench):
    """Each part lets those go first that have been waiting."""
    large = [f"large{number}" for number in range(2 * MAX_MESSAGES)]
    small = [f"small{number}" for number in range(MAX_MESSAGES)]
    for lb_id in large:
        bench.delete(lb_id, 1000)
    bench.begin()
    for lb_id in small:
        bench.delete(lb_id, 2)
    bench.settle()

    assert {lb_id for lb_id, _ in bench.ended[: len(small)]} == set(small)
    assert len(bench.ended) == len(large) + len(small)
    first = min(
        number for number, message in enumerate(bench.octavia.messages) if "small7" in ids(message)
    )
    assert first < len(large) + len(small)
    assert bench.octavia.quota == 0


@pytest.mark.parametrize("pace", [1, 7, 40])
def test_the_same_is_never_reported_again_while_octavia_is_at_work_on_it(bench, pace):
    bench.octavia.problem = Unanswered("no answer in time")
    bench.delete("lb", 100)
    bench.settle()
    bench.octavia.silence, bench.octavia.problem = Unavailable("away"), None
    # While Octavia does not answer, and then while it keeps deleting, nothing is sent.
    for _ in range(5):
        bench.passes(1.0)
    bench.octavia.silence = None
    while any(bench.octavia.work):
        assert len(bench.octavia.messages) == 1
        bench.octavia.works(pace)
        bench.passes(5.0)
    bench.until(lambda: bench.ended)

    first, *others = bench.octavia.messages
    assert not ids(first) & set.union(*map(ids, others))
    assert bench.octavia.quota == 0


@pytest.mark.parametrize("late", [True, False], ids=["after the failure", "before it"])
def test_neither_by_an_update_that_comes_meanwhile(bench, late):
    """A member's health has changed, say: the report has the same deletions."""
    bench.octavia.problem = Unanswered("no answer in time")
    bench.delete("lb", 10, "old")
    bench.begin()
    if late:
        bench.end()
    bench.delete("lb", 10, "new")
    bench.settle()
    bench.octavia.problem = None
    bench.passes(1.0)
    assert len(bench.octavia.messages) == 1

    bench.octavia.works(100)
    bench.until(lambda: bench.ended == [("lb", "new")])
    assert bench.octavia.quota == 0


def test_what_an_unanswered_message_has_not_done_is_reported_again(bench):
    bench.octavia.problem = Unanswered("the process was killed")
    bench.delete("lb", 100)
    bench.settle()
    bench.octavia.works(4)
    bench.octavia.work.clear()
    bench.octavia.problem = None
    bench.until(lambda: bench.ended)

    assert bench.octavia.quota == 0
    assert len(bench.octavia.messages) > 1


@pytest.mark.parametrize("silence", [Unavailable("away"), Refused("no"), KeyError("unforeseen")])
def test_nothing_is_delayed_without_end_because_octavia_does_not_answer(bench, silence):
    bench.octavia.silence = silence
    bench.octavia.problem = Unanswered("the process was killed")
    bench.delete("lb", 3)
    bench.settle()
    bench.octavia.work.clear()
    bench.octavia.problem = None

    assert 50 < bench.until(lambda: bench.ended) < 70


def test_a_message_that_deletes_nothing_is_sent_again_at_once(bench):
    bench.octavia.problem = Unanswered("no answer in time")
    bench.reporter.send(StatusUpdate("lb", "key", {"loadbalancers": [{"id": "lb"}]}))
    bench.settle()
    bench.octavia.work.clear()
    bench.octavia.problem = None

    assert bench.until(lambda: bench.ended) < 0.1
    assert bench.octavia.asked == 0


@pytest.mark.parametrize("members", [0, 1, 40, 3000])
def test_cutting_loses_nothing_and_keeps_octavias_order(members):
    sent, rest = [], deletion("lb", members)
    while rest:
        now, rest = cut(rest)
        assert now
        sent += [each["id"] for records in now.values() for each in records]
    wanted = deletion("lb", members)
    assert sent == [each["id"] for records in wanted.values() for each in records]


def test_changes_are_many_in_one_message():
    message = {"members": [{"id": f"m{number}"} for number in range(CHANGES + 1)]}
    now, rest = cut(message)

    assert (len(ids(now)), len(ids(rest))) == (CHANGES, 1)
