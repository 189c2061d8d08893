# SPDX-License-Identifier: Apache-2.0
"""The pace of probes, what counts, and what a plan changes."""

import asyncio
import dataclasses

import pytest

from octavia_ovn.adapters.probing import prober as probing
from octavia_ovn.adapters.probing.outcome import Failed, NotDone
from octavia_ovn.adapters.probing.prober import Prober
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing.counters import Counters
from octavia_ovn.core.probing.messages import Plan
from tests.adapters.probing.members import AT_ONCE, Outlet, Sources
from tests.core.probing.examples import probe


class World:
    """A prober whose probes end as the test says, and the results that it tells."""

    def __init__(self):
        self.outlet = Outlet()
        self.counters = Counters()
        self.told = []
        self.ends = {}
        """Id → what is raised; nothing means a success."""
        self.begun = []
        self.under_way = 0
        self.most = 0
        self.duration = 0.0
        self.weight = None
        self.prober = Prober(
            Sources(self.outlet), self.told.append, self.counters, 1000, self.check
        )

    async def check(self, wanted, make):
        self.begun.append((wanted.id, asyncio.get_running_loop().time()))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if wanted.id in self.ends:
                raise self.ends[wanted.id]
            await asyncio.sleep(self.duration)
        finally:
            self.under_way -= 1
        return self.weight

    def put(self, *probes, weighted=()):
        self.prober.apply(Plan(probes, weighted=weighted))

    async def until(self, condition, patience=8.0):
        async def wait():
            while not condition():
                await asyncio.sleep(0.01)

        await asyncio.wait_for(wait(), patience)

    def states(self):
        return [(each.id, each.state.value) for each in self.told]


def run(story):
    async def main():
        world = World()
        try:
            await story(world)
        finally:
            world.prober.close()

    asyncio.run(main())


def soon(**changes):
    return probe(**{"id": AT_ONCE, "delay": 1, "rise": 1, "fall": 1, **changes})


def test_states_change_after_rise_and_fall():
    async def story(world):
        world.put(soon(rise=2, fall=2))
        await world.until(lambda: world.told)
        assert len(world.begun) == 2
        world.ends[AT_ONCE] = Failed("connection refused")
        await world.until(lambda: len(world.told) == 2)
        assert len(world.begun) == 4
        assert world.states() == [(AT_ONCE, "up"), (AT_ONCE, "down")]
        assert world.told[-1].reason == "connection refused"
        assert world.told[-1].version == soon(rise=2, fall=2).version
        assert world.counters.endings == {("HTTP", "success"): 2, ("HTTP", "failure"): 2}
        assert world.counters.changes == {"up": 1, "down": 1}

    run(story)


def test_only_changes_are_told_and_all_states_on_request():
    async def story(world):
        world.put(soon())
        await world.until(lambda: len(world.begun) == 3)
        assert len(world.told) == 1
        assert world.prober.results() == world.told
        assert world.prober.states()["up"] == 1

    run(story)


def test_a_probe_that_is_told_again_keeps_its_state():
    async def story(world):
        world.put(soon())
        await world.until(lambda: world.told)
        world.put(soon())
        assert [each.state for each in world.prober.results()] == [HealthState.UP]
        assert world.outlet.users == 1

    run(story)


def test_a_probe_that_changes_begins_again():
    async def story(world):
        world.put(soon())
        await world.until(lambda: world.told)
        changed = soon(url_path="/other")
        world.put(changed)
        (result,) = world.prober.results()
        assert (result.version, result.state) == (changed.version, HealthState.UNKNOWN)
        assert world.outlet.users == 1
        await world.until(lambda: len(world.told) == 2)

    run(story)


def test_a_probe_that_is_dropped_runs_no_more():
    async def story(world):
        world.duration = 0.2
        world.put(soon())
        await world.until(lambda: world.under_way)
        world.prober.apply(Plan((), (AT_ONCE, "unknown")))
        await asyncio.sleep(0.05)
        assert world.under_way == 0
        assert world.prober.results() == []
        assert world.outlet.users == 0
        await asyncio.sleep(1.2)
        assert len(world.begun) == 1
        assert world.told == []

    run(story)


def test_never_two_probes_of_one_member_at_a_time():
    async def story(world):
        world.duration = 1.5
        world.put(soon(timeout=3))
        await world.until(lambda: len(world.begun) == 3)
        assert world.most == 1

    run(story)


def test_the_timeout_covers_the_whole_probe():
    async def story(world):
        world.duration = 30.0
        world.put(soon(timeout=1))
        await world.until(lambda: world.told, 2.0)
        assert world.told[0].reason == "no answer within 1 s"
        assert world.told[0].state is HealthState.DOWN

    run(story)


def test_a_timeout_does_not_count_when_this_process_was_late(monkeypatch):
    async def story(world):
        world.duration = 30.0
        monkeypatch.setattr(probing, "_LATE", -1.0)
        world.put(soon(timeout=1))
        await world.until(lambda: world.counters.endings)
        assert world.counters.endings == {("HTTP", "not_done"): 1}
        assert world.told == []
        # A host that is always late would otherwise never notice a dead member.
        await world.until(lambda: world.told)
        assert world.counters.endings == {("HTTP", "not_done"): 2, ("HTTP", "failure"): 1}

    run(story)


def test_starts_are_spread_over_the_delay():
    async def story(world):
        world.put(*(probe(id=f"member-{number}", delay=2) for number in range(200)))
        await asyncio.sleep(1.1)
        assert len({name for name, _ in world.begun}) == 200
        await asyncio.sleep(2.5)
        world.begun.clear()
        await asyncio.sleep(2.0)
        moments = sorted(at for _, at in world.begun)
        assert 180 <= len(moments) <= 220
        halves = [sum(at < moments[0] + 1 for at in moments)]
        assert 60 <= halves[0] <= 140

    run(story)


