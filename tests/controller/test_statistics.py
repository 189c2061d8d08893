# SPDX-License-Identifier: Apache-2.0
"""The agent's part: what it hears, tells and acknowledges; with whom it can do without."""

import dataclasses
import threading
import time

import pytest

from octavia_ovn import supervised
from octavia_ovn.controller import listener_counters, statistics
from octavia_ovn.controller.listener_counters import Accounts
from octavia_ovn.controller.statistics import Listeners, Statistics, StatisticsReceiver
from octavia_ovn.core.statistics.messages import (
    MAX_COUNT,
    Acknowledgement,
    Challenge,
    OpenConnections,
    Report,
)
from octavia_ovn.core.statistics.traffic import Key, Traffic
from octavia_ovn.errors import Refused, Unavailable
from octavia_ovn.observer import Observer
from tests.controller.drift.test_periodic import Clock

WEB, DNS, FOREIGN = Key("aaaaaaaa", 80), Key("bbbbbbbb", 53), Key("cccccccc", 80)
IDS = {WEB: "web", DNS: "dns"}
INTERVAL = 10.0


def counters(connections=0, octets=0, active=0, **others):
    return {
        "total_connections": connections,
        "bytes_in": octets,
        "active_connections": active,
        "bytes_out": 0,
        "request_errors": 0,
        **others,
    }


class Octavia:
    """Its statistics; validates what it is told as its model does, and all of a message or none."""

    def __init__(self):
        self.shown = {"web": counters(100, 1000), "dns": counters(bytes_out=7)}
        self.asked = []
        self.messages = []
        self.fails = None
        self.unreadable = {}
        """Errors by listener."""
        self.refused = set()

    def listener_statistics(self, listener_id):
        self.asked.append(listener_id)
        if listener_id in self.unreadable:
            raise self.unreadable[listener_id]
        return self.shown.get(listener_id)

    def update_statistics(self, message):
        if self.fails:
            raise self.fails
        for record in message["listeners"]:
            numbers = [value for name, value in record.items() if name != "id"]
            fits = all(0 <= each <= MAX_COUNT for each in numbers)
            if not fits or record["active_connections"] >= 2**31 or record["id"] in self.refused:
                raise Refused(f"{record} is refused")
        self.messages.append(message["listeners"])
        for record in message["listeners"]:
            values = dict(record)
            self.shown[values.pop("id")] = values


class Chassis:
    """Collectors, and the way to them; they name the session that they were given last."""

    def __init__(self, clock):
        self.clock = clock
        self.inbox = []
        self.sent = []
        self.sessions = {}
        self.repeats = False
        """Whether somebody sends what he has recorded."""
        self.closed = False

    def receive(self, timeout):
        if not self.inbox:
            self.clock.sleep(timeout)
            return None
        message = self.inbox.pop(0)
        if isinstance(message, Report | OpenConnections) and not self.repeats:
            session = self.sessions.get(message.chassis, "")
            message = dataclasses.replace(message, session=session)
        self.last = message
        return message, "there"

    def send(self, message, receiver):
        if isinstance(message, Challenge) and not self.repeats:
            self.sessions[message.chassis] = message.session
            self.inbox.insert(0, self.last)
        else:
            self.sent.append((message, receiver))

    def close(self):
        self.closed = True


class Drops(Observer):
    def __init__(self):
        self.dropped = 0

    def drops_statistics(self):
        self.dropped += 1


class World:
    def __init__(self):
        self.clock = Clock()
        self.octavia = Octavia()
        self.chassis = Chassis(self.clock)
        self.ids = dict(IDS)
        self.drops = Drops()
        self.ledger = self.new_ledger()

    def new_ledger(self):
        found = Accounts(self.octavia, self.octavia, self.look_up, self.drops, self.clock)
        return StatisticsReceiver(self.chassis, found, INTERVAL, self.clock)

    def look_up(self, hints):
        return {key: each for key, each in self.ids.items() if key.row_uuid_prefix in hints}

    def hear(self, *messages):
        self.chassis.inbox += messages
        until = self.clock.now + INTERVAL
        while self.clock.now <= until:
            self.ledger.turn()


@pytest.fixture
def world():
    return World()


def report(number=1, chassis="one", **traffic):
    keys = {"web": WEB, "dns": DNS, "foreign": FOREIGN}
    given = {keys[name]: Traffic(*values) for name, values in traffic.items()}
    return Report(chassis, "", "life", number, number, given)


def test_what_has_come_is_added_to_what_octavia_shows(world):
    world.hear(report(web=(3, 300)), report(chassis="two", web=(4, 400), dns=(1, 50)))

    assert world.octavia.shown == {
        "web": counters(107, 1700),
        "dns": counters(1, 50, bytes_out=7),
    }
    assert len(world.octavia.messages) == 1


def test_octavia_is_asked_for_each_listener_once_and_told_only_of_changes(world):
    world.hear(report(web=(3, 300)))
    world.hear(report(2, web=(1, 100)))
    world.hear()

    assert world.octavia.asked == ["web"]
    assert [[each["id"] for each in message] for message in world.octavia.messages] == [["web"]] * 2
    assert world.octavia.shown["web"] == counters(104, 1400)


