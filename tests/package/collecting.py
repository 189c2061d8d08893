# SPDX-License-Identifier: Apache-2.0
"""A collector, and in memory what it talks to."""

import contextlib
import threading
import time

from octavia_ovn import collector
from octavia_ovn.adapters.openvswitch.bridge import Reading
from octavia_ovn.adapters.openvswitch.host import Identity
from octavia_ovn.adapters.statistics.datagrams import AgentSocket
from octavia_ovn.collector import Collector
from octavia_ovn.config.databases import Database
from octavia_ovn.config.statistics import CollectorStatistics
from octavia_ovn.controller.listener_counters import Accounts
from octavia_ovn.controller.statistics import StatisticsReceiver
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.traffic import Key
from tests.adapters.statistics.test_datagrams import free_port
from tests.controller.collectors import Limits
from tests.core.statistics.switch import counters

MASTER = "0123456789abcdef" * 2
VIP = b"\x0a\x00\x00\x01"
FLOW = LogicalFlow(Meaning.CONNECTIONS, "aaaaaaaa", VIP, "tcp", 80, routed=False)
COOKIE = 0xF00
OPEN = "tcp,orig=(src=10.0.0.9,dst=10.0.0.1,sport=4,dport=80),mark=2,protoinfo=(state=ESTABLISHED)"


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
        self.recorded = {}
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

    def connections(self, *options):
        self.lists += 1
        self._fail("connections")
        return [OPEN] * self.open

    def groups(self, numbers):
        self._fail("switch")
        return []

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
