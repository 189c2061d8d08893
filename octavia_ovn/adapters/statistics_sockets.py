"""UDP between the collectors on the chassis and the agent that acts.

A collector sends to all agents; only the one that acts has the port open. So nobody needs to know
which one that is, and one that takes over is found without a search.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Iterable, Iterator, Sequence

from octavia_ovn.core.statistics import messages
from octavia_ovn.core.statistics.messages import BadMessage, Message
from octavia_ovn.errors import BadConfiguration, Unavailable

LOG = logging.getLogger(__name__)

_SIZE = 65536
_BUFFER = 4 << 20
"""Bytes that may wait in the kernel while Octavia is being told; what is lost is sent again."""
_QUIET = 300.0
"""Seconds between two complaints about datagrams that are not believed."""


class _Reader:
    """Reads datagrams; complains of bad ones now and then."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._next_complaint = 0.0

    def read(self, peer: socket.socket) -> tuple[Message, object] | None:
        """Return a message and who has sent it; None for a datagram that is no good.

        :raises BlockingIOError: when there is none
        """
        try:
            datagram, sender = peer.recvfrom(_SIZE)
            return messages.decode(datagram, self._key, time.time()), sender
        except ConnectionRefusedError:
            # An agent that does not act.
            return None
        except BadMessage as error:
            if time.monotonic() >= self._next_complaint:
                self._next_complaint = time.monotonic() + _QUIET
                LOG.warning("A datagram with statistics from %s is ignored: %s", sender, error)
            return None


class CollectorSocket:
    """The collector's end.

    :param controllers: `(host, port)` of all agents
    :param key: the shared secret
    """

    def __init__(self, controllers: Sequence[tuple[str, int]], key: str) -> None:
        self._controllers = controllers
        self._key = key
        self._reader = _Reader(key)
        self._sockets: dict[int, socket.socket] = {}

    def filenos(self) -> list[int]:
        """Return the descriptors to wait for."""
        return [each.fileno() for each in self._sockets.values()]

    def send(self, outgoing: Iterable[Message]) -> None:
        """Send messages to all agents; one that cannot be reached does not stop the others."""
        datagrams = [messages.encode(each, self._key, time.time()) for each in outgoing]
        for host, port in self._controllers if datagrams else ():
            self._send_to(host, port, datagrams)

    def _send_to(self, host: str, port: int, datagrams: Sequence[bytes]) -> None:
        try:
            ((family, *_, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            for datagram in datagrams:
                self._socket(family).sendto(datagram, address)
        except OSError as error:
            LOG.warning("Statistics cannot be sent to %s: %s", host, error)

    def receive(self) -> Iterator[Message]:
        """Yield the answers that have arrived."""
        for peer in self._sockets.values():
            with contextlib.suppress(BlockingIOError):
                while True:
                    found = self._reader.read(peer)
                    if found is not None:
                        yield found[0]

    def close(self) -> None:
        """Close the sockets."""
        for each in self._sockets.values():
            each.close()

    def _socket(self, family: int) -> socket.socket:
        if family not in self._sockets:
            made = socket.socket(family, socket.SOCK_DGRAM)
            made.setblocking(False)
            self._sockets[family] = made
        return self._sockets[family]


class AgentSocket:
    """The agent's end.

    :param host: address to listen on
    :param port: the UDP port
    :param key: the shared secret
    :raises BadConfiguration: when nobody can listen there
    :raises Unavailable: when somebody else does
    """

    def __init__(self, host: str, port: int, key: str) -> None:
        self._key = key
        self._reader = _Reader(key)
        try:
            ((family, *_, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            raise BadConfiguration(
                f"[ovn_statistics] bind_host {host} is wrong: {error}"
            ) from error
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        try:
            self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            raise Unavailable(f"Statistics cannot be received at {host}:{port}: {error}") from error
        LOG.info("Statistics of chassis are received at %s, UDP port %d", host, port)

    def receive(self, timeout: float) -> tuple[Message, object] | None:
        """Return a message and its sender; None when none came within some seconds."""
        self._socket.settimeout(timeout)
        try:
            return self._reader.read(self._socket)
        except (TimeoutError, BlockingIOError):
            return None

    def send(self, message: Message, receiver: object) -> None:
        """Answer; an answer that is lost is asked for again."""
        with contextlib.suppress(OSError):
            datagram = messages.encode(message, self._key, time.time())
            self._socket.sendto(datagram, receiver)  # type: ignore[call-overload]  # as received

    def close(self) -> None:
        """Close it."""
        self._socket.close()
