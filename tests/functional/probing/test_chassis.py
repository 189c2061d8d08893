# SPDX-License-Identifier: Apache-2.0
"""Probes of members on a real OVN chassis: their ports, their namespaces and their results."""

from __future__ import annotations

import configparser
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from octavia_ovn.core.desired import access_control
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing.plan import Target
from octavia_ovn.core.probing.spec import Probe, Source
from octavia_ovn.core.statistics.keys import chassis_key
from tests.core.builders import facts, web
from tests.functional.probing.agent import Agent, listen
from tests.functional.statistics import hypervisors
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.functional.statistics.hypervisors import Cloud

PORT = 5565
_OTHER = "fa:16:3e:00:00:99"
KEY = chassis_key("0123456789abcdef" * 2, "one")
MEMBER, MEMBER6 = "10.0.1.11", "fd00:1::11"
SOURCES = {
    4: Source(str(uuid.uuid4()), "fa:16:3e:00:00:02", "10.0.1.2/24"),
    6: Source(str(uuid.uuid4()), "fa:16:3e:00:00:03", "fd00:1::3/64"),
}
_SERVER = """
import http.server, socket
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
Server(("", 80), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
# Sources that no probe needs are removed after seconds instead of minutes.
_PROGRAM = (
    "import sys; from octavia_ovn.adapters.probing import job;"
    " job._SETTLED = job._TIDY = 0.5; from octavia_ovn.chassis import main; sys.exit(main())"
)


class Field:
    """A chassis with a member, its program, and an agent."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud = cloud
        self.hypervisor = cloud.hypervisors["one"]
        self.log = folder / "log"
        self._config = folder / "chassis.conf"
        self.program: subprocess.Popen[bytes] | None = None
        self._mounts = hypervisors.own_names()
        self.agent = Agent(listen(self.hypervisor.namespace, PORT), KEY)
        config = configparser.ConfigParser()
        config["ovn"] = {"ovn_sb_connection": cloud.sb}
        config["ovn_health"] = {"enabled": "True"}
        config["ovn_statistics"] = {
            "key": KEY,
            "controllers": f"127.0.0.1:{PORT + 1}, 127.0.0.1:{PORT}",
            "ovs_rundir": f"{self.hypervisor.rundir}",
            "state_file": f"{folder}/state.json",
        }
        with self._config.open("w") as file:
            config.write(file)

    def _argv(self, *words: str) -> list[str]:
        # With the capabilities of the unit in docs/operators/systemd, and no others.
        some = "--bounding-set=-all,+net_admin,+net_raw,+sys_admin"
        tight = ["setpriv", some, "--inh-caps=-all", "--no-new-privs"]
        program = [sys.executable, "-c", _PROGRAM, "--config-file", str(self._config)]
        return [*self._inside(), *tight, *program, *words]

    def _inside(self) -> list[str]:
        """A host of its own: the hypervisor's network, and its own names of namespaces."""
        net = f"--net=/run/netns/{self.hypervisor.namespace}"
        return ["nsenter", net, f"--mount=/proc/{self._mounts.pid}/ns/mnt"]

    def close(self) -> None:
        self.agent.close()
        self._mounts.kill()
        self._mounts.wait()

    def start(self) -> None:
        before = self.agent.connections
        environment = {**os.environ, "PATH": hypervisors.PATH}
        with self.log.open("ab") as out:
            self.program = subprocess.Popen(self._argv(), env=environment, stdout=out, stderr=out)
        until(lambda: self.agent.connections > before)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.program is not None
        self.program.send_signal(number)
        return self.program.wait(timeout=20)

    def clean(self) -> None:
        subprocess.run(self._argv("--clean"), check=True)

    def ports(self) -> list[str]:
        words = ("--bare", "--columns=name", "find", "port", "external_ids:octavia-ovn-probe=true")
        return self.hypervisor.processes.run("ovs-vsctl", "--timeout=10", *words).split()

    def namespaces(self) -> list[str]:
        return os.listdir(f"/proc/{self._mounts.pid}/root/run/netns")

    def index(self) -> str:
        """The index of the device in the first namespace; empty while there is none."""
        words = ["-n", self.namespaces()[0], "-oneline", "link", "show", "type", "tun"]
        argv = [*self._inside(), "ip", *words]
        shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return shown.partition(":")[0]

    def until(self, probe_id: str, state: str) -> None:
        until(lambda: self.agent.state(probe_id) == state)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with hypervisors.cloud("one") as made:
        made.nbctl("ls-add", "net")
        mac = "00:00:00:00:00:11"
        made.nbctl("lsp-add", "net", "web")
        made.nbctl("lsp-set-addresses", "web", f"{mac} {MEMBER} {MEMBER6}")
        for source in SOURCES.values():
            address = source.address.partition("/")[0]
            made.nbctl("lsp-add", "net", source.port)
            made.nbctl("lsp-set-type", source.port, "localport")
            made.nbctl("lsp-set-addresses", source.port, f"{source.mac} {address}")
        made.guest("one", "web", mac, [f"{MEMBER}/24", f"{MEMBER6}/64"], ["10.0.1.1", "fd00:1::1"])
        made.sync()
        yield made


@pytest.fixture
def field(cloud: Cloud, tmp_path: Path) -> Iterator[Field]:
    made = Field(cloud, tmp_path)
    made.start()
    try:
        yield made
        made.end()
        made.clean()
        assert made.ports() == []
        assert made.namespaces() == []
    finally:
        made.close()


