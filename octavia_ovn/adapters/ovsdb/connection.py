# SPDX-License-Identifier: Apache-2.0
"""One connection of the API's OVSDB client to a server, and the place where threads share it."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

from octavia_ovn.adapters.ovsdb import wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOG = logging.getLogger(__name__)

_CHUNK = 1 << 16


class Connection:
    """A connected socket that speaks JSON-RPC; used by the thread that has the session's lock.

    Every failure is an OSError: no answer, no connection, a malformed message.
    Deadlines are values of `time.monotonic()`.

    :param connected: the socket, which the connection closes
    :param remote: the server, for messages
    """

    def __init__(self, connected: socket.socket, remote: str) -> None:
        self.remote = remote
        self.schema: wire.Schema | None = None
        self.last_error: object = None
        self.last_activity = time.monotonic()
        self.closed = False
        self._socket = connected
        self._framer = wire.Framer()
        self._next_id = 0

    def fileno(self) -> int:
        """Return the descriptor, -1 when closed."""
        return self._socket.fileno()

    def send(self, method: str, params: Sequence[object], deadline: float) -> int:
        """Send a request and return its ID."""
        self._next_id += 1
        message = {"method": method, "params": params, "id": self._next_id}
        self._send(message, deadline)
        return self._next_id

    def receive(self, request_id: int, deadline: float) -> dict[str, Any]:
        """Return the reply to this request, answering the server's probes meanwhile."""
        while True:
            for message in self._read(deadline):
                if message.get("id") == request_id and "method" not in message:
                    return message

    def drain(self) -> None:
        """Read what has arrived, without waiting: probes, or that the peer has closed."""
        try:
            while True:
                self._read(None)
        except (BlockingIOError, ssl.SSLWantReadError):
            return

    def probe(self) -> None:
        """Send an echo request."""
        self._send({"method": "echo", "params": [], "id": "echo"}, time.monotonic() + 1)

    def close(self) -> None:
        """Close it, and wake up a thread that waits for it."""
        self.closed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            LOG.debug("%s was disconnected already", self.remote)
        self._socket.close()

    def abandon(self) -> None:
        """Close this process's copy of a socket of its parent."""
        self.closed = True
        self._socket.close()

    def _send(self, message: Mapping[str, object], deadline: float) -> None:
        self._socket.settimeout(_remaining(deadline))
        self._socket.sendall(wire.encode_message(message))

    def _read(self, deadline: float | None) -> list[dict[str, Any]]:
        """Return the messages that the next bytes complete; None is a deadline in the past."""
        self._socket.settimeout(0.0 if deadline is None else _remaining(deadline))
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self.last_activity = time.monotonic()
        try:
            messages = self._framer.feed(data)
        except ValueError as error:
            raise ConnectionAbortedError(str(error)) from error
        for message in messages:
            if message.get("method") == "echo":
                reply = {"result": message.get("params"), "error": None, "id": message.get("id")}
                self._send(reply, time.monotonic() + 1)
        return messages


class SharedConnection:
    """The connection that the threads of one process share. The lock is held during a request."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: Connection | None = None
        self.last_error: object = "no time was left"

    def failed(self, error: OSError) -> None:
        """Keep the reason of a failure, and close the connection."""
        self.last_error = error
        self.drop()

    def drop(self) -> None:
        """Close the connection, if there is one."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("no answer in time")
    return remaining
