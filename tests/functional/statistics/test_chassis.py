# SPDX-License-Identifier: Apache-2.0
"""Several chassis with a collector each, agents that come and go, and no OpenStack."""

from __future__ import annotations

import configparser
import contextlib
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from octavia_ovn.adapters.statistics.datagrams import AgentSocket
from octavia_ovn.controller.listener_counters import Accounts
from octavia_ovn.controller.statistics import Statistics, StatisticsReceiver
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.core.statistics.traffic import Key
from tests.controller.collectors import Limits
from tests.functional.statistics import hypervisors
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from tests.functional.statistics.hypervisors import Cloud


MASTER_KEY = "0123456789abcdef" * 2
VIP, VIP6 = "10.0.1.100", "fd00:1::100"
SWITCHES = ("front", "back", "outside")
"""The load balancer is on the first two and on the router; the third is beyond its gateway."""
GUESTS = (
    # hypervisor, switch, name, last part of the addresses
    ("one", "front", "web1", 11),
    ("two", "front", "web2", 12),
    ("one", "front", "near", 13),
    ("two", "back", "far", 14),
    ("two", "outside", "stranger", 15),
)
_SERVER = """
import socket, socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline(); self.wfile.write(b"answer\\n")
class Server(socketserver.ThreadingTCPServer):
    request_queue_size, address_family = 100, socket.AF_INET6
Server(("", 80), Handler).serve_forever()
"""
_CLIENT = """
import socket, sys
for _ in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 80), timeout=10) as peer:
        peer.sendall(b"question\\n")
        assert peer.recv(100) == b"answer\\n"
"""


_HOLDER = """
import socket, sys
held = [socket.create_connection((sys.argv[1], 80), timeout=10) for _ in range(int(sys.argv[2]))]
sys.stdin.read()
"""


class Octavia:
    """Keeps what is reported to it, as its database does."""

    def __init__(self) -> None:
        self.counters: dict[str, Mapping[str, int]] = {}

    def listener_statistics(self, listener_id: str) -> Mapping[str, int]:
        names = (
            "bytes_in", "bytes_out", "active_connections", "total_connections", "request_errors",
        )  # fmt: skip
        return self.counters.get(listener_id, dict.fromkeys(names, 0))

    def update_statistics(self, statistics: Mapping[str, object]) -> None:
        for record in statistics["listeners"]:  # type: ignore[attr-defined]
            counters = dict(record)
            self.counters[counters.pop("id")] = counters

    def connections(self) -> int:
        return self.listener_statistics("web")["total_connections"]


