# SPDX-License-Identifier: Apache-2.0
"""The whole sandbox: up, down, one service at a time."""

from __future__ import annotations

import contextlib
import fcntl
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

from sandbox import (
    database,
    keystone,
    namespaces,
    network,
    neutron,
    octavia,
    ovn,
    shell,
)
from sandbox import settings as settings_module
from sandbox.api import Cloud
from sandbox.console import Console
from sandbox.errors import SandboxError
from sandbox.guests import Guests
from sandbox.process import Service, Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sandbox.settings import Settings

_DATABASES = (*ovn.SCHEMAS, "mariadb")


class Stack:
    """One sandbox, up or down."""

    def __init__(self, settings: Settings, console: Console | None = None) -> None:
        """Look only; nothing is started here."""
        self.settings = settings
        self.console = console or Console()
        self.supervisor = Supervisor(settings.run, settings.log)
        self.guests = Guests(settings, self.supervisor)

    @classmethod
    def attach(cls, state: Path) -> Stack:
        """Return the sandbox that is up in a state directory; SandboxError if none is."""
        settings = settings_module.load(state)
        if settings is None:
            raise SandboxError(f"No sandbox is up in {state}; start it with `up`")
        return cls(settings)

    def cloud(self) -> Cloud:
        """Log in as administrator."""
        return Cloud(self.settings)

    def services(self) -> dict[str, Service]:
        """Return all services by name, in the order in which they start."""
        settings = self.settings
        listed = [
            *ovn.databases(settings),
            *ovn.daemons(settings),
            database.service(settings),
            keystone.service(settings),
            *neutron.services(settings),
            *octavia.services(settings),
        ]
        return {service.name: service for service in listed}

    # --- the whole -----------------------------------------------------------------------

    def up(self) -> None:
        """Start everything and wait until it answers; harmless when everything runs.

        What was started stays after a failure, so that its logs and processes can be looked at.
        """
        saved = settings_module.load(self.settings.state)
        alive = [name for name in self.services() if self.supervisor.alive(name)]
        if saved and not (alive and self._mark.exists()):
            self.console.say(f"{saved.state} was left half started or half ended: clearing it")
            self.down()
            saved = None
        if saved is None:
            self._prepare()
            self._first_start()
            return
        if saved != self.settings:
            raise SandboxError(f"{saved.state} is up with other settings; run `down` first")
        for name in self.services():
            if not self.supervisor.alive(name):
                self.start(name)
                self.console.done(f"{name} had ended and was started again")
        octavia.check_provider(self.cloud(), self.supervisor)
        self.console.done("everything runs")

    def down(self, *, purge: bool = False) -> None:
        """End every process, namespace and file of the run; logs, cache and venv stay.

        With `purge` the whole state directory goes too. Never fails because something is gone.
        """
        records = self.supervisor.records()
        # Who uses a database ends before it; among themselves they may end at the same time.
        for record in records:
            if record.name not in _DATABASES:
                self.supervisor.terminate(record.name)
        for record in reversed(records):
            self.supervisor.stop(record.name)
        for name in namespaces.names(self.settings.prefix):
            namespaces.remove(name)
        namespaces.unmount_folder()
        for folder in (self.settings.run, self.settings.etc):
            shutil.rmtree(folder, ignore_errors=True)
        if purge:
            shutil.rmtree(self.settings.state, ignore_errors=True)
        self.console.done("everything is down")

    # --- one service ---------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start a service and wait until it is ready."""
        service = self._service(name)
        self.supervisor.start(service)
        self.supervisor.wait(service)

    def stop(self, name: str) -> None:
        """End a service in order."""
        self.supervisor.stop(self._service(name).name)

    def _service(self, name: str) -> Service:
        services = self.services()
        if name not in services:
            raise SandboxError(f"There is no service {name!r}; there are {', '.join(services)}")
        return services[name]

    # --- first start ---------------------------------------------------------------------

    @property
    def _mark(self) -> Path:
        """File that exists once the first start has come to its end."""
        return self.settings.run / "complete"

    def _prepare(self) -> None:
        settings = self.settings
        for name, port in settings.ports.items():
            if not network.is_free(settings.host, port):
                raise SandboxError(
                    f"Port {port} (for {name}) is taken on {settings.host}; "
                    f"choose others with --port-base or --{name}-port"
                )
        shutil.rmtree(settings.log, ignore_errors=True)
        for folder in (settings.run, settings.etc, settings.log):
            folder.mkdir(parents=True)
        settings.save()
        keystone.configure(settings)
        neutron.configure(settings)
        octavia.configure(settings)

    def _first_start(self) -> None:
        settings, supervisor = self.settings, self.supervisor
        services = self.services()
        ovn.create(settings)
        self._start(services, ovn.SCHEMAS)
        restored = database.restore(settings)
        if not restored:
            database.create(settings)
        self._start(services, ["mariadb"])
        ovn.configure(settings)
        self._start(services, ["ovn-northd", "ovs-vswitchd", "ovn-controller"])
        self.console.done("OVN, Open vSwitch, MariaDB")
        if restored:
            keystone.set_endpoints(settings)
            self.console.done("schemas from the cache")
        else:
            self._migrate(services)
        # All at once: each spends its first seconds importing.
        for name in ("keystone", "neutron", octavia.DRIVER_AGENT):
            supervisor.start(services[name])
        ovn.wait_for_chassis(settings)
        supervisor.wait(services[octavia.DRIVER_AGENT])
        # Not before: providers may look for the agent's sockets when the API loads them.
        supervisor.start(services[octavia.API])
        for name in ("keystone", "neutron", octavia.API):
            supervisor.wait(services[name])
            self.console.done(f"{name} answers")
        self._start(services, ["neutron-maintenance"])
        self._mark.touch()
        octavia.check_provider(self.cloud(), supervisor)
        self.console.done("up")

    def _start(self, services: dict[str, Service], names: Iterable[str]) -> None:
        for name in names:
            self.supervisor.start(services[name])
        for name in names:
            self.supervisor.wait(services[name])

    def _migrate(self, services: dict[str, Service]) -> None:
        settings = self.settings
        database.create_databases(settings)
        running = [
            _Commands(settings, "neutron-migration", neutron.migrations(settings)),
            _Commands(settings, "octavia-migration", octavia.migrations(settings)),
            _Commands(settings, "keystone-migration", keystone.migrations(settings)),
        ]
        running.pop().wait()
        self._start(services, ["keystone"])
        keystone.populate(settings)
        self.console.done("Keystone: schema, users, roles, catalogue")
        for commands in running:
            commands.wait()
        self.console.done("schemas of Neutron and Octavia")
        self.supervisor.stop("mariadb")
        database.store(settings)
        self._start(services, ["mariadb"])
        self.console.done("kept the databases for the next start")


class _Commands:
    """Commands that run one after the other, beside others; a shell joins them."""

    def __init__(self, settings: Settings, name: str, commands: Sequence[Sequence[str]]) -> None:
        self._name = name
        self._log = settings.log / f"{name}.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", " && ".join(shlex.join(words) for words in commands)],
                env=settings.base_environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def wait(self) -> None:
        """Wait for the end; SandboxError with the log if one failed."""
        if self._process.wait():
            raise SandboxError(f"{self._name} failed.\n{shell.tail(self._log)}")


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold the state directory against other commands that start or end things."""
    state.mkdir(parents=True, exist_ok=True)
    ignore = state / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    with (state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SandboxError(f"Another sandbox command works in {state} now") from error
        yield
