# SPDX-License-Identifier: Apache-2.0
"""The agent's part of statistics: what it receives, reports and acknowledges."""

import dataclasses
import threading
import time

import pytest

from octavia_ovn import supervised
from octavia_ovn.controller import leader_thread, listener_counters, statistics
from octavia_ovn.controller.statistics import Listeners, Statistics
from octavia_ovn.core.statistics.messages import (
    Acknowledgement,
    Challenge,
    OpenConnections,
    Report,
)
from octavia_ovn.core.statistics.traffic import Key, Traffic
from octavia_ovn.errors import Unavailable
from tests.controller.collectors import FOREIGN, WEB, Chassis, World, counters, report
from tests.controller.drift.periods import Clock


@pytest.fixture
def world():
    return World()


def test_what_has_come_is_added_to_what_octavia_shows(world):
    world.arrive(report(web=(3, 300)), report(chassis="two", web=(4, 400), dns=(1, 50)))

    assert world.octavia.shown == {
        "web": counters(107, 1700),
        "dns": counters(1, 50, bytes_out=7),
    }
    assert len(world.octavia.messages) == 1


def test_octavia_is_asked_for_each_listener_once_and_gets_only_changes(world):
    world.arrive(report(web=(3, 300)))
    world.arrive(report(2, web=(1, 100)))
    world.arrive()

    assert world.octavia.asked == ["web"]
    assert [[each["id"] for each in message] for message in world.octavia.messages] == [["web"]] * 2
    assert world.octavia.shown["web"] == counters(104, 1400)


def test_reports_are_acknowledged_when_octavia_has_them(world):
    world.octavia.fails = Unavailable("down")
    world.arrive(report(web=(1, 10)), report(2, web=(1, 10)))
    assert world.chassis.sent == []

    world.octavia.fails = None
    world.arrive()
    assert world.chassis.sent == [(Acknowledgement("one", "life", (1, 2)), "there")]


def test_an_acknowledgement_that_was_lost_comes_again_and_nothing_counts_twice(world):
    world.arrive(report(web=(3, 300)))
    world.chassis.sent.clear()
    world.arrive(report(web=(3, 300)))

    assert world.chassis.sent == [(Acknowledgement("one", "life", (1,)), "there")]
    assert world.octavia.shown["web"] == counters(103, 1300)


def test_an_agent_that_takes_over_running_from_what_octavia_shows(world):
    world.arrive(report(web=(3, 300)))
    world.ledger = world.new_ledger()
    world.arrive(report(2, web=(2, 200)))

    assert world.octavia.shown["web"] == counters(105, 1500)


def test_while_octavia_is_down_traffic_waits_and_one_line_is_logged(world, caplog):
    world.octavia.fails = Unavailable("down")
    world.arrive(report(web=(3, 300)))
    world.arrive(report(2, web=(1, 100)))
    world.octavia.fails = None
    world.arrive()

    assert world.octavia.shown["web"] == counters(104, 1400)
    assert caplog.text.count("Statistics could not be reported to Octavia") == 1


def test_what_is_foreign_or_gone_from_octavia_is_not_reported(world):
    world.ids[FOREIGN] = "deleted"
    world.arrive(report(web=(1, 10), foreign=(9, 90)))
    world.arrive(Report("one", "", "life", 2, 2, {Key("dddddddd", 1): Traffic(5)}))

    assert set(world.octavia.shown) == {"web", "dns"}
    assert len(world.chassis.sent) == 2


def test_open_connections(world):
    world.arrive(OpenConnections("one", "", 1, {WEB: 3}), OpenConnections("two", "", 1, {WEB: 4}))
    assert world.octavia.shown["web"] == counters(100, 1000, active=7)

    world.arrive(OpenConnections("one", "", 2, {WEB: 0}))
    assert world.octavia.shown["web"] == counters(100, 1000, active=4)


def test_acknowledgements_of_others_are_ignored(world):
    world.arrive(Acknowledgement("one", "life", (1,)))

    assert world.chassis.sent == []


def test_not_all_listeners_there_ever_were_are_remembered(world, monkeypatch):
    monkeypatch.setattr(listener_counters, "_MOST", 1)
    world.arrive(report(web=(1, 10), dns=(1, 10)))
    world.arrive(report(2, dns=(1, 10)))
    world.arrive(report(3, web=(2, 20)))

    assert world.octavia.asked == ["web", "dns", "web"]
    assert world.octavia.shown["web"] == counters(103, 1030)


