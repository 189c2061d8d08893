# SPDX-License-Identifier: Apache-2.0
"""The thread that serves connections of chassis while its agent is the leader."""

import threading
import time

import pytest

from octavia_ovn.controller import leader_thread
from octavia_ovn.controller.chassis_connections import ChassisConnections
from octavia_ovn.errors import Unavailable


class Server:
    def __init__(self):
        self.turns = 0
        self.closed = threading.Event()

    def turn(self, timeout):
        self.turns += 1
        time.sleep(0.005)

    def close(self):
        self.closed.set()


class World:
    def __init__(self):
        self.servers, self.failures = [], []
        self.thread = ChassisConnections(self._listen)
        self.thread.start()

    def _listen(self):
        if self.failures:
            raise self.failures.pop()
        self.servers.append(Server())
        return self.servers[-1]

    def until(self, condition):
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def serves(self, number=1):
        self.until(lambda: len(self.servers) == number and self.servers[-1].turns)


@pytest.fixture
def world():
    found = World()
    yield found
    found.thread.close(10)


def test_only_the_leader_listens(world):
    time.sleep(0.05)
    assert world.servers == []
    world.thread.set_leader(is_leader=True)
    world.serves()
    world.thread.set_leader(is_leader=False)
    assert world.servers[0].closed.wait(10)


def test_each_term_has_connections_of_its_own(world):
    world.thread.set_leader(is_leader=True)
    world.serves()
    world.thread.set_leader(is_leader=False)
    world.thread.set_leader(is_leader=True)
    world.serves(2)
    assert world.servers[0].closed.is_set()


def test_a_port_in_use_is_tried_again(world, monkeypatch, caplog):
    monkeypatch.setattr(leader_thread, "RETRY", 0.05)
    world.failures = [Unavailable("the port is in use")]
    world.thread.set_leader(is_leader=True)
    world.serves()
    assert caplog.text.count("the port is in use") == 1


def test_the_end_of_the_agent_ends_it(world):
    world.thread.set_leader(is_leader=True)
    world.serves()
    world.thread.close(10)
    assert world.servers[0].closed.is_set()
