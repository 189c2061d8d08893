# SPDX-License-Identifier: Apache-2.0
"""Datagrams through the kernel."""

import collections
import socket
import time

import pytest

from octavia_ovn.adapters.statistics.datagrams import AgentSocket, CollectorSocket
from octavia_ovn.core.statistics import messages
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.core.statistics.messages import Acknowledgement, Report
from octavia_ovn.core.statistics.traffic import Key, Traffic
from octavia_ovn.errors import BadConfiguration, Unavailable
from octavia_ovn.observer import Observer

MASTER = "0123456789abcdef" * 2
REPORT = Report("one", "", "life", 1, 1, {Key("aaaaaaaa", 80): Traffic(1, 10)})
ACKNOWLEDGEMENT = Acknowledgement("one", "life", (1,))


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def port():
    return free_port()


class Counter(Observer):
    def __init__(self):
        self.results = collections.Counter()

    def receives_statistics(self, result):
        self.results[result] += 1


@pytest.fixture
def counter():
    return Counter()


@pytest.fixture
def agent(port, counter):
    made = AgentSocket("127.0.0.1", port, MASTER, counter)
    yield made
    made.close()


@pytest.fixture
def collector(port):
    # The first does not act, and the last does not exist.
    controllers = [("127.0.0.1", free_port()), ("127.0.0.1", port), ("nowhere.invalid", 1)]
    made = CollectorSocket(controllers, chassis_key(MASTER, "one"))
    yield made
    made.close()


def test_a_message_and_its_answer(agent, collector, caplog):
    collector.send([REPORT])
    message, sender = agent.receive(5)
    agent.send(ACKNOWLEDGEMENT, sender)

    assert message == REPORT
    deadline = time.monotonic() + 5
    while not (answers := list(collector.receive())):
        assert time.monotonic() < deadline
    assert answers == [ACKNOWLEDGEMENT]
    assert len(collector.filenos()) == 1
    assert "cannot be sent to nowhere.invalid" in caplog.text


def test_a_controller_that_cannot_be_reached_is_complained_of_once(collector, caplog):
    collector.send([REPORT])
    collector.send([REPORT])

    assert caplog.text.count("cannot be sent to nowhere.invalid") == 1


def test_nothing_comes(agent, collector):
    assert agent.receive(0.01) is None
    assert list(collector.receive()) == []


@pytest.mark.parametrize(
    ("datagram", "reason", "sentence"),
    [
        (messages.encode(REPORT, chassis_key(MASTER, "two")), "signature", "it is not signed"),
        (b"octavia-ovn-stats 2 one\n", "version", "it has version 2 of the protocol"),
        (b"", "malformed", "it is no datagram of octavia-ovn-stats"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_datagrams_that_are_not_believed_are_counted_and_complained_of_once(
    agent, port, counter, caplog, datagram, reason, sentence
):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        for _ in range(3):
            forger.sendto(datagram, ("127.0.0.1", port))
            assert agent.receive(5) is None

    assert caplog.text.count(f"is ignored: {sentence}") == 1
    assert counter.results == {reason: 3}


def test_the_clocks_of_hosts_do_not_matter(agent, collector, monkeypatch, counter):
    for step in (0, -3600, 3600):
        now = time.time() + step
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda now=now: now)
            collector.send([REPORT])
        message, _ = agent.receive(5)
        assert message == REPORT

    assert counter.results == {"accepted": 3}


def test_a_port_that_is_taken(agent, port):
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
        AgentSocket("127.0.0.1", port, MASTER)


def test_a_host_that_is_wrong(port):
    with pytest.raises(BadConfiguration, match="bind_host"):
        AgentSocket("nowhere.invalid", port, MASTER)
