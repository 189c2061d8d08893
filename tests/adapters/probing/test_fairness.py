# SPDX-License-Identifier: Apache-2.0
"""A project with more checks than a chassis can make, beside others; the clock is simulated."""

import asyncio
import collections
import logging

import pytest

from octavia_ovn.adapters.probing import prober as probing
from octavia_ovn.adapters.probing.prober import Prober
from octavia_ovn.core.probing.counters import Counters
from octavia_ovn.core.probing.messages import Plan
from tests.adapters.probing.members import Outlet, Sources
from tests.adapters.probing.simulated import run
from tests.core.probing.examples import SOURCE, probe

RATE = 50
SMALL = 20


class World:
    """A prober whose probes take as long as the test says; `begun` has when each began."""

    def __init__(self, durations):
        self.durations = durations
        self.begun = collections.defaultdict(list)
        self.counters = Counters()
        self.prober = Prober(Sources(Outlet()), lambda _: None, self.counters, RATE, self._check)

    async def _check(self, wanted, _):
        self.begun[wanted.id].append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.durations.get(wanted.id[0], 0.01))

    def put(self, project, count, **changes):
        probes = [probe(id=f"{project}{each}", delay=1, **changes) for each in range(count)]
        projects = {each.id: project for each in probes}
        self.prober.apply(Plan(tuple(probes), projects=projects if project != "x" else {}))

    def counts(self, project):
        """How often each member of a project was probed."""
        return [len(times) for member, times in self.begun.items() if member[0] == project]


def observed(seconds, durations=(), **projects):
    """Let chassis probe so many members of each project for some seconds."""

    async def main():
        world = World(dict(durations))
        for project, count in projects.items():
            world.put(project, count, timeout=60)
        await asyncio.sleep(seconds)
        world.prober.close()
        await asyncio.sleep(0)
        return world

    return run(main(), 10 * seconds)


def warnings(caplog):
    """What was logged, without changes of members."""
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_project_with_too_many_members_does_not_delay_others(caplog):
    world = observed(60, a=2000, b=SMALL)

    # Those of the other project come each second.
    assert len(world.counts("b")) == SMALL
    assert min(world.counts("b")) >= 58
    # Its own come one after the other, at the rate that is allowed.
    assert sum(world.counts("a")) == pytest.approx(RATE * 60, abs=2 * RATE)
    assert set(world.counts("a")) <= {1, 2}
    assert world.counters.delayed > 1000
    (line,) = warnings(caplog)
    assert line.startswith("Project a asks for more probes than [ovn_health] max_probes_per_proj")


def test_within_the_rate_nothing_is_delayed(caplog):
    world = observed(60, a=RATE - 10, b=RATE - 10)

    assert min(world.counts("a") + world.counts("b")) >= 58
    assert world.counters.delayed == 0
    assert not warnings(caplog)


def test_members_that_do_not_answer_leave_places_to_other_projects(monkeypatch):
    monkeypatch.setattr(probing, "_AT_ONCE", 40)
    world = observed(60, {"a": 50.0, "b": 50.0}, a=500, b=500, c=SMALL)

    # A third of the places for each; the third one needs a few only.
    assert sum(world.counts("a")) <= 2 * 14
    assert min(world.counts("c")) >= 57


def test_without_a_project_the_subnet_counts(caplog):
    """An older agent does not say whose a member is."""
    world = observed(20, x=1000, b=SMALL)

    assert sum(world.counts("x")) == pytest.approx(RATE * 20, abs=2 * RATE)
    assert min(world.counts("b")) >= 18
    assert f"Project {SOURCE.port} asks for" in caplog.text


def test_a_project_that_is_told_later_counts_from_then_on():
    async def main():
        world = World({})
        world.put("x", 1)
        (run,) = world.prober._runs.values()
        assert run.project == SOURCE.port
        world.prober.apply(Plan((run.probe,), projects={run.probe.id: "a"}))
        assert list(world.prober._runs.values()) == [run]
        assert run.project == "a"
        world.prober.close()

    run(main(), 10)
