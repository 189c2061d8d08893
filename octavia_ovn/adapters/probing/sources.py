# SPDX-License-Identifier: Apache-2.0
"""The sources of probes on this chassis: a port and a namespace for each, while probes need it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import Callable, Container
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol, TypeVar

from octavia_ovn.adapters.probing import namespaces
from octavia_ovn.adapters.probing.namespaces import Namespace, SocketMaker
from octavia_ovn.adapters.probing.outcome import NotDone, verdict
from octavia_ovn.core.backoff import backoff
from octavia_ovn.core.probing.spec import Source
from octavia_ovn.errors import OctaviaOvnError, Unavailable

LOG = logging.getLogger(__name__)

PREFIX = "ovn-lb-probe-"
"""How the names of probe namespaces begin; the rest is the id of the port."""
_DEVICE = "lbp-"
_LONGEST_DEVICE = 15
_PATIENCE = 10.0
"""Seconds for a port's device to appear."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_LOOK = 1.0
"""Seconds between two looks whether the device is still in its namespace."""
_FLOWS = 3.0
"""Seconds that ovn-controller has for the flows of a new port, in which failures prove nothing."""
_ANNOUNCEMENTS = 5
"""How often a source tells its neighbors its MAC, once a second: the flows may not be there yet."""
T = TypeVar("T")


def device(source: Source) -> str:
    """Return the name of a source's port and device."""
    return (_DEVICE + source.port)[:_LONGEST_DEVICE]


class Ports(Protocol):
    """The ports of the integration bridge."""

    def ensure(self, device: str, port_id: str, mac: str) -> None:
        """Make a port, or correct it."""

    def remove(self, device: str) -> None:
        """Remove a probe port."""

    def names(self) -> list[str]:
        """Return the names of all probe ports."""

    def error(self, device: str) -> str:
        """Return why the switch has not made a device."""


class Outlet:
    """A source on this chassis, kept in order by a task of its own.

    :param source: what it stands for
    :param ports: of the integration bridge
    :param sockets: makes the sockets
    :param blocking: runs what blocks, one after the other
    """

    def __init__(
        self, source: Source, ports: Ports, sockets: SocketMaker, blocking: Executor
    ) -> None:
        self.source = source
        self.users = 0
        """Probes that need it."""
        self.ready = asyncio.Event()
        self.problem = "the port is being made"
        """Why it is not ready."""
        self._ports = ports
        self._sockets = sockets
        self._blocking = blocking
        self._namespace: Namespace | None = None
        self._lost = asyncio.Event()
        self._address = source.address.partition("/")[0]
        self._ended = False
        self._since = 0.0
        self._proven = False

    def proven(self) -> None:
        """Remember that a member has answered: flows are there."""
        self._proven = True

    @property
    def trusted(self) -> bool:
        """Whether a failure counts: device and flows of the port are there, as far as is known."""
        self._look()
        if self._lost.is_set():
            return False
        return self._proven or asyncio.get_running_loop().time() >= self._since + _FLOWS

    def becomes(self, source: Source) -> None:
        """Take another MAC or another address."""
        if source != self.source:
            self.source = source
            self._address = source.address.partition("/")[0]
            self._lose("the port changes")

    async def socket(self, kind: int, protocol: int) -> socket.socket:
        """Make a socket that sends from the source.

        :raises NotDone: when the source is not there
        """
        if self._namespace is None or not self.ready.is_set():
            raise NotDone(self.problem, usual=True)
        try:
            return self._sockets.make(self._namespace.fd, self._address, kind, protocol)
        except OSError as error:
            reason = str(verdict(error))
        self._lose(f"{self._address} is not in namespace {self._namespace.name}: {reason}")
        raise NotDone(self.problem)

    async def keep(self) -> None:
        """Make it, and again whenever it is lost, until cancelled."""
        failures = 0
        # Before Python 3.12 asyncio.wait_for may swallow the cancellation.
        while not self._ended:
            self._lost.clear()
            source = self.source
            try:
                await self._run(functools.partial(self._make, source))
            except OctaviaOvnError as error:
                reason = str(error)
            except Exception:  # it must not end for a defect: its probes would be made no more
                LOG.exception("A defect, with port %s", source.port)
                reason = "a defect, see the log"
            else:
                if failures:
                    LOG.info("Probes from %s are made again", source.address)
                failures = 0
                self._since, self._proven = asyncio.get_running_loop().time(), False
                self.ready.set()
                await self._until_lost()
                continue
            if reason != self.problem:
                LOG.warning("No probes from %s (port %s): %s", source.address, source.port, reason)
            self.problem = reason
            await asyncio.sleep(backoff(failures, _FIRST_PAUSE, _LONGEST_PAUSE))
            failures += 1

    async def _until_lost(self) -> None:
        """Wait; a switch that has restarted may have made the device again meanwhile."""
        announcements = _ANNOUNCEMENTS
        while not self._lost.is_set() and not self._ended:
            self._look()
            if announcements:
                announcements -= 1
                with contextlib.suppress(OSError):  # what is wrong with it, the next probe says
                    await self._run(self._announce)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._lost.wait(), _LOOK)

    def _look(self) -> None:
        if namespaces.is_here(device(self.source)):
            self._lose("Open vSwitch has made the device again")

    async def end(self) -> None:
        """Remove the port and the namespace; nothing uses them any more."""
        self._ended = True
        self.ready.clear()
        await self._run(self._remove)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._blocking, work)

    def _lose(self, problem: str) -> None:
        self.problem = problem
        self.ready.clear()
        self._lost.set()

    def _make(self, source: Source) -> None:
        if self._namespace is None:
            self._namespace = Namespace(PREFIX + source.port)
        plug(self._ports, self._namespace, device(source), source)

    def _announce(self) -> None:
        if self._namespace is not None:
            self._namespace.announce(device(self.source), self.source)

    def _remove(self) -> None:
        try:
            self._ports.remove(device(self.source))
        finally:
            if self._namespace is not None:
                self._namespace.close()
        namespaces.remove(PREFIX + self.source.port)


