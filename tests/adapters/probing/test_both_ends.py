# SPDX-License-Identifier: Apache-2.0
"""The chassis's end and the agent's end of a connection understand each other."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from octavia_ovn.adapters.probing import channel as channels
from octavia_ovn.adapters.probing import job, prober
from octavia_ovn.adapters.probing.job import HealthJob
from octavia_ovn.adapters.probing.server import ChassisServer
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing.messages import Plan, in_parts
from octavia_ovn.core.statistics.keys import chassis_key
from tests.adapters.probing.members import Outlet
from tests.adapters.probing.serving import MASTER, World
from tests.core.probing.examples import probe


class Sources:
    """Everything is ready, and nothing is sent."""

    def __init__(self, ports: object) -> None:
        self._outlet = Outlet()

    def take(self, source: object) -> Outlet:
        return self._outlet

    def close(self) -> None:
        pass


PROBES = tuple(
    probe(id=f"member-{number}", type=MonitorType.TCP, delay=1, rise=1, fall=1)
    for number in range(250)
)


@pytest.fixture
def refused(monkeypatch):
    """Members that refuse connections while the event is set; no network is used."""
    event = threading.Event()

    async def check(wanted, make):
        await asyncio.sleep(0)
        if event.is_set():
            raise prober.Failed("connection refused")

    monkeypatch.setattr(prober.Prober.__init__, "__defaults__", (check,))
    monkeypatch.setattr(job, "Sources", Sources)
    monkeypatch.setattr(channels, "_FIRST_PAUSE", 0.05)
    return event


def states(world):
    """The last state of each member that the agent has been told."""
    return {row.id: row.state for _, each in list(world.seen.results) for row in each.rows}


def all_are(world, state):
    return states(world) == {each.id: state for each in PROBES}


def plan(link, *, drop=False):
    for part in in_parts(PROBES):
        link.send(Plan(drop=tuple(each.id for each in part)) if drop else Plan(part))


def test_plans_results_and_another_agent(refused):
    world = World(time.monotonic)
    health = HealthJob(
        [("127.0.0.1", world.port)], chassis_key(MASTER, "one"), lambda: "one", ports=None
    )
    health.start()
    try:
        link = world.until(lambda: world.seen.links and world.seen.links[0])
        assert link.chassis == "one"
        world.until(lambda: world.seen.results)
        assert world.seen.results[0][1].complete

        plan(link)
        world.until(lambda: all_are(world, HealthState.UP))
        refused.set()
        world.until(lambda: all_are(world, HealthState.DOWN))

        # The next agent on the same port is told everything at once.
        world.stop()
        world.server = ChassisServer("127.0.0.1", world.port, MASTER, world.seen)
        world.seen.links.clear()
        world.seen.results.clear()
        world._stopped.clear()
        world._thread = threading.Thread(target=world._run)
        world._thread.start()
        link = world.until(lambda: world.seen.links and world.seen.links[0])
        world.until(lambda: world.seen.results and world.seen.results[-1][1].complete)
        assert all_are(world, HealthState.DOWN)

        plan(link, drop=True)
        world.until(lambda: not sum(health.states.values()))
    finally:
        health.close(5.0)
        world.stop()
