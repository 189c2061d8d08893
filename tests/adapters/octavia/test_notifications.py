# SPDX-License-Identifier: Apache-2.0
"""The queue of notifications, and what becomes of them."""

import contextlib
import logging
import socket
import threading
import time

import oslo_messaging
import pytest
from oslo_config import cfg

from octavia_ovn.adapters.metrics.agent import NOTIFICATION_RESULTS, THREADS
from octavia_ovn.adapters.octavia import notifications
from octavia_ovn.adapters.octavia.notifications import RESULTS, Notifications, announcer
from octavia_ovn.core.request.events import Event
from octavia_ovn.errors import Unavailable
from octavia_ovn.observer import Observer

CREATED, UPDATED, DELETED = Event


class Seen(Observer):
    def __init__(self):
        self.results = []
        self.crashed = []

    def announces(self, result):
        self.results.append(result)

    def crashes(self, thread):
        self.crashed.append(thread)


class Broker:
    """Receives while its gate is open."""

    def __init__(self):
        self.sent = []
        self.gate = threading.Event()
        self.gate.set()
        self.busy = threading.Event()
        self.closed = False

    def send(self, event, payload):
        self.busy.set()
        self.gate.wait(10)
        self.sent.append((event, payload["loadbalancer_id"]))

    def close(self):
        self.closed = True


def until(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it does not happen")


@pytest.fixture
def seen():
    return Seen()


@pytest.fixture
def broker():
    return Broker()


@pytest.fixture
def make(seen, broker, monkeypatch):
    monkeypatch.setattr(notifications, "_FIRST_RETRY", 0.01)
    with contextlib.ExitStack() as opened:

        def make(load=lambda lb_id: {"loadbalancer_id": lb_id}, **options):
            made = Notifications(load, broker, seen, **options)
            opened.callback(made.close, 2.0)
            opened.callback(broker.gate.set)
            made.start()
            return made

        yield make


def test_events_are_sent_in_order(make, broker, seen):
    made = make()
    made.announce("lb1", CREATED)
    made.announce("lb2", CREATED)
    made.announce("lb1", DELETED)
    until(lambda: len(broker.sent) == 3)

    assert broker.sent == [(CREATED, "lb1"), (CREATED, "lb2"), (DELETED, "lb1")]
    until(lambda: seen.results == ["sent"] * 3)


def test_a_broker_that_does_not_answer_costs_a_counter_and_one_line(make, broker, seen, caplog):
    broker.gate.clear()
    made = make(capacity=2)
    made.announce("lb0", CREATED)
    assert broker.busy.wait(5)
    began = time.monotonic()
    for number in range(1, 1001):
        made.announce(f"lb{number}", CREATED)

    assert time.monotonic() - began < 1
    assert seen.results == ["dropped"] * 998
    (line,) = caplog.messages
    assert line == (
        "2 notifications wait for the message broker or Octavia's database; further ones are"
        " dropped, beginning with octavia.loadbalancer.create.end of load balancer lb3"
    )
    broker.gate.set()
    until(lambda: len(broker.sent) == 3)
    made.announce("late", UPDATED)
    until(lambda: broker.sent[-1] == (UPDATED, "late"))


def test_a_database_that_does_not_answer_loses_no_event(make, broker, seen, caplog):
    outage = [Unavailable("refused")] * 3

    def load(lb_id):
        if outage:
            raise outage.pop()
        return {"loadbalancer_id": lb_id}

    made = make(load)
    made.announce("lb1", DELETED)
    until(lambda: broker.sent == [(DELETED, "lb1")])

    until(lambda: seen.results == ["sent"])
    lines = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert lines == ["Notifications wait: refused"]


def test_a_broker_that_refuses_loses_no_event(make, broker, seen, caplog):
    outage = [Unavailable("refused")] * 3
    send = broker.send

    def refuse(event, payload):
        if outage:
            raise outage.pop()
        send(event, payload)

    broker.send = refuse
    make().announce("lb1", DELETED)
    until(lambda: seen.results == ["sent"])

    assert broker.sent == [(DELETED, "lb1")]
    lines = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert lines == ["Notifications wait: refused"]


def test_a_purged_load_balancer_has_no_payload(make, broker, seen, caplog):
    make(lambda _: None).announce("lb1", DELETED)
    until(lambda: seen.results == ["failed"])

    assert broker.sent == []
    assert caplog.messages == [
        "octavia.loadbalancer.delete.end of load balancer lb1 is not sent: no payload"
    ]


def test_an_unexpected_error_costs_one_event(make, broker, seen, monkeypatch):
    monkeypatch.setattr("octavia_ovn.supervised.FIRST_PAUSE", 0.01)
    made = make(lambda lb_id: {"loadbalancer_id": lb_id} if lb_id != "odd" else 1 / 0)
    made.announce("odd", CREATED)
    made.announce("lb1", CREATED)
    until(lambda: broker.sent == [(CREATED, "lb1")])

    until(lambda: seen.results == ["failed", "sent"])
    assert seen.crashed == ["notifications"]


def test_what_waits_is_sent_when_the_agent_stops(make, broker):
    made = make()
    for number in range(50):
        made.announce(f"lb{number}", CREATED)
    made.close(5.0)

    assert len(broker.sent) == 50
    assert broker.closed


def test_an_agent_stops_although_the_broker_does_not_answer(make, broker, caplog):
    broker.gate.clear()
    made = make()
    for number in range(3):
        made.announce(f"lb{number}", CREATED)
    assert broker.busy.wait(5)
    made.close(0.1)

    assert caplog.messages == ["The agent stops before 2 notifications are sent"]
    assert not broker.closed, "the thread uses it"


def test_an_agent_stops_although_the_database_does_not_answer(make, seen, caplog):
    def load(_):
        raise Unavailable("refused")

    made = make(load)
    made.announce("lb1", CREATED)
    made.close(5.0)

    assert seen.results == ["failed"]
    assert caplog.messages[-1] == (
        "octavia.loadbalancer.create.end of load balancer lb1 is not sent: refused"
    )


def test_labels_of_metrics_are_those_that_occur():
    assert NOTIFICATION_RESULTS == RESULTS
    assert notifications.THREAD in THREADS


# --- whether they are sent


def test_nothing_is_made_unless_it_is_enabled(seen, caplog):
    with contextlib.ExitStack() as opened:
        announcer(opened, seen, enabled=False)("lb1", CREATED)

    assert seen.results == []
    assert caplog.messages == []


def test_without_octavias_code_the_log_says_so(seen, caplog, monkeypatch):
    monkeypatch.delitem(notifications.sys.modules, "octavia.db.api", raising=False)
    with contextlib.ExitStack() as opened:
        announcer(opened, seen, enabled=True)("lb1", CREATED)

    (line,) = caplog.messages
    assert line == (
        "[ovn] event_notifications is true, but none are sent: Octavia's code is not loaded in this"
        " process: 'octavia.db.api'"
    )


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"driver": []}, "[oslo_messaging_notifications] driver is not set: set it to messagingv2"),
        ({"driver": [""]}, "[oslo_messaging_notifications] driver is not set: set it to"),
        (
            {"driver": ["mesagingv2"]},
            "[oslo_messaging_notifications] driver has no mesagingv2: set it to messagingv2",
        ),
        ({"transport_url": "pigeon://"}, "oslo.messaging cannot be used: "),
        ({"transport_url": "kafka://host:9092"}, "oslo.messaging cannot be used: "),
        ({"transport_url": "rabbit://me:pa/ss@host"}, "transport_url cannot be parsed"),
    ],
)
def test_a_wrong_configuration_is_named(seen, caplog, monkeypatch, options, problem):
    monkeypatch.setattr(notifications, "loader", lambda: None)
    conf = cfg.ConfigOpts()
    conf([])
    with contextlib.ExitStack() as opened:
        oslo_messaging.get_notification_transport(conf, url="fake://")
        for name, value in {"driver": ["noop"], "transport_url": "fake://", **options}.items():
            conf.set_override(name, value, "oslo_messaging_notifications")
        announcer(opened, seen, enabled=True, conf=conf)("lb1", CREATED)

    (line,) = [each for each in caplog.messages if "[ovn]" in each]
    assert line.startswith(f"[ovn] event_notifications is true, but none are sent: {problem}")
    assert "'pa'" not in line


