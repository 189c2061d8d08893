# SPDX-License-Identifier: Apache-2.0
"""The databases of OVN are away for a day: they are tried with a bounded pause, then reached."""

import socket
import tempfile
from pathlib import Path

import ovs.timeval
import pytest

from octavia_ovn.adapters.ovsdb.channel import MAX_BACKOFF, Channel
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.errors import BadConfiguration, Unavailable
from octavia_ovn.health import HealthChecks
from tests.controller.outside import Clock, Later

DAY = 24 * 3600


class Southbound:
    """The database: may not be reached; and what is wrong with it."""

    def __init__(self, problem):
        self.problem = problem
        self.asked = 0
        self.is_open = False
        self.turns = 0

    def fetch_schema(self):
        self.asked += 1
        if self.problem is not None:
            raise type(self.problem)(*self.problem.args)  # else its traceback would grow
        return "schema"

    def open(self, schema):
        self.is_open = True

    def run(self):
        self.turns += 1


@pytest.mark.parametrize(
    "problem",
    [Unavailable("refused"), BadConfiguration("no such certificate"), KeyError("a defect")],
)
def test_the_southbound_database_is_away_for_a_day(problem, caplog):
    sb, executor, clock = Southbound(problem), Later(), Clock()
    health = HealthChecks(sb, executor, lambda: None, clock)
    began = clock()
    while clock() - began < DAY:
        health.run()
        executor.run()
        clock.passes(0.5)
    assert DAY / 31 <= sb.asked <= DAY / 30 + 10
    # Each attempt is worth a line, not each turn of the main loop.
    assert len(caplog.records) <= sb.asked

    sb.problem = None
    for _ in range(200):
        health.run()
        executor.run()
        clock.passes(0.5)
    assert sb.turns > 0


def test_a_database_is_away_for_a_day(monkeypatch):
    now = [0]
    monkeypatch.setattr(ovs.timeval, "msec", lambda: now[0])
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "db.sock")
        channel = Channel(Endpoint((f"unix:{path}",)), probe_interval=0)
        attempts, before = 0, channel.get_seqno()
        while now[0] < 1000 * DAY:
            channel.run()
            attempts += channel.get_seqno() != before
            before = channel.get_seqno()
            now[0] += 500
        assert not channel.is_connected()
        assert 1000 * DAY / (2 * MAX_BACKOFF) <= attempts <= 1000 * DAY / MAX_BACKOFF + 10

        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            for _ in range(20):
                channel.run()
                now[0] += 500
            assert channel.is_connected()
            channel.close()