def test_large_messages_are_split(world, monkeypatch):
    monkeypatch.setattr(listener_counters, "_RECORDS", 1)
    world.arrive(report(web=(1, 10), dns=(1, 10)))

    assert [len(message) for message in world.octavia.messages] == [1, 1]


# --- clocks and sessions


def test_a_collector_that_is_unknown_is_given_a_session_and_counted(world):
    world.arrive(report(web=(1, 10)))

    assert world.chassis.sessions.keys() == {"one"}
    assert world.octavia.shown["web"] == counters(101, 1010)


def test_a_recording_does_not_count_under_the_next_agent(world):
    world.arrive(report(web=(3, 300)))
    recorded = dataclasses.replace(report(web=(3, 300)), session=world.chassis.sessions["one"])
    world.chassis.sent.clear()
    world.ledger = world.new_ledger()
    world.chassis.repeats = True
    world.arrive(recorded, recorded)

    assert world.octavia.shown["web"] == counters(103, 1300)
    assert [type(message) for message, _ in world.chassis.sent] == [Challenge] * 2


def test_a_sender_is_forgotten_with_its_chassis(world):
    world.arrive(report(web=(1, 10)))
    world.clock.sleep(2 * 86400)
    world.arrive()

    assert world.ledger._senders == {}


def test_the_main_loop_answers():
    woken = threading.Event()
    listeners = Listeners(woken.set)
    found = []
    asker = threading.Thread(target=lambda: found.append(listeners.ask({"aaaaaaaa"})))
    asker.start()
    assert woken.wait(5)

    listeners.answer(lambda hints: {Key(each, 80): "web" for each in hints})
    asker.join(5)

    assert found == [{WEB: "web"}]
    listeners.answer(lambda _: pytest.fail("no request is waiting"))


def test_a_main_loop_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(statistics, "_PATIENCE", 0.01)

    with pytest.raises(Unavailable, match="main loop"):
        Listeners(lambda: None).ask({"aaaaaaaa"})


class Thread:
    """The thread, with a ledger that fails as the test sets it."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.turned = threading.Event()
        self.listened = []
        self.statistics = Statistics(self.listen, lambda _: self)
        self.statistics.start()

    def listen(self):
        self.listened.append(Chassis(Clock()))
        return self.listened[-1]

    def turn(self):
        if self.failures:
            raise self.failures.pop(0)
        self.turned.set()


def test_it_listens_while_the_agent_acts_only():
    thread = Thread()
    assert not thread.turned.wait(0.05)

    thread.statistics.set_leader(is_leader=True)
    assert thread.turned.wait(5)
    thread.statistics.set_leader(is_leader=False)
    thread.statistics.set_leader(is_leader=True)
    thread.statistics.close(timeout=5)

    assert all(each.closed for each in thread.listened)


def test_each_term_begins_with_what_octavia_shows():
    thread = Thread()
    thread.statistics.set_leader(is_leader=True)
    assert thread.turned.wait(5)

    with thread.statistics.changed:  # so fast that the thread does not see it
        thread.statistics.set_leader(is_leader=False)
        thread.statistics.set_leader(is_leader=True)

    deadline = time.monotonic() + 5
    while len(thread.listened) == 1 or not thread.listened[0].closed:
        assert time.monotonic() < deadline
    thread.statistics.close(timeout=5)


def test_it_running_after_failures(monkeypatch, caplog):
    monkeypatch.setattr(leader_thread, "RETRY", 0.01)
    monkeypatch.setattr(supervised, "FIRST_PAUSE", 0.01)
    thread = Thread(Unavailable("the port is taken"), RuntimeError("a defect"))

    thread.statistics.set_leader(is_leader=True)

    assert thread.turned.wait(5)
    thread.statistics.close(timeout=5)
    assert "the port is taken" in caplog.text
    assert "The thread statistics crashed" in caplog.text


def test_closing_what_was_never_started():
    Statistics(lambda: pytest.fail("it listens"), lambda _: None).close(timeout=0.1)


def test_connections_of_listeners_with_a_limit(world):
    world.limits.keys = frozenset({WEB})
    world.arrive(
        OpenConnections("one", "", 1, {WEB: 3, FOREIGN: 9}, limits=True),
        OpenConnections("two", "", 1, {WEB: 4}),
    )

    counts = world.limits.seen[-1]
    assert (counts.open, counts.complete, counts.counting) == ({WEB: 7}, False, True)

    for _ in range(6):
        world.arrive()
    assert world.limits.seen[-1].complete