# --- what oslo.messaging makes of them


@pytest.fixture
def configured(tmp_path):
    """Return a configuration; its values are checked when they are used, as in Octavia's."""

    def configured(**options):
        values = {"driver": "messagingv2", "transport_url": "fake://", **options}
        file = tmp_path / "octavia.conf"
        lines = [f"{name} = {value}" for name, value in values.items()]
        file.write_text("\n".join(["[oslo_messaging_notifications]", *lines]))
        conf = cfg.ConfigOpts()
        conf([f"--config-file={file}"])
        return conf

    return configured


def test_an_option_that_cannot_be_read_does_not_stop_the_agent(
    seen, caplog, monkeypatch, configured
):
    monkeypatch.setattr(notifications, "loader", lambda: None)
    with contextlib.ExitStack() as opened:
        announcer(opened, seen, enabled=True, conf=configured(retry="often"))("lb1", CREATED)

    (line,) = [each for each in caplog.messages if "[ovn]" in each]
    assert "none are sent: Value for option retry" in line


EVENT = CREATED, {"loadbalancer_id": "lb1", "project_id": "p"}


@pytest.fixture
def ports(monkeypatch):
    """Two ports of this host: on the first one there is no server, on the second one there is."""
    monkeypatch.setattr(notifications, "_SERVERS", 1)  # it waits seconds between attempts
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        yield port, server


def test_a_broker_that_cannot_be_reached_is_no_broker_that_has_an_event(configured, ports, caplog):
    """oslo.messaging logs the error, with the payload, and returns."""
    url = f"rabbit://me:secret@127.0.0.1:{ports[0]}"
    sender = notifications.OsloMessaging(configured(transport_url=url))
    with pytest.raises(Unavailable, match="The message broker has not taken one"):
        sender.send(*EVENT)

    assert "secret" not in caplog.text
    assert "Payload" not in caplog.text


def test_each_server_of_a_broker_is_tried(configured, ports):
    port, server = ports
    url = f"rabbit://me:secret@127.0.0.1:{port},me:secret@127.0.0.1:{server.getsockname()[1]}"
    asked = threading.Event()

    def answer():
        connection, _ = server.accept()
        connection.close()
        asked.set()

    threading.Thread(target=answer, daemon=True).start()
    with pytest.raises(Unavailable):
        notifications.OsloMessaging(configured(transport_url=url)).send(*EVENT)

    assert asked.wait(5)


@pytest.mark.parametrize("error", [TypeError("no JSON"), ValueError("circular")])
def test_what_is_wrong_with_an_event_is_not_waited_for(configured, monkeypatch, error):
    sender = notifications.OsloMessaging(configured())

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(sender._transport, "_send_notification", fail)
    with pytest.raises(type(error)):
        sender.send(*EVENT)