def test_reports_are_acknowledged_when_octavia_has_them(world):
    world.octavia.fails = Unavailable("down")
    world.hear(report(web=(1, 10)), report(2, web=(1, 10)))
    assert world.chassis.sent == []

    world.octavia.fails = None
    world.hear()
    assert world.chassis.sent == [(Acknowledgement("one", "life", (1, 2)), "there")]


def test_an_acknowledgement_that_was_lost_comes_again_and_nothing_counts_twice(world):
    world.hear(report(web=(3, 300)))
    world.chassis.sent.clear()
    world.hear(report(web=(3, 300)))

    assert world.chassis.sent == [(Acknowledgement("one", "life", (1,)), "there")]
    assert world.octavia.shown["web"] == counters(103, 1300)


def test_an_agent_that_takes_over_running_from_what_octavia_shows(world):
    world.hear(report(web=(3, 300)))
    world.ledger = world.new_ledger()
    world.hear(report(2, web=(2, 200)))

    assert world.octavia.shown["web"] == counters(105, 1500)


def test_while_octavia_is_down_traffic_waits_and_one_line_is_logged(world, caplog):
    world.octavia.fails = Unavailable("down")
    world.hear(report(web=(3, 300)))
    world.hear(report(2, web=(1, 100)))
    world.octavia.fails = None
    world.hear()

    assert world.octavia.shown["web"] == counters(104, 1400)
    assert caplog.text.count("Octavia could not be told statistics") == 1


def test_what_is_not_ours_or_gone_from_octavia_is_nobodys(world):
    world.ids[FOREIGN] = "deleted"
    world.hear(report(web=(1, 10), foreign=(9, 90)))
    world.hear(Report("one", "", "life", 2, 2, {Key("dddddddd", 1): Traffic(5)}))

    assert set(world.octavia.shown) == {"web", "dns"}
    assert len(world.chassis.sent) == 2


def test_open_connections(world):
    world.hear(OpenConnections("one", "", 1, {WEB: 3}), OpenConnections("two", "", 1, {WEB: 4}))
    assert world.octavia.shown["web"] == counters(100, 1000, active=7)

    world.hear(OpenConnections("one", "", 2, {WEB: 0}))
    assert world.octavia.shown["web"] == counters(100, 1000, active=4)


def test_acknowledgements_of_others_are_ignored(world):
    world.hear(Acknowledgement("one", "life", (1,)))

    assert world.chassis.sent == []


def test_not_all_listeners_there_ever_were_are_remembered(world, monkeypatch):
    monkeypatch.setattr(listener_counters, "_MOST", 1)
    world.hear(report(web=(1, 10), dns=(1, 10)))
    world.hear(report(2, dns=(1, 10)))
    world.hear(report(3, web=(2, 20)))

    assert world.octavia.asked == ["web", "dns", "web"]
    assert world.octavia.shown["web"] == counters(103, 1030)


def test_large_messages_are_split(world, monkeypatch):
    monkeypatch.setattr(listener_counters, "_RECORDS", 1)
    world.hear(report(web=(1, 10), dns=(1, 10)))

    assert [len(message) for message in world.octavia.messages] == [1, 1]


# --- a listener that Octavia does not take or give


def many(count):
    """Ids of that many listeners, by key, and a report of each."""
    ids = {Key("eeeeeeee", port): f"listener-{port}" for port in range(1, count + 1)}
    messages = [
        Report(f"chassis-{key.port}", "", "life", 1, 1, {key: Traffic(1, 10)}) for key in ids
    ]
    return ids, messages


@pytest.mark.parametrize("bad", [{1}, {7}, {20}, {3, 4}, set(range(1, 21))])
def test_records_that_octavia_refuses_do_not_hold_up_the_others(world, caplog, bad):
    world.ids, messages = many(20)
    world.octavia.shown = {each: counters() for each in world.ids.values()}
    world.octavia.refused = {f"listener-{port}" for port in bad}

    world.hear(*messages)

    told = {each for each, shown in world.octavia.shown.items() if shown == counters(1, 10)}
    assert told == set(world.ids.values()) - world.octavia.refused
    assert len(world.chassis.sent) == 20
    world.hear()
    world.hear()
    assert world.drops.dropped == len(bad)
    assert caplog.text.count("Octavia refuses the statistics of listener") == len(bad)
    assert not world.ledger._accounts.waits


def test_a_record_that_octavia_refuses_once_is_told_later(world):
    world.octavia.refused = {"web"}
    world.hear(report(web=(3, 300)), report(2, dns=(1, 10)))
    world.octavia.refused = set()
    world.hear()

    assert world.octavia.shown["web"] == counters(103, 1300)
    assert world.drops.dropped == 0