class Field:
    """The cloud, its collectors, and an agent if there is one."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud = cloud
        self.octavia = Octavia()
        self.folder = folder
        self.collectors: dict[str, subprocess.Popen[bytes]] = {}
        self._port, self._silent = _free_ports(2)
        uuid = cloud.nbctl("--bare", "--columns=_uuid", "find", "load_balancer", "name=lb")
        self.key = Key(uuid[:8], 80)
        self._ids = {self.key: "web"}
        self.limits = Limits()

    def ask(self, client: str, count: int, address: str = VIP) -> None:
        argv = ["ip", "netns", "exec", self.cloud.prefix + client]
        subprocess.run([*argv, sys.executable, "-c", _CLIENT, address, f"{count}"], check=True)

    def collect(self, hypervisor: str) -> None:
        """Start a collector; returns when it counts."""
        config = configparser.ConfigParser()
        config["ovn"] = {"ovn_sb_connection": self.cloud.sb}
        config["ovn_statistics"] = {
            "key": chassis_key(MASTER_KEY, hypervisor),
            # The second stands for an agent that does not act.
            "controllers": f"127.0.0.1:{self._port},127.0.0.1:{self._silent}",
            "read_interval": "0.2",
            "send_interval": "0.3",
            "connections_interval": "0.5",
            "ovs_rundir": f"{self.cloud.hypervisors[hypervisor].rundir}",
            "state_file": f"{self.folder}/{hypervisor}.json",
        }
        path, log = self.folder / f"{hypervisor}.conf", self.folder / f"{hypervisor}.log"
        with path.open("w") as file:
            config.write(file)
        with log.open("wb") as out:
            # As tight as the unit in docs/operators/systemd
            argv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
            argv += [sys.executable, "-m", "octavia_ovn.chassis", "--config-file", str(path)]
            environment = {**os.environ, "PATH": hypervisors.PATH}
            self.collectors[hypervisor] = subprocess.Popen(
                argv, env=environment, stdout=out, stderr=out
            )
        until(lambda: b"This is chassis" in log.read_bytes())

    def end(self, hypervisor: str, number: signal.Signals = signal.SIGTERM) -> int:
        process = self.collectors.pop(hypervisor)
        process.send_signal(number)
        return process.wait(timeout=20)

    @contextlib.contextmanager
    def agent(self) -> Iterator[None]:
        """Have an agent act."""

        def ledger(chassis: AgentSocket) -> StatisticsReceiver:
            return StatisticsReceiver(
                chassis, Accounts(self.octavia, self.octavia, self._look_up), 0.2, self.limits
            )

        statistics = Statistics(lambda: AgentSocket("127.0.0.1", self._port, MASTER_KEY), ledger)
        statistics.start()
        statistics.set_leader(is_leader=True)
        try:
            yield
        finally:
            statistics.close(timeout=10.0)

    def _look_up(self, hints: Collection[str]) -> Mapping[Key, str]:
        return {key: each for key, each in self._ids.items() if key.row_uuid_prefix in hints}

    @contextlib.contextmanager
    def holding(self, client: str, count: int, address: str = VIP) -> Iterator[None]:
        """While a client holds connections."""
        argv = ["ip", "netns", "exec", self.cloud.prefix + client]
        with subprocess.Popen(
            [*argv, sys.executable, "-c", _HOLDER, address, f"{count}"], stdin=subprocess.PIPE
        ):
            yield

    def await_open(self, number: int) -> None:
        """Wait until the agent knows how many connections of a limited listener are open."""
        found = self.limits.seen
        until(lambda: found and found[-1].open == {self.key: number})

    def await_connections(self, number: int) -> None:
        with contextlib.suppress(AssertionError):
            until(lambda: self.octavia.connections() >= number)
        assert self.octavia.connections() == number


def _free_ports(count: int) -> list[int]:
    """Return free UDP ports."""
    with contextlib.ExitStack() as held:
        peers = [
            held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            for _ in range(count)
        ]
        for peer in peers:
            peer.bind(("127.0.0.1", 0))
        return [peer.getsockname()[1] for peer in peers]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """Two chassis with two switches and a router between them; servers on both."""
    if os.geteuid() != 0:
        pytest.fail("Network namespaces need root: run the tests as root")
    with hypervisors.cloud("one", "two") as made:
        _topology(made)
        servers = [
            subprocess.Popen(
                ["ip", "netns", "exec", made.prefix + name, sys.executable, "-c", _SERVER]
            )
            for name in ("web1", "web2")
        ]
        try:
            yield made
        finally:
            for server in servers:
                server.kill()
                server.wait()


def _topology(cloud: Cloud) -> None:
    cloud.nbctl("lr-add", "r")
    for number, switch in enumerate(SWITCHES, 1):
        port = f"r-{switch}"
        cloud.nbctl(
            "ls-add", switch,
            "--", "lrp-add", "r", port, f"00:00:00:00:ff:0{number}",
            f"10.0.{number}.1/24", f"fd00:{number}::1/64",
            "--", "lsp-add", switch, f"{switch}-r",
            "--", "lsp-set-type", f"{switch}-r", "router",
            "--", "lsp-set-addresses", f"{switch}-r", "router",
            "--", "lsp-set-options", f"{switch}-r", f"router-port={port}",
        )  # fmt: skip
    cloud.nbctl("lrp-set-gateway-chassis", "r-outside", "two")
    for hypervisor, switch, name, last in GUESTS:
        number = SWITCHES.index(switch) + 1
        mac, addresses = (
            f"00:00:00:00:01:{last}",
            (f"10.0.{number}.{last}", f"fd00:{number}::{last}"),
        )
        cloud.nbctl("lsp-add", switch, name)
        cloud.nbctl("lsp-set-addresses", name, f"{mac} {' '.join(addresses)}")
        networks = (f"{addresses[0]}/24", f"{addresses[1]}/64")
        cloud.guest(hypervisor, name, mac, networks, (f"10.0.{number}.1", f"fd00:{number}::1"))
    cloud.nbctl(
        "lb-add", "lb", f"{VIP}:80", "10.0.1.11:80,10.0.1.12:80",
        "--", "lb-add", "lb", f"[{VIP6}]:80", "[fd00:1::11]:80,[fd00:1::12]:80",
        "--", "ls-lb-add", "front", "lb", "--", "ls-lb-add", "back", "lb",
        "--", "lr-lb-add", "r", "lb",
    )  # fmt: skip
    cloud.sync()


@pytest.fixture
def field(cloud: Cloud, tmp_path: Path) -> Iterator[Field]:
    """Collectors on both, nothing counted yet."""
    made = Field(cloud, tmp_path)
    for name in cloud.hypervisors:
        made.collect(name)
    yield made
    for name in list(made.collectors):
        made.end(name, signal.SIGKILL)


def test_a_connection_counts_once_though_its_packets_cross_two_chassis(field: Field) -> None:
    with field.agent():
        field.ask("near", 8)
        field.ask("far", 9)

        field.await_connections(17)
    assert field.octavia.counters["web"]["bytes_in"] > 17 * 200


@pytest.mark.parametrize("vip", [VIP, VIP6])
def test_clients_beyond_a_gateway(field: Field, vip: str) -> None:
    with field.agent():
        field.ask("stranger", 6, vip)
        field.ask("near", 4, vip)

        field.await_connections(10)
    assert field.octavia.counters["web"]["bytes_in"] > 10 * 200


def test_open_connections_of_a_listener_with_a_limit(field: Field) -> None:
    """ovn-northd has copied the option for the collectors; two chassis count, and a gateway."""
    field.limits.keys = frozenset({field.key})
    field.cloud.nbctl("set", "load_balancer", "lb", "options:octavia_connection_limit=true")
    with field.agent():
        with field.holding("near", 5), field.holding("far", 4, VIP6), field.holding("stranger", 3):
            field.await_open(12)
        field.await_open(0)
        with field.holding("far", 6):
            field.await_open(6)
            field.end("one", signal.SIGKILL)
            field.collect("one")
        field.await_open(0)
    assert field.limits.seen[-1].counting
    field.cloud.nbctl("remove", "load_balancer", "lb", "options", "octavia_connection_limit")


def test_collectors_and_agents_come_and_go(field: Field) -> None:
    with field.agent():
        field.ask("near", 3)
        field.await_connections(3)
    # No process listens.
    field.ask("far", 4)
    assert field.end("one") == 0
    field.ask("near", 5)
    field.end("two", signal.SIGKILL)
    field.ask("far", 6)
    for name in ("one", "two"):
        field.collect(name)
    field.ask("near", 1)

    with field.agent():
        field.await_connections(19)
    with field.agent():
        field.ask("far", 2)
        field.await_connections(21)


def test_a_chassis_vanishes(field: Field) -> None:
    with field.agent():
        field.ask("near", 3)
        field.ask("far", 4)
        field.await_connections(7)
        field.end("two", signal.SIGKILL)
        field.ask("near", 2)

        field.await_connections(9)


def test_open_vswitch_restarts(field: Field) -> None:
    with field.agent():
        field.ask("near", 4)
        field.await_connections(4)

        field.cloud.hypervisors["one"].restart_switch()
        field.cloud.sync()
        until(lambda: _answers(field, "near"))
        answered = field.octavia.connections()
        assert answered >= 4
        field.ask("near", 3)

        until(lambda: field.octavia.connections() >= 8)


def _answers(field: Field, client: str) -> bool:
    try:
        field.ask(client, 1)
    except subprocess.CalledProcessError:
        return False
    return True
