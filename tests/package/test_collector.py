# SPDX-License-Identifier: Apache-2.0
"""A collector's loop: its pace, and what it does while what it needs fails."""

import math
import time

import pytest

from octavia_ovn import collector
from octavia_ovn.adapters.statistics.ack_watchdog import AckWatchdog
from octavia_ovn.collector import Collector, Schedule
from octavia_ovn.core.statistics.traffic import Key
from octavia_ovn.errors import Unavailable
from tests.package.collecting import COOKIE, FLOW, World


def test_what_happens_now_and_then():
    schedule = Schedule(10.0)

    assert schedule.is_due(100.0)
    assert not schedule.is_due(109.0)
    assert schedule.is_due(110.0)
    schedule.put_off(125.0)
    assert not schedule.is_due(124.0)
    assert schedule.is_due(125.0)


def test_what_never_happens():
    schedule = Schedule(0.0)

    assert not schedule.is_due(1e9)
    assert schedule.due == math.inf


def test_missing_acknowledgements_are_logged_once_and_so_is_the_first_one_after(caplog):
    caplog.set_level("INFO")
    watchdog = AckWatchdog()
    watchdog.acknowledged()
    for now in (0.0, 30.0, 61.0, 120.0):
        watchdog.waiting(now, "one")
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert watchdog.overdue

    watchdog.acknowledged()
    watchdog.waiting(130.0, "one")
    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]
    assert not watchdog.overdue


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def begin(world):
    """Have the first reading done, which leaves out what was before."""
    world.until(lambda: world.collector._memory.meter.baselines)


def test_wall_clocks_that_step_change_nothing(world, monkeypatch):
    now = {"step": 0.0}
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + now["step"])
    with world.collecting(), world.acting():
        begin(world)
        for turn, step in enumerate((0.0, -3600.0, 3600.0, -7200.0), 1):
            now["step"] = step
            world.around.packets, world.around.open = 10 * turn, turn
            world.await_counters(total_connections=10 * turn, active_connections=turn)


def test_open_connections_are_right_after_a_restart_with_an_earlier_clock(world, monkeypatch):
    with world.acting():
        world.around.open = 500
        with world.collecting():
            world.await_counters(active_connections=500)
        monkeypatch.setattr(time, "time", lambda: 1.0)
        world.around.open = 3
        world.collector = world.new_collector()
        with world.collecting():
            world.await_counters(active_connections=3)


def test_nothing_is_lost_or_counted_twice_when_agents_take_over(world):
    with world.collecting():
        begin(world)
        for turn in range(1, 4):
            world.around.packets += 3  # while none acts
            time.sleep(0.1)
            with world.acting():
                world.around.packets += 4
                world.await_counters(total_connections=7 * turn)


def test_that_no_connection_is_open_any_more_is_reported_after_a_restart(world):
    with world.acting():
        world.around.open = 500
        with world.collecting():
            world.await_counters(active_connections=500)
        world.around.open = 0
        world.collector = world.new_collector()
        with world.collecting():
            world.await_counters(active_connections=0)


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("southbound", "The Southbound database"),
        ("switch", "Open vSwitch"),
        ("connections", "The list of open connections"),
    ],
)
@pytest.mark.parametrize("error", [Unavailable("it is away"), RuntimeError("it is away")], ids=repr)
def test_a_part_that_fails_is_said_once_and_the_collector_running(
    world, caplog, monkeypatch, part, line, error
):
    caplog.set_level("INFO")
    monkeypatch.setattr("octavia_ovn.attempts._FIRST_PAUSE", 0.1)
    with world.collecting(), world.acting():
        begin(world)
        world.around.packets, world.around.open = 5, 5
        world.await_counters(total_connections=5, active_connections=5)

        world.around.errors = {part: error}
        world.until(lambda: not world.collector.working[part])
        time.sleep(0.2)
        assert world.collector.defects[part] == 0 or isinstance(error, RuntimeError)
        assert world.collector.defects[part] > 0 or isinstance(error, Unavailable)

        world.around.errors = {}
        world.around.packets, world.around.open = 9, 9
        world.await_counters(total_connections=9, active_connections=9)
        world.until(lambda: world.collector.working[part])

    if isinstance(error, Unavailable):
        assert caplog.text.count(f"{line} cannot be used: it is away") == 1
    else:
        assert "Traceback" in caplog.text
    assert caplog.text.count(f"{line} can be used again") == 1


