# SPDX-License-Identifier: Apache-2.0
"""UDP between the collectors on the chassis and the active agent.

A collector sends to all agents, and only the active one has the port open. So a collector does not
need to know which agent is active, and reaches the next one without a search.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from octavia_ovn.core.statistics import messages
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.core.statistics.messages import BadMessage, Message, Reason
from octavia_ovn.errors import BadConfiguration, Unavailable
from octavia_ovn.observer import SILENT, Observer

LOG = logging.getLogger(__name__)

_SIZE = 65536
_BUFFER = 4 << 20
"""Bytes that may wait in the kernel during a report to Octavia; lost datagrams are sent again."""
_QUIET = 300.0
"""Seconds between two warnings about datagrams that are rejected for the same reason."""
ACCEPTED = "accepted"
"""The result of a valid datagram; see :class:`Reason` for the others."""


class _Receiver:
    """Receives datagrams; counts those that are rejected, and logs a warning now and then.

    :param key_of: returns the key of a chassis by its name
    """

    def __init__(self, key_of: Callable[[str], str], observer: Observer = SILENT) -> None:
        self._key_of = key_of
        self._observer = observer
        self._quiet_until: dict[Reason, float] = {}

    def read(self, peer: socket.socket) -> tuple[Message, object] | None:
        """Return a message and its sender; None for a datagram that is rejected.

        :raises BlockingIOError: when no datagram is waiting
        """
        try:
            datagram, sender = peer.recvfrom(_SIZE)
        except ConnectionRefusedError:
            # A standby agent has the port closed.
            return None
        try:
            message = messages.decode(datagram, self._key_of)
        except BadMessage as error:
            self._observer.receives_statistics(error.reason.value)
            self._warn(sender, error)
            return None
        self._observer.receives_statistics(ACCEPTED)
        return message, sender

    def _warn(self, sender: object, error: BadMessage) -> None:
        """Log another version once, as it lasts as long as an upgrade; other reasons now and then.

        Any host can send such datagrams, so the state kept here does not depend on the sender.
        """
        now = time.monotonic()
        if now < self._quiet_until.get(error.reason, now):
            return
        quiet = math.inf if error.reason is Reason.VERSION else _QUIET
        self._quiet_until[error.reason] = now + quiet
        LOG.warning("A datagram with statistics from %s is ignored: %s", sender, error)


class CollectorSocket:
    """The collector's socket.

    :param controllers: `(host, port)` of all agents
    :param key: of this chassis
    """

    def __init__(self, controllers: Sequence[tuple[str, int]], key: str) -> None:
        self._controllers = controllers
        self._key = key
        self._receiver = _Receiver(lambda _: key)
        self._send_errors: dict[str, str] = {}
        """Controller → why nothing can be sent to it."""
        self._sockets: dict[int, socket.socket] = {}

    def filenos(self) -> list[int]:
        """Return the descriptors to wait for."""
        return [each.fileno() for each in self._sockets.values()]

    def send(self, outgoing: Iterable[Message]) -> None:
        """Send messages to all agents; one that cannot be reached does not stop the others."""
        datagrams = [messages.encode(each, self._key) for each in outgoing]
        for host, port in self._controllers if datagrams else ():
            self._send_to(host, port, datagrams)

    def _send_to(self, host: str, port: int, datagrams: Sequence[bytes]) -> None:
        try:
            ((family, *_, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            for datagram in datagrams:
                self._socket(family).sendto(datagram, address)
        except (OSError, UnicodeError) as error:
            reason = str(error)
        else:
            self._send_errors.pop(host, None)
            return
        # Not in the handler: see errors.failure.
        if self._send_errors.get(host) != reason:
            LOG.warning("Statistics cannot be sent to %s: %s", host, reason)
        self._send_errors[host] = reason

    def receive(self) -> Iterator[Message]:
        """Yield the answers that have arrived."""
        for peer in self._sockets.values():
            with contextlib.suppress(BlockingIOError):
                while True:
                    found = self._receiver.read(peer)
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
    """The agent's socket.

    :param host: address to listen on
    :param port: the UDP port
    :param master_key: from which the keys of chassis are derived
    :param observer: counts each datagram
    :raises BadConfiguration: when the address is not one of this host
    :raises Unavailable: when the port is in use
    """

    def __init__(self, host: str, port: int, master_key: str, observer: Observer = SILENT) -> None:
        self._key_of = functools.partial(chassis_key, master_key)
        self._receiver = _Receiver(self._key_of, observer)
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
        """Return a message and its sender; None when none came within some seconds.

        :raises Unavailable: when the socket cannot be read
        """
        self._socket.settimeout(timeout)
        try:
            return self._receiver.read(self._socket)
        except (TimeoutError, BlockingIOError):
            return None
        except OSError as error:
            raise Unavailable(f"Statistics cannot be received: {error}") from error

    def send(self, message: Message, receiver: object) -> None:
        """Answer; the collector repeats its message when an answer is lost."""
        with contextlib.suppress(OSError):
            datagram = messages.encode(message, self._key_of(message.chassis))
            self._socket.sendto(datagram, receiver)  # type: ignore[call-overload]  # as received

    def close(self) -> None:
        """Close it."""
        self._socket.close()
