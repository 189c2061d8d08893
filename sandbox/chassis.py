# SPDX-License-Identifier: Apache-2.0
"""The program on the sandbox's chassis, and a control plane that uses its probes."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import re
import signal
import time
from typing import TYPE_CHECKING

from octavia_ovn.core.statistics.keys import chassis_key
from sandbox import ini, octavia, ovn, shell
from sandbox.errors import SandboxError
from sandbox.process import Service
from sandbox.settings import PROJECT, split_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sandbox.settings import Settings
    from sandbox.stack import Stack

_STATISTICS = "ovn_statistics"
_UNITS = PROJECT / "docs" / "operators" / "systemd"
_UNIT, _HEALTH_UNIT = _UNITS / "octavia-ovn-stats.service", _UNITS / "health.conf"
_PATIENCE = 30.0
_ADDRESSES = ipaddress.ip_address("198.18.0.0")
"""The first of 131,072 for cables: each sandbox uses others, for they are all in one network."""


def options(port: int) -> tuple[str, ...]:
    """Return what the agent must be given so that the program can report to it.

    :param port: UDP and TCP
    """
    return (
        f"{_STATISTICS}.master_key=the-master-key-of-the-sandbox-is-no-secret",
        f"{_STATISTICS}.bind_host=127.0.0.1",
        f"{_STATISTICS}.bind_port={port}",
        f"{_STATISTICS}.report_interval=1",
    )


@dataclasses.dataclass(frozen=True)
class Place:
    """A hypervisor that the program can run on.

    :param namespace: of its network
    :param rundir: where the sockets of its Open vSwitch are
    :param mounts: a process that has its names of network namespaces; 0 for those of this machine
    """

    chassis: str
    namespace: str
    rundir: Path
    mounts: int = 0

    @classmethod
    def usual(cls, settings: Settings) -> Place:
        """Return the sandbox's own hypervisor."""
        return cls(ovn.CHASSIS, ovn.hypervisor(settings), settings.run)


