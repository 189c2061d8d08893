# SPDX-License-Identifier: Apache-2.0
"""The connection of a chassis to the active agent: what to probe comes in, results go out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence

from octavia_ovn.adapters.probing.beside import until_one_ends
from octavia_ovn.core.backoff import backoff
from octavia_ovn.core.probing import messages
from octavia_ovn.core.probing.messages import Beat, Opener, Plan, Result, Results, Sealer
from octavia_ovn.errors import Unavailable

LOG = logging.getLogger(__name__)

BEAT = 2.0
"""Seconds between two signs of life."""
SILENCE = 10.0
"""Seconds without a line after which the other end counts as gone."""
_CONNECT = 1.0
"""Seconds for a connection; the next controller is tried then."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_ALONE = 30.0
"""Seconds without an agent until that is in the log."""
_FORGOTTEN = 3600.0
"""Seconds without an agent after which probes end: their members may be gone for long."""


class Channel:
    """Keeps a connection to whichever controller listens.

    :param controllers: host and port of each
    :param key: of this chassis
    :param name: returns the name of this chassis
    :param apply: is given each plan
    :param all_results: returns the results of all probes
    """

    def __init__(
        self,
        controllers: Sequence[tuple[str, int]],
        key: str,
        name: Callable[[], Awaitable[str]],
        apply: Callable[[Plan], None],
        all_results: Callable[[], Iterable[Result]],
    ) -> None:
        self._controllers = controllers
        self._key = key
        self._name = name
        self._apply = apply
        self._all_results = all_results
        self._changes: dict[str, Result] = {}
        self._changed = asyncio.Event()
        self._reasons: dict[str, str] = {}
        self.first = asyncio.Event()
        """Set when an agent has been reached for the first time."""
        self.connected = False

    def tell(self, result: Result) -> None:
        """Send a result soon; of several of one probe the last."""
        self._changes[result.id] = result
        self._changed.set()

    async def run(self) -> None:
        """Connect, and again after each end, until cancelled."""
        failures, since, silent = 0, asyncio.get_running_loop().time(), False
        while True:
            for host, port in self._controllers:
                if await self._visit(host, port):
                    failures, since, silent = 0, asyncio.get_running_loop().time(), False
            alone = asyncio.get_running_loop().time() - since
            if not silent and alone > _ALONE:
                silent = True
                reasons = "; ".join(f"{each}: {why}" for each, why in self._reasons.items())
                LOG.warning("No agent takes results of probes for %d s (%s)", _ALONE, reasons)
            if alone > _FORGOTTEN:
                self._apply(Plan(drop=tuple(each.id for each in self._all_results())))
            pause = backoff(failures, _FIRST_PAUSE, _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            failures += 1

    async def _visit(self, host: str, port: int) -> bool:
        """Talk to a controller until the connection ends; return whether it took the results."""
        reason = ""
        try:
            await self._converse(host, port)
        except asyncio.TimeoutError:
            reason = "it does not answer"
        except (OSError, EOFError, ValueError, Unavailable) as error:
            reason = str(error)
        talked, self.connected = self.connected, False
        if talked:
            LOG.warning("The connection to the agent at %s ended: %s", host, reason)
        self._reasons[host] = reason
        return talked

    async def _converse(self, host: str, port: int) -> None:
        name = await self._name()
        opening = asyncio.open_connection(host, port, limit=messages.MAX_LINE)
        reader, writer = await asyncio.wait_for(opening, _CONNECT)
        try:
            line = await asyncio.wait_for(reader.readline(), SILENCE)
            agent = messages.read_greeting(line)
            own = secrets.token_hex(16)
            writer.write(messages.reply(own, name))
            key = messages.session_key(self._key, agent, own)
            await self._talk(reader, writer, key, host)
        finally:
            writer.close()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: bytes, host: str
    ) -> None:
        opener = Opener(key, "agent", messages.OF_AGENT)
        await until_one_ends(
            self._listen(reader, opener, host), self._report(writer, Sealer(key, "chassis"))
        )

    async def _listen(self, reader: asyncio.StreamReader, opener: Opener, host: str) -> None:
        while True:
            line = await asyncio.wait_for(reader.readline(), SILENCE)
            if not line:
                raise EOFError("the agent closed it")
            message = opener.open(line)
            if not self.connected:
                LOG.info("The agent at %s takes results of probes", host)
                self.connected = True
                self.first.set()
            if isinstance(message, Plan):
                self._apply(message)

    async def _report(self, writer: asyncio.StreamWriter, sealer: Sealer) -> None:
        self._changes.clear()
        parts = list(messages.in_parts(self._all_results()))
        for number, part in enumerate(parts, 1):
            await self._send(writer, sealer.seal(Results(part, complete=number == len(parts))))
        while True:
            await self._send(writer, sealer.seal(Beat()))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), BEAT)
            self._changed.clear()
            changes, self._changes = self._changes, {}
            for part in messages.in_parts(changes.values()) if changes else ():
                await self._send(writer, sealer.seal(Results(part)))

    async def _send(self, writer: asyncio.StreamWriter, line: bytes) -> None:
        writer.write(line)
        await writer.drain()
