# SPDX-License-Identifier: Apache-2.0
"""One connection from a chassis, at the agent: bytes to messages and back."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Callable, Iterator

from octavia_ovn.core.probing import messages
from octavia_ovn.core.probing.messages import BadLine, Message, Results

BEAT = 2.0
"""Seconds between two signs of life."""
SILENCE = 10.0
"""Seconds without a valid line after which a connection is over."""
HANDSHAKE = 5.0
"""Seconds until the first valid line."""
_READ = 1 << 16
_REPLY = 512
"""Bytes of a reply at most."""
_MOST_LINES, _PERIOD = 60_000, 10.0
"""Lines and results together in so many seconds at most."""
_WAITING = 32 << 20
"""Bytes that may wait to be sent: far more than all probes of a chassis take."""


class Lost(Exception):
    """The connection is over."""


class Connection:
    """A connection; the thread that serves it calls all but :meth:`send`.

    :param peer: the socket, not blocking
    :param key_of: returns the key of a chassis by its name
    :param post: hands over a message to be sent, from any thread
    :param now: seconds, monotonic
    """

    def __init__(
        self,
        peer: socket.socket,
        address: str,
        key_of: Callable[[str], str],
        post: Callable[[Connection, Message], None],
        now: float,
    ) -> None:
        self.socket = peer
        self.address = address
        self.chassis = ""
        self.known = False
        """Whether a line has been signed with the key of the chassis."""
        self.opened = self.last_seen = now
        self.beat_due = now + BEAT
        self._key_of = key_of
        self._post = post
        self._nonce = secrets.token_hex(16)
        self._opener: messages.Opener | None = None
        self._sealer: messages.Sealer | None = None
        self._lines = 0
        self._lines_since = now
        self._read = bytearray()
        self._written = bytearray(messages.greeting(self._nonce))

    def send(self, message: Message) -> None:
        """Send a message, unless the connection is over; called from any thread."""
        self._post(self, message)

    def receive(self, now: float) -> Iterator[Message]:
        """Yield the messages that have arrived.

        :raises Lost: when the connection is over, or must end
        """
        try:
            found = self.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError as error:
            raise Lost(f"{error}") from error
        if not found:
            raise Lost("it was closed at the other end")
        self._read += found
        try:
            yield from self._messages(now)
        except BadLine as error:
            raise Lost(f"{error}") from error

    def _messages(self, now: float) -> Iterator[Message]:
        begin = 0
        while (end := self._read.find(b"\n", begin)) >= 0:
            line, begin = bytes(self._read[begin : end + 1]), end + 1
            if self._opener is None:
                self._greet(line)
                continue
            message = self._opener.open(line)
            self._count(message, now)
            self.known, self.last_seen = True, now
            yield message
        del self._read[:begin]
        if len(self._read) >= (messages.MAX_LINE if self._opener else _REPLY):
            raise BadLine("a line is too long")

    def _count(self, message: Message, now: float) -> None:
        """Refuse more than anyone has to say: the main loop must process it."""
        if now - self._lines_since > _PERIOD:
            self._lines, self._lines_since = 0, now
        self._lines += 1 + (len(message.rows) if isinstance(message, Results) else 0)
        if self._lines > _MOST_LINES:
            raise BadLine(f"it says more than {_MOST_LINES} lines and results in {_PERIOD:g} s")

    def _greet(self, line: bytes) -> None:
        nonce, self.chassis = messages.read_reply(line)
        key = messages.session_key(self._key_of(self.chassis), self._nonce, nonce)
        self._opener = messages.Opener(key, "chassis", messages.OF_CHASSIS)
        self._sealer = messages.Sealer(key, "agent")

    def write(self, message: Message, now: float) -> None:
        """Have a message sent.

        :raises Lost: when too much is waiting
        """
        if self._sealer is None:
            return
        self._written += self._sealer.seal(message)
        self.beat_due = now + BEAT
        if len(self._written) > _WAITING:
            raise Lost("it takes nothing that is sent to it")

    def flush(self) -> bool:
        """Send what the system takes now; return whether that is all.

        :raises Lost: when the connection is over
        """
        try:
            while self._written:
                del self._written[: self.socket.send(self._written)]
        except BlockingIOError:
            return False
        except OSError as error:
            raise Lost(f"{error}") from error
        return True

    def check(self, now: float) -> None:
        """Examine whether the chassis still is there.

        :raises Lost: when it has been silent for too long
        """
        if self.known and now - self.last_seen > SILENCE:
            raise Lost(f"nothing has arrived for {SILENCE:g} s")
        if not self.known and now - self.opened > HANDSHAKE:
            raise Lost(f"it has not begun within {HANDSHAKE:g} s")

    def close(self) -> None:
        """Close the socket."""
        with contextlib.suppress(OSError):
            self.socket.close()
