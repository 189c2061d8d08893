# SPDX-License-Identifier: Apache-2.0
"""The job `health` of a chassis: one thread with an event loop for probes, sources and channel."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from collections.abc import Callable, Mapping, Sequence

from octavia_ovn.adapters.probing.beside import until_one_ends
from octavia_ovn.adapters.probing.channel import Channel
from octavia_ovn.adapters.probing.prober import Prober
from octavia_ovn.adapters.probing.sources import Ports, Sources
from octavia_ovn.core.probing.counters import Counters
from octavia_ovn.core.probing.messages import Result
from octavia_ovn.errors import OctaviaOvnError
from octavia_ovn.supervised import SupervisedThread

LOG = logging.getLogger(__name__)

_FILES = 8192
"""Open files that the process may need, if the system grants them: one for each probe at once."""
_SETTLED = 60.0
"""Seconds after the first connection until sources that no probe needs are removed."""
_TIDY = 30.0
"""Seconds between two removals."""


class HealthJob:
    """Probes members as the active agent says, and tells it the results.

    :param controllers: host and port of each
    :param key: of this chassis
    :param name: returns the name of this chassis; blocks
    :param ports: of the integration bridge
    :param rate: probes of a project in a second at most
    """

    def __init__(
        self,
        controllers: Sequence[tuple[str, int]],
        key: str,
        name: Callable[[], str],
        ports: Ports,
        rate: int,
    ) -> None:
        self._controllers = controllers
        self._key = key
        self._name = name
        self._ports = ports
        self._rate = rate
        self._thread = SupervisedThread(lambda: asyncio.run(self._main()), "health")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._stopped = False
        self._prober: Prober | None = None
        self._sources: Sources | None = None
        self._channel: Channel | None = None
        self.counters = Counters()

    @property
    def connected(self) -> bool:
        """Whether an agent takes the results."""
        return self._channel is not None and self._channel.connected

    @property
    def states(self) -> Mapping[str, int]:
        """How many members are in each state."""
        return {} if self._prober is None else self._prober.states()

    @property
    def sources(self) -> Mapping[bool, int]:
        """How many sources are ready, and how many are not."""
        return {} if self._sources is None else self._sources.counts()

    def start(self) -> None:
        """Begin."""
        _allow_files()
        self._thread.start()

    def close(self, timeout: float) -> None:
        """End, within some seconds; ports and namespaces stay for the next process."""
        self._stopped = True
        self._thread.stop()
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(stop.set)
        self._thread.join(timeout)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._sources = sources = Sources(self._ports)
        self._prober = prober = Prober(sources, self._tell, self.counters, self._rate)
        self._channel = channel = Channel(
            self._controllers, self._key, self._read_name, prober.apply, prober.results
        )
        if self._stopped:
            self._stop.set()
        try:
            await until_one_ends(channel.run(), _tidy(sources, channel), self._stop.wait())
        finally:
            prober.close()
            sources.close()

    async def _read_name(self) -> str:
        return await asyncio.get_running_loop().run_in_executor(None, self._name)

    def _tell(self, result: Result) -> None:
        if self._channel is not None:
            self._channel.tell(result)


async def _tidy(sources: Sources, channel: Channel) -> None:
    await channel.first.wait()
    await asyncio.sleep(_SETTLED)
    while True:
        # Open vSwitch may be away, as sources that are needed say in the log: another time.
        with contextlib.suppress(OctaviaOvnError):
            await sources.tidy()
        await asyncio.sleep(_TIDY)


def _allow_files() -> None:
    """Raise the limit of open files to what probes may need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
