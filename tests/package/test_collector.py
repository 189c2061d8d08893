# SPDX-License-Identifier: Apache-2.0
"""A collector's loop: its pace, and what it does while what it needs fails."""

import contextlib
import math
import threading
import time

import pytest

from octavia_ovn import collector
from octavia_ovn.adapters.openvswitch.bridge import Reading
from octavia_ovn.adapters.openvswitch.host import Identity
from octavia_ovn.adapters.statistics.ack_watchdog import AckWatchdog
from octavia_ovn.adapters.statistics.datagrams import AgentSocket
from octavia_ovn.collector import Collector, Schedule
from octavia_ovn.config.databases import Database
from octavia_ovn.config.statistics import CollectorStatistics
from octavia_ovn.controller.listener_counters import Accounts
from octavia_ovn.controller.statistics import StatisticsReceiver
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.traffic import Key
from octavia_ovn.errors import Unavailable
from tests.adapters.statistics.test_datagrams import free_port
from tests.controller.collectors import Limits
from tests.core.statistics.switch import counters

MASTER = "0123456789abcdef" * 2
VIP = b"\x0a\x00\x00\x01"
FLOW = LogicalFlow(Meaning.CONNECTIONS, "aaaaaaaa", VIP, "tcp", 80, routed=False)
COOKIE = 0xF00
OPEN = "tcp,orig=(src=10.0.0.9,dst=10.0.0.1,sport=4,dport=80),mark=2,protoinfo=(state=ESTABLISHED)"


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


class VipLookup:
    """The Southbound database and the Open vSwitch of a collector; each can be made to fail."""

    def __init__(self):
        self.errors = {}
        self.packets = 0
        self.open = 0
        self.lists = 0
        self.began = time.monotonic()
        # What a Southbound database is asked for.
        self.flows = {COOKIE: FLOW}
        self.balancers = {}
        self.limited = frozenset()
        self.synced = True

    def _fail(self, part):
        if part in self.errors:
            raise self.errors[part]

    def run(self):
        self._fail("southbound")
        return {COOKIE}

    def check(self, now):
        pass

    def wait(self, poller):
        pass

    def close(self):
        pass

    # A switch and its bridge.
    def identity(self):
        self._fail("switch")
        return Identity("one", "br-int")

    def management(self, bridge):
        return bridge

    def connections(self):
        self.lists += 1
        self._fail("connections")
        return [OPEN] * self.open

    def read(self, cookies):
        self._fail("switch")
        now = time.monotonic()
        flow = counters(COOKIE, packets=self.packets, address=VIP, age=now - self.began)
        yield Reading(frozenset(cookies), [flow], now)


class Octavia:
    def __init__(self):
        self.shown = {}

    def listener_statistics(self, listener_id):
        names = (
            "bytes_in", "bytes_out", "active_connections", "total_connections", "request_errors",
        )  # fmt: skip
        return self.shown.get(listener_id, dict.fromkeys(names, 0))

    def update_statistics(self, message):
        for record in message["listeners"]:
            values = dict(record)
            self.shown[values.pop("id")] = values


class World:
    """A collector in a thread, and an agent if there is one."""

    def __init__(self, folder, monkeypatch):
        self.around = VipLookup()
        for name in ("SouthboundFlows", "LocalSwitch", "Bridge"):
            monkeypatch.setattr(collector, name, lambda *_, **__: self.around)
        self.port = free_port()
        self.octavia = Octavia()
        self.folder = folder
        self.stopping = threading.Event()
        self.connections_interval = 0.05
        self.limits = Limits()
        self.collector = self.new_collector()

    def new_collector(self):
        return Collector(
            CollectorStatistics(
                key=chassis_key(MASTER, "one"),
                sb=Database(("tcp:127.0.0.1:1",), "", "", "", "ovn_sb"),
                controllers=(("127.0.0.1", self.port),),
                read_interval=0.02,
                send_interval=0.05,
                connections_interval=self.connections_interval,
                limits_interval=0.02,
                ovs_rundir="unused",
                state_file=f"{self.folder}/state.json",
                metrics_port=0,
                metrics_address="",
            )
        )

    @contextlib.contextmanager
    def collecting(self):
        self.stopping.clear()
        thread = threading.Thread(
            target=self.collector.run, args=(lambda: not self.stopping.is_set(),)
        )
        thread.start()
        try:
            yield
            assert thread.is_alive()
        finally:
            self.stopping.set()
            thread.join(5)
            assert not thread.is_alive()

    @contextlib.contextmanager
    def acting(self):
        """An active agent; it does not know what the one before it did."""
        ended = threading.Event()
        accounts = Accounts(self.octavia, self.octavia, lambda _: {Key("aaaaaaaa", 80): "web"})
        socket = AgentSocket("127.0.0.1", self.port, MASTER)
        ledger = StatisticsReceiver(socket, accounts, 0.05, self.limits)

        def work():
            while not ended.is_set():
                ledger.turn()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
            assert thread.is_alive()
        finally:
            ended.set()
            thread.join(5)
            socket.close()

    def seen(self):
        """What the agent has counted last of listeners with a limit."""
        return self.limits.seen[-1].open if self.limits.seen else {}

    def await_counters(self, **expected):
        def found():
            shown = self.octavia.listener_statistics("web")
            return {name: shown[name] for name in expected}

        self.until(lambda: found() == expected, found)

    def until(self, condition, found=lambda: ""):
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, found()
            time.sleep(0.01)


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
