# SPDX-License-Identifier: Apache-2.0
"""A client on this chassis for as long as a live trace takes: a port, a namespace, and its packets.

All names follow from the id of the port in Neutron, so that a later process finds what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Protocol

from octavia_ovn.adapters.probing import namespaces, sources
from octavia_ovn.adapters.probing.namespaces import Namespace, SocketMaker
from octavia_ovn.adapters.probing.outcome import Failed, NotDone, verdict
from octavia_ovn.adapters.probing.streams import Stream
from octavia_ovn.core.diagnosis.live import Attempt, Outcome
from octavia_ovn.core.probing.spec import Source
from octavia_ovn.errors import Unavailable

_PREFIX = "ovn-lb-live-"
"""How the names of namespaces begin; the rest is the id of the port."""
_DEVICE = "lbl-"
_LONGEST_DEVICE = 15
_PATIENCE = 10.0
"""Seconds that ovn-controller has to bind the port."""
_PAUSE = 0.1
_TIMEOUT = 3.0
"""Seconds for an answer. The kernel repeats a lost SYN after one second."""
_NO_ANSWER = f"no answer in {_TIMEOUT:.0f} s"
_LONGEST_DATAGRAM = 2048


class Ports(sources.Ports, Protocol):
    """The ports of the integration bridge that are marked as those of live traces."""

    def port_ids(self) -> list[str]:
        """Return the ids of the switch ports that they stand for."""

    def is_installed(self, device: str) -> bool:
        """Whether the flows of a port are in place."""


def remove(ports: Ports, port_id: str) -> None:
    """Remove a client's port and namespace, as far as they are there.

    :raises Unavailable: when the local database does not answer
    """
    ports.remove(_device(port_id))
    namespaces.remove(_PREFIX + port_id)


class LiveClient:
    """A client that sends packets from a port; :func:`remove` removes it.

    :param ports: of the integration bridge
    :param source: the port, with the only address of the client
    :raises Unavailable: when it cannot be made, or OVN does not bind its port
    """

    def __init__(self, ports: Ports, source: Source) -> None:
        self._address = source.address.partition("/")[0]
        self._sockets = SocketMaker()
        self._namespace = Namespace(_PREFIX + source.port)
        name = _device(source.port)
        sources.plug(ports, self._namespace, name, source)
        deadline = time.monotonic() + _PATIENCE
        while not ports.is_installed(name):
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"ovn-controller on this chassis has not bound port {source.port} within"
                    f" {_PATIENCE:.0f} s"
                )
            time.sleep(_PAUSE)
        with contextlib.suppress(OSError):  # what is wrong with it, the packets show
            self._namespace.announce(name, source)

    def close(self) -> None:
        """Send nothing any more."""
        self._sockets.close()
        self._namespace.close()

    @contextlib.contextmanager
    def attempts(
        self, protocol: str, address: str, port: int, count: int
    ) -> Iterator[tuple[Attempt, ...]]:
        """Open connections, or send datagrams, all at once; they end with the `with` block.

        :param protocol: in OVN's spelling
        """
        peers: list[socket.socket] = []

        async def all_of_them() -> list[Attempt]:
            tries = (self._attempt(protocol, address, port, peers) for _ in range(count))
            return await asyncio.gather(*tries)

        try:
            yield tuple(asyncio.run(all_of_them()))
        finally:
            for each in peers:
                each.close()

    async def _attempt(
        self, protocol: str, address: str, port: int, peers: list[socket.socket]
    ) -> Attempt:
        if protocol not in _TRIES:
            return Attempt(Outcome.NOT_TRIED, f"{protocol.upper()} is not tried")
        kind, ask, silent = _TRIES[protocol]
        try:
            # In a thread that no signal interrupts: this one must stay in its own namespace.
            make = self._sockets.make
            peer = await asyncio.to_thread(make, self._namespace.fd, self._address, kind, 0)
        except OSError as error:
            return Attempt(Outcome.NOT_TRIED, str(verdict(error)))
        peers.append(peer)
        outcome, reason = Outcome.ANSWERED, ""
        began = time.monotonic()
        try:
            await asyncio.wait_for(ask(peer, address, port), _TIMEOUT)
        except asyncio.TimeoutError:
            outcome, reason = silent, _NO_ANSWER
        except Failed as error:
            outcome, reason = Outcome.FAILED, str(error)
        except NotDone as error:
            outcome, reason = Outcome.NOT_TRIED, str(error)
        return Attempt(outcome, reason, time.monotonic() - began, peer.getsockname()[1])


def _device(port_id: str) -> str:
    return (_DEVICE + port_id)[:_LONGEST_DEVICE]


async def _connect(peer: socket.socket, address: str, port: int) -> None:
    await Stream(peer).connect(address, port)


async def _exchange(peer: socket.socket, address: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    try:
        peer.connect((address, port))  # which does not wait: it is UDP
        await loop.sock_sendall(peer, b"\n")
        await loop.sock_recv(peer, _LONGEST_DATAGRAM)
    except OSError as error:
        raise verdict(error) from error


_TRIES: Mapping[str, tuple[int, Callable[[socket.socket, str, int], Awaitable[None]], Outcome]] = {
    "tcp": (socket.SOCK_STREAM, _connect, Outcome.FAILED),
    "udp": (socket.SOCK_DGRAM, _exchange, Outcome.SILENT),
}
"""Protocol → kind of socket, what is done, and what silence means."""