def plug(ports: Ports, namespace: Namespace, name: str, source: Source) -> None:
    """Make a source's port, and have its device in a namespace.

    :param name: of the port and its device
    :raises Unavailable: when that cannot be done
    """
    ports.ensure(name, source.port, source.mac)
    try:
        namespace.adopt(name, source, _PATIENCE)
    except Unavailable as error:
        why = ports.error(name)
        # The switch does not make a device again that has gone with its namespace.
        ports.remove(name)
        raise Unavailable(f"{error}: {why}" if why else str(error)) from error


class Sources:
    """All sources on this chassis.

    :param ports: of the integration bridge
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._sockets = SocketMaker()
        # One thread: what is removed and made again is so in this order.
        self._blocking = ThreadPoolExecutor(1, "probe-ports")
        self._outlets: dict[str, Outlet] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def take(self, source: Source) -> Outlet:
        """Return a source for another probe; it is made if it is not there."""
        outlet = self._outlets.get(source.port)
        if outlet is None:
            outlet = Outlet(source, self._ports, self._sockets, self._blocking)
            self._outlets[source.port] = outlet
            self._tasks[source.port] = asyncio.create_task(outlet.keep())
        outlet.becomes(source)
        outlet.users += 1
        return outlet

    def counts(self) -> dict[bool, int]:
        """Return how many sources are ready, and how many are not."""
        ready = sum(each.ready.is_set() for each in list(self._outlets.values()))
        return {True: ready, False: len(self._outlets) - ready}

    async def tidy(self) -> None:
        """Remove sources without probes, and those that earlier processes left.

        :raises Unavailable: when the local database does not answer
        """
        for port, outlet in list(self._outlets.items()):
            # Another probe may have come while the last one was removed.
            if not outlet.users:
                self._tasks.pop(port).cancel()
                del self._outlets[port]
                await outlet.end()
        used = {each.source.port: device(each.source) for each in self._outlets.values()}
        work = functools.partial(
            clean, self._ports, set(used.values()), {PREFIX + port for port in used}
        )
        await asyncio.get_running_loop().run_in_executor(self._blocking, work)

    def close(self) -> None:
        """End the work; ports and namespaces stay for the next process."""
        for each in self._tasks.values():
            each.cancel()
        self._sockets.close()
        self._blocking.shutdown(wait=False, cancel_futures=True)


def clean(
    ports: Ports, devices: Container[str] = (), names: Container[str] = ()
) -> tuple[int, int]:
    """Remove probe ports and their namespaces.

    :param devices: ports to keep
    :param names: namespaces to keep
    :returns: how many ports and namespaces there were
    :raises Unavailable: when the local database does not answer
    """
    old_ports = [each for each in ports.names() if each not in devices]
    for each in old_ports:
        ports.remove(each)
    old_names = [each for each in namespaces.listed(PREFIX) if each not in names]
    for each in old_names:
        namespaces.remove(each)
    return len(old_ports), len(old_names)