def test_a_listener_that_is_refused_for_good_is_tried_with_its_next_traffic(world, caplog):
    world.octavia.refused = {"web"}
    for number in range(1, 6):
        world.hear(report(number, web=(1, 10)))
    assert world.drops.dropped == 3
    assert caplog.text.count("Octavia refuses the statistics of listener") == 1

    world.octavia.refused = set()
    world.hear(report(6, web=(1, 10)))
    assert world.octavia.shown["web"] == counters(101, 1010)


def test_counters_stop_at_what_octavia_can_hold(world):
    world.hear(report(web=(MAX_COUNT, MAX_COUNT)), OpenConnections("one", "", 1, {WEB: 2**40}))

    assert world.octavia.shown["web"] == counters(MAX_COUNT, MAX_COUNT, 2**31 - 1)
    assert len(world.chassis.sent) == 1


@pytest.mark.parametrize(
    "error",
    [Unavailable("500"), Refused("403"), ValueError("not a number"), KeyError("bytes_in")],
    ids=repr,
)
def test_a_listener_that_octavia_does_not_give_waits_alone(world, caplog, error):
    world.hear(report(dns=(1, 10)))
    world.octavia.unreadable = {"web": error}
    world.hear(report(2, web=(3, 300), dns=(1, 10)), OpenConnections("one", "", 1, {WEB: 4}))
    for number in range(3, 12):
        world.hear(report(number, web=(1, 100), dns=(1, 10)))

    assert world.octavia.shown["dns"] == counters(11, 110, bytes_out=7)
    assert caplog.text.count("Octavia does not give counters of listener web") == 1
    assert world.octavia.asked.count("web") < 5
    assert len(world.chassis.sent) == 11

    world.octavia.unreadable = {}
    for _ in range(7):
        world.hear()
    assert world.octavia.shown["web"] == counters(112, 2200, active=4)


def test_a_listener_that_octavia_never_gave_does_not_come_before_the_others(world):
    world.octavia.unreadable = {"web": Unavailable("500")}
    world.hear(report(web=(3, 300), dns=(1, 10)))
    world.hear()

    assert world.octavia.shown["dns"] == counters(1, 10, bytes_out=7)


def test_while_octavia_gives_nothing_all_waits_and_nothing_is_acknowledged(world):
    world.hear(report(web=(1, 10)))
    world.chassis.sent.clear()
    world.octavia.unreadable = dict.fromkeys(("web", "dns"), Unavailable("down"))
    world.hear(report(2, web=(1, 10), dns=(1, 10)))
    assert world.chassis.sent == []

    world.octavia.unreadable = {}
    world.hear()
    assert world.octavia.shown["dns"] == counters(1, 10, bytes_out=7)
    assert world.octavia.shown["web"] == counters(102, 1020)


# --- clocks and sessions


def test_a_collector_that_is_unknown_is_given_a_session_and_counted(world):
    world.hear(report(web=(1, 10)))

    assert world.chassis.sessions.keys() == {"one"}
    assert world.octavia.shown["web"] == counters(101, 1010)


def test_a_recording_does_not_count_under_the_next_agent(world):
    world.hear(report(web=(3, 300)))
    recorded = dataclasses.replace(report(web=(3, 300)), session=world.chassis.sessions["one"])
    world.chassis.sent.clear()
    world.ledger = world.new_ledger()
    world.chassis.repeats = True
    world.hear(recorded, recorded)

    assert world.octavia.shown["web"] == counters(103, 1300)
    assert [type(message) for message, _ in world.chassis.sent] == [Challenge] * 2


def test_a_sender_is_forgotten_with_its_chassis(world):
    world.hear(report(web=(1, 10)))
    world.clock.sleep(2 * 86400)
    world.hear()

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
    listeners.answer(lambda _: pytest.fail("nobody has asked"))


def test_a_main_loop_that_hangs(monkeypatch):
    monkeypatch.setattr(statistics, "_PATIENCE", 0.01)

    with pytest.raises(Unavailable, match="main loop"):
        Listeners(lambda: None).ask({"aaaaaaaa"})


class Thread:
    """The thread with a ledger that fails as told."""

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

    with thread.statistics._leader.changed:  # so fast that the thread does not see it
        thread.statistics.set_leader(is_leader=False)
        thread.statistics.set_leader(is_leader=True)

    deadline = time.monotonic() + 5
    while len(thread.listened) == 1 or not thread.listened[0].closed:
        assert time.monotonic() < deadline
    thread.statistics.close(timeout=5)


def test_it_running_after_failures(monkeypatch, caplog):
    monkeypatch.setattr(statistics, "_RETRY", 0.01)
    monkeypatch.setattr(supervised, "FIRST_PAUSE", 0.01)
    thread = Thread(Unavailable("the port is taken"), RuntimeError("a defect"))

    thread.statistics.set_leader(is_leader=True)

    assert thread.turned.wait(5)
    thread.statistics.close(timeout=5)
    assert "the port is taken" in caplog.text
    assert "The thread statistics crashed" in caplog.text


def test_closing_what_was_never_started():
    Statistics(lambda: pytest.fail("it listens"), lambda _: None).close(timeout=0.1)