class Program:
    """`octavia-ovn-chassis` on a hypervisor.

    :param health: whether it probes members
    :param place: the hypervisor; None for the sandbox's own
    :param more: further options of statistics
    """

    def __init__(
        self,
        stack: Stack,
        *,
        health: bool = False,
        place: Place | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        """Configure it for the agent that runs."""
        self._supervisor = stack.supervisor
        settings = stack.settings
        place = place or Place.usual(settings)
        host = cable_end(settings, 0, 1) if health else "127.0.0.1"
        options = (split_option(text) for text in settings.octavia_options)
        agent = {option: value for section, option, value in options if section == _STATISTICS}
        config = place.rundir / "octavia-ovn-chassis.conf"
        values = {
            "key": chassis_key(agent["master_key"], place.chassis),
            "controllers": f"{host}:{agent['bind_port']}",
            "read_interval": 0.2,
            "send_interval": 0.5,
            "connections_interval": 0.5,
            "ovs_rundir": place.rundir,
            "state_file": place.rundir / "octavia-ovn-stats.json",
            **(more or {}),
        }
        content: dict[str, Mapping[str, object]] = {
            "ovn": {"ovn_sb_connection": settings.sb},
            _STATISTICS: values,
        }
        if health:
            content["ovn_health"] = {"enabled": True}
        ini.write(config, content)
        argv: tuple[str, ...] = (
            *_confined(_HEALTH_UNIT if health else _UNIT),
            str(settings.bin / "octavia-ovn-chassis"),
            "--config-file",
            str(config),
        )
        if health:
            # It must see the devices of Open vSwitch. `ip netns exec` would give it mounts of its
            # own, and the namespaces that it makes would end with it.
            mounts = (f"--mount=/proc/{place.mounts}/ns/mnt",) if place.mounts else ()
            argv = ("nsenter", f"--net=/run/netns/{place.namespace}", *mounts, *argv)
        self._argv = argv
        name = "octavia-ovn-chassis"
        self._service = Service(
            name=name if place.chassis == ovn.CHASSIS else f"{name}-{place.chassis}",
            argv=argv,
            env=settings.base_environment,
            ready=lambda: "This is chassis" in self.log(),
        )
        self._log = self._supervisor.log_file(self._service.name)

    def log(self) -> str:
        """Return what it has logged since it was started."""
        return self._log.read_text()

    def start(self) -> None:
        """Start it; returns when it works."""
        self._log.unlink(missing_ok=True)
        self._supervisor.start(self._service)
        self._supervisor.wait(self._service)

    def kill(self) -> None:
        """End it without a chance to save or send anything."""
        self._supervisor.signal(self._service.name, signal.SIGKILL)
        self._supervisor.stop(self._service.name)

    def stop(self) -> None:
        """End it in order."""
        self._supervisor.stop(self._service.name)

    def clean(self) -> None:
        """Remove the ports and namespaces that it leaves for its next start."""
        shell.run([*self._argv, "--clean"], env=self._service.env)


def _confined(unit: Path) -> tuple[str, ...]:
    """Return what runs a command with no more capabilities than a systemd unit allows."""
    (line,) = re.findall(r"^CapabilityBoundingSet=(.*)$", unit.read_text(), re.MULTILINE)
    allowed = [f"+{each.removeprefix('CAP_').lower()}" for each in line.split()]
    return ("setpriv", "--no-new-privs", f"--bounding-set={','.join(('-all', *allowed))}")


@contextlib.contextmanager
def probing(stack: Stack, *more: str) -> Iterator[None]:
    """While Octavia's API and agent run with `[ovn_health] enabled`.

    :param more: lines of that section
    """
    file = stack.settings.etc / "octavia.conf"
    before = file.read_text()
    lines = ["[ovn_health]", "enabled = True", *more]
    lines += [f"[{_STATISTICS}]", f"bind_host = {cable_end(stack.settings, 0, 1)}", ""]
    file.write_text("\n".join((before, *lines)))
    with cable(stack, ovn.hypervisor(stack.settings)):
        restart(stack)
        try:
            yield
        finally:
            file.write_text(before)
            restart(stack)


@contextlib.contextmanager
def checking(stack: Stack) -> Iterator[Program]:
    """While the program checks members, and Octavia's API knows it."""
    with probing(stack), running(stack) as program:
        yield program


@contextlib.contextmanager
def running(stack: Stack) -> Iterator[Program]:
    """While the program checks members for an agent that is ready for it."""
    program = Program(stack, health=True)
    program.start()
    try:
        _await_mark(stack)
        yield program
    finally:
        program.stop()
        program.clean()


def _await_mark(stack: Stack) -> None:
    """Wait until the agent has told API workers that a chassis reports."""
    argv = ["ovn-nbctl", "--timeout=30", "get", "NB_Global", ".", "external_ids"]
    deadline = time.monotonic() + _PATIENCE
    while "octavia-ovn-probes" not in shell.run(argv, env=stack.settings.base_environment):
        if time.monotonic() > deadline:
            raise SandboxError("The agent has not taken the results of octavia-ovn-chassis.")
        time.sleep(0.1)


@contextlib.contextmanager
def cable(stack: Stack, inside: str, number: int = 0) -> Iterator[str]:
    """While a hypervisor has a way to the controller: its namespace has none.

    :param inside: its namespace
    :param number: one for each hypervisor, below 2
    :returns: the controller's end
    """
    device = f"{stack.settings.prefix}-c{number}"
    ours, theirs = (f"{cable_end(stack.settings, number, each)}/30" for each in (1, 2))
    link = ["ip", "link", "add", device, "type", "veth", "peer", "name", "control"]
    shell.run([*link, "netns", inside])
    try:
        for where, name, address in (([], device, ours), (["-n", inside], "control", theirs)):
            shell.run(["ip", *where, "address", "add", address, "dev", name])
            shell.run(["ip", *where, "link", "set", name, "up"])
        if number:
            route = ["route", "add", cable_end(stack.settings, 0, 1), "dev", "control"]
            shell.run(["ip", "-n", inside, *route])
        yield device
    finally:
        shell.run(["ip", "link", "del", device])


def cable_end(settings: Settings, number: int, end: int) -> str:
    """Return the address of an end of a cable: 1 for the controller's, 2 for the hypervisor's."""
    sandbox = settings.ports["keystone"] // 4 % 16384
    return str(_ADDRESSES + 8 * sandbox + 4 * number + end)


def restart(stack: Stack) -> None:
    """Have Octavia's API and agent read their configuration again."""
    for name in (octavia.API, octavia.DRIVER_AGENT):
        stack.stop(name)
    for name in (octavia.API, octavia.DRIVER_AGENT):
        stack.start(name)
