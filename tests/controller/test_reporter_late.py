"""What Octavia may have overwritten is told once more, unless Octavia says that it has not."""

import threading
import time

import pytest

from octavia_ovn.controller.parcels import Parcel, ids, merge, without
from octavia_ovn.controller.reporter import LATE_DELAY, Reporter

POOL = {"id": "pool", "provisioning_status": "ACTIVE"}
MEMBER = {"id": "member", "provisioning_status": "ACTIVE"}
MESSAGE = {"members": [MEMBER], "pools": [POOL]}


class Sink:
    """Octavia, which keeps what it is told."""

    def __init__(self):
        self.messages = []
        self.told = threading.Condition()

    def update_status(self, status):
        with self.told:
            self.messages.append(status)
            self.told.notify_all()

    def wait(self, count):
        with self.told:
            assert self.told.wait_for(lambda: len(self.messages) >= count, timeout=10)


class Clock:
    """Time that goes on when a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def told_again():
    """Return a function that reports, lets time pass, and returns what is told once more."""

    def tell(settled, message):
        sink, clock, accepted = Sink(), Clock(), threading.Event()
        reporter = Reporter(sink, lambda *_: accepted.set(), clock, settled)
        try:
            reporter.send(Parcel("lb", "ticket", message, late=message))
            assert accepted.wait(10)
            time.sleep(0.05)  # until the reporter has put the late parcel by
            clock.now = LATE_DELAY
            reporter.send(Parcel("other", "ticket", {"pools": [{"id": "other"}]}))
            sink.wait(2)
            time.sleep(0.2)
        finally:
            reporter.close(10)
        return without(merge(sink.messages[1:]), frozenset({"other"}))

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
