# SPDX-License-Identifier: Apache-2.0
"""Several chassis with a collector each, agents that come and go, and no OpenStack."""

from __future__ import annotations

import collections
import configparser
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from octavia_ovn.adapters.statistics.datagrams import AgentSocket
from octavia_ovn.controller.listener_counters import Accounts
from octavia_ovn.controller.statistics import Statistics, StatisticsReceiver
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.core.statistics.traffic import Key
from tests.controller.collectors import Limits
from tests.functional.scrape import Scraper
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
SERVERS = {
    f"{address}:80": f"web{number}"
    for number in (1, 2)
    for address in (f"10.0.1.1{number}", f"[fd00:1::1{number}]")
}
SERVER = """
import socket, socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline(); self.wfile.write(sys.argv[1].encode() + b"\\n")
class Server(socketserver.ThreadingTCPServer):
    request_queue_size, address_family = 100, socket.AF_INET6
Server(("", 80), Handler).serve_forever()
"""
_CLIENT = """
import socket, sys
for _ in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 80), timeout=10) as peer:
        peer.sendall(b"question\\n")
        print(peer.recv(100).decode().strip(), peer.getsockname()[1])
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
        self._port, self._silent, *metrics = _free_ports(4)
        self.records = folder / "records"
        self.metrics = dict(zip(cloud.hypervisors, metrics, strict=True))
        uuid = cloud.nbctl("--bare", "--columns=_uuid", "find", "load_balancer", "name=lb")
        self.key = Key(uuid[:8], 80)
        self._ids = {self.key: "web"}
        self.limits = Limits()

    def connect(self, client: str, count: int, address: str = VIP) -> list[tuple[str, int]]:
        """Have a client connect; return which servers have answered which of its ports."""
        argv = ["ip", "netns", "exec", self.cloud.prefix + client]
        argv += [sys.executable, "-c", _CLIENT, address, f"{count}"]
        lines = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = [(server, int(port)) for server, port in map(str.split, lines.splitlines())]
        assert len(found) == count
        return found

    def ask(self, client: str, count: int, address: str = VIP) -> collections.Counter[str]:
        """Have a client connect; return which servers have answered how often."""
        return collections.Counter(server for server, _ in self.connect(client, count, address))

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
            "metrics_port": f"{self.metrics[hypervisor]}",
            "member_series": "100",
            "member_bytes": "true",
            "flow_records": f"{self.records}",
            "records_interval": "1",
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

    def by_member(self, lb: str = "lb") -> collections.Counter[str]:
        """Return the connections that members have had, on all chassis."""
        found: collections.Counter[str] = collections.Counter()
        for port in self.metrics.values():
            for labels, number in Scraper(port).of("member_connections_total").items():
                name, member, _, _ = labels
                if name == lb:
                    found[SERVERS[member]] += int(number)
        return found

    def lines(self) -> list[dict[str, Any]]:
        """Return what collectors have recorded of connections."""
        if not self.records.exists():
            return []
        return [json.loads(line) for line in self.records.read_text().splitlines()]

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

    @contextlib.contextmanager
    def twin(self, backends: str) -> Iterator[str]:
        """While there is another load balancer; yield its VIP."""
        vip = "10.0.1.101"
        words = ["lb-add", "twin", f"{vip}:80", backends, "--", "lr-lb-add", "r", "twin"]
        for switch in ("front", "back"):
            words += ["--", "ls-lb-add", switch, "twin"]
        self.cloud.nbctl(*words)
        self.cloud.sync()
        try:
            yield vip
        finally:
            self.cloud.nbctl("lb-del", "twin")
            self.cloud.sync()

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


def build(cloud: Cloud) -> None:
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
