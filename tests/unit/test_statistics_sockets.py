"""Datagrams through the kernel."""

import socket
import time

import pytest

from octavia_ovn.adapters.statistics_sockets import AgentSocket, CollectorSocket
from octavia_ovn.core.statistics import messages
from octavia_ovn.core.statistics.messages import Acknowledgement, Report
from octavia_ovn.core.statistics.traffic import Key, Traffic
from octavia_ovn.errors import BadConfiguration, Unavailable

REPORT = Report("one", "life", 1, 1, {Key("aaaaaaaa", 80): Traffic(1, 10)})
ACKNOWLEDGEMENT = Acknowledgement("one", "life", (1,))


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def agent(port):
    made = AgentSocket("127.0.0.1", port, "secret")
    yield made
    made.close()


@pytest.fixture
def collector(port):
    # The first does not act, and the last does not exist.
    controllers = [("127.0.0.1", free_port()), ("127.0.0.1", port), ("nowhere.invalid", 1)]
    made = CollectorSocket(controllers, "secret")
    yield made
    made.close()


def test_there_and_back(agent, collector, caplog):
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


def test_nothing_comes(agent, collector):
    assert agent.receive(0.01) is None
    assert list(collector.receive()) == []


def test_forged_datagrams_are_ignored_and_complained_of_once(agent, port, caplog):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        for _ in range(2):
            forged = messages.encode(REPORT, "guessed", time.time())
            forger.sendto(forged, ("127.0.0.1", port))
            assert agent.receive(5) is None

    assert caplog.text.count("is ignored: it is not signed") == 1


def test_a_port_that_is_taken(agent, port):
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
        AgentSocket("127.0.0.1", port, "secret")


def test_a_host_that_is_wrong(port):
    with pytest.raises(BadConfiguration, match="bind_host"):
        AgentSocket("nowhere.invalid", port, "secret")