def test_while_the_state_file_cannot_be_written_nothing_is_sent_and_nothing_lost(world, caplog):
    with world.collecting(), world.acting():
        begin(world)
        parked = world.folder.with_name("parked")
        world.folder.rename(parked)
        world.around.packets = 5
        world.until(lambda: not world.collector.working["state_file"])
        time.sleep(0.3)
        assert world.octavia.shown == {}

        parked.rename(world.folder)
        world.await_counters(total_connections=5)
    # The folder may have vanished in the middle of a save, which then has another reason.
    assert 1 <= caplog.text.count("The state file cannot be used") <= 2


def test_a_state_file_that_can_never_be_written_ends_the_collector(world):
    world.folder.rmdir()

    with pytest.raises(Unavailable, match="state_file"):
        world.collector.run(lambda: pytest.fail("it works on"))


def test_two_agents_that_both_answer_do_not_have_it_repeat_without_a_pause(world, monkeypatch):
    monkeypatch.setattr(collector, "_REPEAT", 0.5)
    world.collector._send.due = now = time.monotonic() + 100
    for number in range(10):
        world.collector._join(f"session-{number}")

    assert world.collector._send.due >= now - 100 + 0.4


KEY = Key("aaaaaaaa", 80)


def test_limited_listeners_are_counted_often(world):
    """However rarely connections are counted otherwise."""
    world.connections_interval = 3600.0
    world.limits.keys = frozenset({KEY})
    world.collector = world.new_collector()
    with world.collecting(), world.acting():
        begin(world)
        world.around.limited = frozenset({"aaaaaaaa"})
        for number in (3, 7, 0):
            world.around.open = number
            world.until(lambda number=number: world.seen() == {KEY: number})
        assert world.limits.seen[-1].counting


@pytest.mark.parametrize("limited", [frozenset(), frozenset({"aaaaaaaa"})])
def test_between_what_is_due_the_loop_rests(world, monkeypatch, limited):
    """Limits or not, and though the Southbound database may have none of it yet."""
    world.around.limited, world.around.synced = limited, not limited
    turns = []
    wait = Collector._wait
    monkeypatch.setattr(Collector, "_wait", lambda self: (turns.append(self), wait(self)))
    with world.collecting():
        time.sleep(0.5)
    assert 10 < len(turns) < 300  # the shortest interval is 20 ms


def test_limits_on_other_chassis_cost_nothing_here(world):
    world.connections_interval = 0.0
    world.collector = world.new_collector()
    world.around.limited = frozenset({"bbbbbbbb"})
    with world.collecting():
        begin(world)
        time.sleep(0.2)
        assert world.around.lists == 0
        world.around.limited = frozenset({"aaaaaaaa"})
        world.until(lambda: world.around.lists)


def test_the_next_agent_hears_of_them_too(world):
    world.connections_interval = 0.0
    world.limits.keys = frozenset({KEY})
    world.collector = world.new_collector()
    world.around.limited, world.around.open = frozenset({"aaaaaaaa"}), 5
    with world.collecting():
        for _ in range(2):
            with world.acting():
                world.until(lambda: world.seen() == {KEY: 5})
            world.limits.seen.clear()


def test_what_is_not_counted_any_more_is_not_shown(world):
    """Limits are all that is counted: then the listener goes, and then all limits."""
    world.connections_interval = 0.0
    world.collector = world.new_collector()
    world.collector._for_metrics = True
    world.around.limited, world.around.open = frozenset({"aaaaaaaa", "bbbbbbbb"}), 5
    with world.collecting():
        world.until(lambda: world.collector.open == {KEY: 5})
        world.around.flows = {}
        world.until(lambda: world.collector.open == {})
        world.around.flows = {COOKIE: FLOW}
        world.until(lambda: world.collector.open_by_member)
        world.around.limited = frozenset()
        world.until(lambda: not world.collector.open_by_member)


def test_a_chassis_without_any_says_that_it_counts(world):
    world.connections_interval = 0.0
    world.collector = world.new_collector()
    with world.acting(), world.collecting():  # what is lost is said again a minute later
        world.until(lambda: world.limits.seen and world.limits.seen[-1].counting)