def test_probes_beyond_the_limit_wait_and_do_not_fail(monkeypatch):
    monkeypatch.setattr(probing, "_AT_ONCE", 4)  # of which half for one project

    async def story(world):
        world.duration = 0.6
        world.put(*(probe(id=f"member-{each}", timeout=1, rise=1) for each in range(8)))
        await world.until(lambda: len(world.told) == 8)
        assert world.most == 2
        assert {each.state for each in world.told} == {HealthState.UP}

    run(story)


def test_who_waits_for_its_turn_for_long_is_not_called_up(monkeypatch):
    monkeypatch.setattr(probing, "_STALE", 0.5)

    async def story(world):
        world.put(soon())
        await world.until(lambda: world.told)
        world.prober._slots._free = 0
        await world.until(lambda: len(world.told) == 2)
        assert world.states()[-1] == (AT_ONCE, "unchecked")
        assert "too many" in world.told[-1].reason

    run(story)


# --- what says nothing about a member


def test_a_probe_that_cannot_be_made_changes_nothing(caplog):
    async def story(world):
        world.put(soon())
        await world.until(lambda: world.told)
        world.ends[AT_ONCE] = NotDone("no more sockets")
        await world.until(lambda: world.counters.endings["HTTP", "not_done"] == 2)
        assert [each.state for each in world.prober.results()] == [HealthState.UP]

    run(story)
    line = "Probes cannot be made, such as of 10.0.0.20: no more sockets"
    assert caplog.messages.count(line) == 1


def test_a_defect_changes_nothing_and_does_not_end_the_probe(caplog):
    async def story(world):
        world.ends[AT_ONCE] = ZeroDivisionError()
        world.put(soon())
        await world.until(lambda: len(world.begun) == 2)
        assert world.told == []
        del world.ends[AT_ONCE]
        await world.until(lambda: world.told)

    run(story)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("before", ["up", "down"])
def test_what_has_not_been_probed_for_long_is_not_called_up(monkeypatch, before):
    monkeypatch.setattr(probing, "_STALE", 0.5)

    async def story(world):
        if before == "down":
            world.ends[AT_ONCE] = Failed("refused")
        world.put(soon())
        await world.until(lambda: world.told)
        world.outlet.ready.clear()
        await world.until(lambda: world.counters.endings["HTTP", "not_done"])
        (result,) = world.prober.results()
        if before == "down":
            assert result.state is HealthState.DOWN
            return
        assert result.state is HealthState.UNCHECKED
        assert result.reason == "not probed: the port is away"
        world.outlet.ready.set()
        await world.until(lambda: len(world.told) == 3)
        assert world.states()[-1] == (AT_ONCE, "up")

    run(story)


def test_what_could_never_be_probed_is_said_to_be_so(monkeypatch):
    """The agent has called the member UP since before this program was restarted."""
    monkeypatch.setattr(probing, "_STALE", 0.5)

    async def story(world):
        world.outlet.ready.clear()
        world.put(soon())
        await world.until(lambda: world.told)
        assert world.states() == [(AT_ONCE, "unchecked")]

    run(story)


@pytest.mark.parametrize("kind", [MonitorType.TCP, MonitorType.UDP_CONNECT])
def test_a_failure_from_a_port_that_has_just_been_made_does_not_count(kind):
    async def story(world):
        world.outlet.trusted = False
        world.ends[AT_ONCE] = Failed("host unreachable")
        world.put(soon(type=kind))
        await world.until(lambda: len(world.begun) == 2)
        assert world.told == []
        world.outlet.trusted = True
        await world.until(lambda: world.told)
        assert world.told[0].state is HealthState.DOWN

    run(story)


def test_an_answer_proves_a_new_port_and_silence_of_udp_does_not():
    async def story(world):
        world.outlet.trusted = False
        world.put(soon(type=MonitorType.UDP_CONNECT))
        await world.until(lambda: len(world.begun) == 2)
        assert not world.outlet.trusted
        assert world.told == []
        world.put(dataclasses.replace(soon(), id="member-1"))
        await world.until(lambda: world.told)
        assert world.outlet.trusted

    run(story)


def test_weights_are_told_when_they_change():
    async def story(world):
        world.weight = 3
        world.put(soon(), weighted=(AT_ONCE,))
        await world.until(lambda: len(world.begun) == 2)
        assert [(each.state.value, each.weight) for each in world.told] == [("up", 3)]
        world.weight = None
        await world.until(lambda: len(world.told) == 2)
        assert world.told[-1].weight is None
        world.weight = 0
        await world.until(lambda: len(world.told) == 3)
        assert world.told[-1].weight == 0
        world.ends[AT_ONCE] = Failed("connection refused")
        await world.until(lambda: len(world.told) == 4)
        assert (world.told[-1].state, world.told[-1].weight) == (HealthState.DOWN, None)

    run(story)


def test_weights_that_nobody_asks_for_are_not_told_until_somebody_does():
    async def story(world):
        world.weight = 3
        world.put(soon())
        await world.until(lambda: len(world.begun) == 2)
        assert [each.weight for each in world.told] == [None]
        world.put(soon(), weighted=(AT_ONCE,))
        world.put(soon(), weighted=(AT_ONCE,))
        assert [each.weight for each in world.told] == [None, 3]
        assert world.prober.results()[0].weight == 3
        assert len(world.begun) == 2

    run(story)
