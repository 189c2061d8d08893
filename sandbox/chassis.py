# SPDX-License-Identifier: Apache-2.0
"""The program on the sandbox's chassis, and a control plane that uses its probes."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING

from octavia_ovn.core.statistics.keys import chassis_key
from sandbox import ini, octavia, ovn, shell
from sandbox.errors import SandboxError
from sandbox.process import Service
from sandbox.settings import split_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandbox.stack import Stack

_STATISTICS = "ovn_statistics"
_PATIENCE = 30.0
_CONTROLLER, _HYPERVISOR = "198.18.0.1", "198.18.0.2"


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


class Program:
    """`octavia-ovn-chassis` on the sandbox's hypervisor.

    :param health: whether it probes members
    """

    def __init__(self, stack: Stack, *, health: bool = False) -> None:
        """Configure it for the agent that runs."""
        self._supervisor = stack.supervisor
        settings = stack.settings
        host = f"{_CONTROLLER}" if health else "127.0.0.1"
        options = (split_option(text) for text in settings.octavia_options)
        agent = {option: value for section, option, value in options if section == _STATISTICS}
        config = settings.run / "octavia-ovn-chassis.conf"
        values = {
            "key": chassis_key(agent["master_key"], ovn.CHASSIS),
            "controllers": f"{host}:{agent['bind_port']}",
            "read_interval": 0.2,
            "send_interval": 0.5,
            "connections_interval": 0.5,
            "ovs_rundir": settings.run,
            "state_file": settings.run / "octavia-ovn-stats.json",
        }
        content: dict[str, Mapping[str, object]] = {
            "ovn": {"ovn_sb_connection": settings.sb},
            _STATISTICS: values,
        }
        if health:
            content["ovn_health"] = {"enabled": True}
        ini.write(config, content)
        argv: tuple[str, ...] = (
            str(settings.bin / "octavia-ovn-chassis"),
            "--config-file",
            str(config),
        )
        if health:
            # It must see the devices of Open vSwitch. `ip netns exec` would give it mounts of its
            # own, and the namespaces that it makes would end with it.
            argv = ("nsenter", f"--net=/run/netns/{ovn.hypervisor(settings)}", *argv)
        self._argv = argv
        self._service = Service(
            name="octavia-ovn-chassis",
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


@contextlib.contextmanager
def probing(stack: Stack) -> Iterator[None]:
    """While Octavia's API and agent run with `[ovn_health] enabled`."""
    file = stack.settings.etc / "octavia.conf"
    before = file.read_text()
    health = f"[ovn_health]\nenabled = True\n[{_STATISTICS}]\nbind_host = {_CONTROLLER}\n"
    file.write_text(f"{before}\n{health}")
    with _cable(stack):
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
def _cable(stack: Stack) -> Iterator[None]:
    """While the hypervisor has a way to the controller: its namespace has none."""
    device = f"{stack.settings.prefix}-c"
    inside = ovn.hypervisor(stack.settings)
    link = ["ip", "link", "add", device, "type", "veth", "peer", "name", "control"]
    shell.run([*link, "netns", inside])
    try:
        for where, name, address in (
            ([], device, _CONTROLLER),
            (["-n", inside], "control", _HYPERVISOR),
        ):
            shell.run(["ip", *where, "address", "add", f"{address}/30", "dev", name])
            shell.run(["ip", *where, "link", "set", name, "up"])
        yield
    finally:
        shell.run(["ip", "link", "del", device])


def restart(stack: Stack) -> None:
    """Have Octavia's API and agent read their configuration again."""
    for name in (octavia.API, octavia.DRIVER_AGENT):
        stack.stop(name)
    for name in (octavia.API, octavia.DRIVER_AGENT):
        stack.start(name)