@contextlib.contextmanager
def server(cloud: Cloud) -> Iterator[None]:
    argv = ["ip", "netns", "exec", f"{cloud.prefix}web", sys.executable, "-c", _SERVER]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def probe(name: str, kind: str, version: int = 4) -> Probe:
    return Probe(
        id=name,
        source=SOURCES[version],
        address={4: MEMBER, 6: MEMBER6}[version],
        port=0 if kind == "PING" else 80,
        type=MonitorType(kind),
        delay=1,
        timeout=1,
        rise=1,
        fall=2,
    )


ALL = tuple(
    probe(f"{kind.lower()}-{version}", kind, version)
    for kind in ("TCP", "HTTP", "PING")
    for version in (4, 6)
)
WEB = tuple(each for each in ALL if each.type is not MonitorType.PING)


def test_a_chassis_probes_its_members(field: Field) -> None:
    until(lambda: field.agent.complete)
    assert field.agent.chassis == "one"
    assert field.agent.results == {}

    with server(field.cloud):
        field.agent.plan(*ALL)
        for each in ALL:
            field.until(each.id, "up")
        assert len(field.ports()) == 2
        assert set(field.namespaces()) == {f"ovn-lb-probe-{each.port}" for each in SOURCES.values()}

    for each in WEB:
        field.until(each.id, "down")
    assert field.agent.results["http-4"].reason == "connection refused"
    assert field.agent.state("ping-6") == "up"

    with server(field.cloud):
        for each in WEB:
            field.until(each.id, "up")


@contextlib.contextmanager
def rules(cloud: Cloud, targets: tuple[Target, ...]) -> Iterator[None]:
    """The rules of a security group that lets nothing in; and those that let probes in."""
    words = ["pg-add", "drops", "web", "--", "acl-add", "drops", "to-lport", "1001"]
    cloud.nbctl(*words, "outport == @drops && ip", "drop")
    groups = access_control.wanted(web(), facts(targets=targets)).groups
    for group in groups:
        cloud.nbctl("pg-add", group.name, *sorted(group.ports))
        for acl in group.acls:
            priority = str(acl.priority)
            cloud.nbctl("acl-add", group.name, acl.direction, priority, acl.match, acl.action)
    cloud.sync()
    try:
        yield
    finally:
        for name in ("drops", *(group.name for group in groups)):
            cloud.nbctl("pg-del", name)
        cloud.sync()


def test_the_rules_of_the_agent_let_probes_in(field: Field) -> None:
    web_probes = tuple(Target("web", each) for each in ALL)
    with server(field.cloud):
        field.agent.plan(*ALL)
        for each in ALL:
            field.until(each.id, "up")
        with rules(field.cloud, ()):
            for each in ALL:
                field.until(each.id, "down")
        with rules(field.cloud, web_probes):
            for each in ALL:
                field.until(each.id, "up")
        moved = tuple(
            dataclasses.replace(each, source=dataclasses.replace(each.source, mac=_OTHER))
            for each in ALL
        )
        with rules(field.cloud, tuple(Target("web", each) for each in moved)):
            for each in ALL:
                field.until(each.id, "down")


def test_ports_and_namespaces_go_with_the_last_probe(field: Field) -> None:
    field.agent.plan(*ALL)
    field.until("ping-4", "up")
    field.until("ping-6", "up")
    field.agent.plan(drop=tuple(each.id for each in ALL if each.source == SOURCES[6]))
    until(lambda: len(field.ports()) == 1)
    until(lambda: field.namespaces() == [f"ovn-lb-probe-{SOURCES[4].port}"])

    field.agent.plan(drop=tuple(each.id for each in ALL))
    until(lambda: field.ports() == [])
    until(lambda: field.namespaces() == [])

    field.agent.plan(probe("again", "PING"))
    field.until("again", "up")


def test_a_program_that_is_killed_is_followed_by_one_that_goes_on_at_once(field: Field) -> None:
    field.agent.plan(probe("ping", "PING"))
    field.until("ping", "up")
    before = field.ports(), field.namespaces()
    field.end(signal.SIGKILL)
    assert (field.ports(), field.namespaces()) == before

    field.start()
    until(lambda: field.agent.complete)
    assert field.agent.results == {}
    field.agent.plan(probe("ping", "PING"))
    field.until("ping", "up")
    assert (field.ports(), field.namespaces()) == before


def test_leftovers_are_removed_after_a_restart(field: Field) -> None:
    field.agent.plan(probe("ping", "PING"))
    field.until("ping", "up")
    field.end(signal.SIGKILL)
    field.start()
    until(lambda: field.ports() == [])
    until(lambda: field.namespaces() == [])


def test_the_switch_is_restarted(field: Field) -> None:
    """In the userspace datapath its devices are made again, outside of their namespaces."""
    field.agent.plan(probe("ping", "PING"))
    field.until("ping", "up")
    old = field.index()
    field.hypervisor.restart_switch()
    until(lambda: field.index() not in ("", old))
    field.agent.plan(drop=("ping",))
    field.agent.plan(probe("again", "PING"))
    field.until("again", "up")


def test_a_port_that_is_not_of_this_program_is_left_alone(field: Field) -> None:
    source = SOURCES[4]
    name = f"lbp-{source.port}"[:15]
    words = ("--", "set", "interface", name, "type=internal")
    field.hypervisor.processes.run("ovs-vsctl", "--timeout=10", "add-port", "br-int", name, *words)
    try:
        field.agent.plan(probe("ping", "PING"))
        until(lambda: b"is not marked as a probe port" in field.log.read_bytes())
    finally:
        field.hypervisor.processes.run("ovs-vsctl", "--timeout=10", "del-port", name)
    field.until("ping", "up")
