# SPDX-License-Identifier: Apache-2.0
"""The IDL's connection to a server: `ovs.jsonrpc.Session` on the standard library.

The IDL of the `ovs` library is used unchanged; only the object that carries its messages is
replaced, because the library's own

* parses JSON in pure Python (its wheel has no C parser). Measured until a replica holds 5,000 rows
  of Load_Balancer, 5.7 MB: 4.7 s of CPU, here 1.1 s, of which 0.3 s are messages and the rest is
  the IDL's making of values;
* keeps the TLS files on a class, so that all connections of a process share one CA;
* needs another library for host names.

Single-threaded and non-blocking. Times are milliseconds of `ovs.timeval`, as the library's
reconnection logic, which is used, has them.
"""

from __future__ import annotations

import collections
import errno
import json
import logging
import os
import random
import select
import socket
import ssl
from typing import TYPE_CHECKING, Any

import ovs.jsonrpc
import ovs.poller
import ovs.reconnect
import ovs.timeval

from octavia_ovn.adapters.ovsdb import wire
from octavia_ovn.adapters.ovsdb.endpoint import dial
from octavia_ovn.errors import BadConfiguration

if TYPE_CHECKING:
    from octavia_ovn.adapters.ovsdb.endpoint import Endpoint

LOG = logging.getLogger(__name__)

_CHUNK = 1 << 18
_MIN_BACKOFF = 1000  # milliseconds between two rounds through all remotes; the library's minimum
MAX_BACKOFF = 2000
_NO_PAUSE = 2  # the library counts the try that has just failed, too
_PENDING = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Channel:
    """Messages to and from the server that answers first; reconnects until it is closed.

    The public methods are those that `ovs.db.idl.Idl` calls on its session.

    :param endpoint: the servers, tried in random order
    :param probe_interval: milliseconds of silence after which the peer is probed; 0 for never
    :param max_backoff: milliseconds between two rounds through all remotes at most; at least 1000
    :param decoder: makes values of the text of messages
    """

    def __init__(
        self,
        endpoint: Endpoint,
        probe_interval: int,
        max_backoff: int = MAX_BACKOFF,
        decoder: json.JSONDecoder = wire.PLAIN,
    ) -> None:
        self._endpoint = endpoint
        self._decoder = decoder
        self._remotes = random.sample(endpoint.remotes, len(endpoint.remotes))
        self._position = 0
        self._seqno = 0
        self._link: _Link | None = None
        self._connected = False
        self._inbox: collections.deque[Any] = collections.deque()
        self.last_error: object = "no attempt yet"
        self._reconnect = ovs.reconnect.Reconnect(ovs.timeval.msec())
        self._reconnect.set_probe_interval(probe_interval)
        self._reconnect.set_backoff(_MIN_BACKOFF, max_backoff)
        self._reconnect.enable(ovs.timeval.msec())

    def run(self) -> None:
        """Send, connect, disconnect and probe as is due."""
        if self._link is not None:
            try:
                self._advance(self._link)
            except OSError as error:
                self._lose(error)
        action = self._reconnect.run(ovs.timeval.msec())
        if action == ovs.reconnect.CONNECT:
            self._dial()
        elif action == ovs.reconnect.DISCONNECT:
            self._lose(TimeoutError(errno.ETIMEDOUT, "given up"))
        elif action == ovs.reconnect.PROBE:
            probe = ovs.jsonrpc.Message.create_request("echo", [])
            probe.id = "echo"
            self.send(probe)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        if self._link is not None and self._link.events:
            poller.fd_wait(self._link.fileno(), self._link.events)
        self._reconnect.wait(poller, ovs.timeval.msec())

    def recv(self) -> ovs.jsonrpc.Message | None:
        """Return the next message, None if there is none yet."""
        while not self._inbox and self._link is not None and self._connected:
            self._reconnect.receive_attempted(ovs.timeval.msec())
            try:
                self._receive(self._link)
            except _PENDING:
                return None
            except (OSError, ValueError) as error:
                self._lose(error)
        return self._inbox.popleft() if self._inbox else None

    def recv_wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `recv` may have a message."""
        if self._inbox:
            poller.immediate_wake()
        elif self._link is not None and self._connected:
            if self._link.has_decrypted():
                poller.immediate_wake()
            poller.fd_wait(self._link.fileno(), select.POLLIN)

    def send(self, message: ovs.jsonrpc.Message) -> int:
        """Queue a message; return 0, or an errno when there is no connection."""
        if self._link is None or not self._connected:
            return errno.ENOTCONN
        try:
            self._link.send(wire.encode_message(message.to_json()))
        except OSError as error:
            self._lose(error)
            return error.errno or errno.EPIPE
        return 0

    def is_connected(self) -> bool:
        """Whether messages can be sent."""
        return self._connected

    def get_seqno(self) -> int:
        """Return a number that changes with every connection and disconnection."""
        return self._seqno

    def get_name(self) -> str:
        """Return the remote in use, or the next to be tried."""
        return self._remotes[self._position]

    def force_reconnect(self) -> None:
        """Disconnect at the next `run`, and connect to the next remote."""
        self._reconnect.force_reconnect(ovs.timeval.msec())

    def reset_backoff(self) -> None:
        """Let the next disconnection be followed by an attempt without a pause."""
        self._reconnect.set_backoff_free_tries(_NO_PAUSE)

    def close(self) -> None:
        """Disconnect, and do not reconnect."""
        self._reconnect.disable(ovs.timeval.msec())
        if self._link is not None:
            self._link.close()
        self._link, self._connected = None, False

    def hang_up(self, reason: str) -> None:
        """Disconnect now, so that the server drops the requests that it has not started."""
        self._lose(ConnectionAbortedError(errno.ECONNABORTED, reason))

    def _dial(self) -> None:
        self._seqno += 1
        try:
            self._link = _Link(self._endpoint, self.get_name(), self._decoder)
        except (OSError, BadConfiguration) as error:  # the latter while certificates are rotated
            self._lose(error)
        else:
            self._reconnect.connecting(ovs.timeval.msec())

    def _advance(self, link: _Link) -> None:
        if self._connected:
            if link.flush():
                self._reconnect.activity(ovs.timeval.msec())
        elif link.establish():
            self._connected = True
            self._seqno += 1
            self._reconnect.connected(ovs.timeval.msec())
            LOG.info("Connected to %s", self.get_name())

    def _receive(self, link: _Link) -> None:
        received = link.receive()
        self._reconnect.activity(ovs.timeval.msec())
        for content in received:
            message = ovs.jsonrpc.Message.from_json(content)
            if isinstance(message, str):
                raise ValueError(message)  # noqa: TRY004  # a str is the library's error
            if message.type == message.T_REQUEST and message.method == "echo":
                if self.send(ovs.jsonrpc.Message.create_reply(message.params, message.id)):
                    return  # The connection is lost, and its messages are void.
            elif message.type != message.T_REPLY or message.id != "echo":
                self._inbox.append(message)

    def _lose(self, error: Exception) -> None:
        """Close the connection or the attempt, and continue with the next remote."""
        level = logging.WARNING if self._connected else logging.DEBUG
        LOG.log(level, "Not connected to %s: %s", self.get_name(), error)
        self.last_error = f"{self.get_name()}: {error}"
        self._position = (self._position + 1) % len(self._remotes)
        if self._position:
            # A pause follows a round through all remotes, not each of them: after the leader of a
            # cluster has died, the next one is found as soon as it is elected.
            self._reconnect.set_backoff_free_tries(_NO_PAUSE)
        number = getattr(error, "errno", None) or ovs.jsonrpc.EOF
        now = ovs.timeval.msec()
        if self._connected:
            self._reconnect.disconnected(now, number)
        else:
            self._reconnect.connect_failed(now, number)
        if self._link is not None:
            self._link.close()
        self._link, self._connected = None, False
        self._inbox.clear()
        self._seqno += 1


class _Link:
    """One non-blocking socket, from the attempt to connect until it is closed.

    `events` says what `establish` and `flush` wait for.
    """

    def __init__(self, endpoint: Endpoint, remote: str, decoder: json.JSONDecoder) -> None:
        self.events: int = select.POLLOUT
        self._context = None
        if endpoint.tls is not None and remote.startswith("ssl:"):
            self._context = endpoint.tls.context()
        self._socket = dial(remote)
        self._linked = False
        self._framer = wire.Framer(decoder)
        self._outbox = bytearray()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def establish(self) -> bool:
        """Continue to connect; return whether it is done.

        :raises OSError: it failed
        """
        if not self._linked and not self._has_linked():
            return False
        if isinstance(self._socket, ssl.SSLSocket):
            try:
                self._socket.do_handshake()
            except ssl.SSLWantReadError:
                self.events = select.POLLIN
                return False
            except ssl.SSLWantWriteError:
                self.events = select.POLLOUT
                return False
        self.events = 0
        return True

    def _has_linked(self) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        if not poll.poll(0):
            return False
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        self._linked = True
        if self._context is not None:
            self._socket = self._context.wrap_socket(self._socket, do_handshake_on_connect=False)
        return True

    def send(self, data: bytes) -> None:
        """Send, now or when there is room.

        :raises OSError: the connection is broken
        """
        self._outbox += data
        self.flush()

    def flush(self) -> bool:
        """Send what there is room for; return whether that was something."""
        sent = 0
        try:
            while sent < len(self._outbox):
                sent += self._socket.send(self._outbox[sent : sent + _CHUNK])
        except _PENDING:
            pass
        del self._outbox[:sent]
        self.events = select.POLLOUT if self._outbox else 0
        return sent > 0

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages that the next bytes complete.

        :raises BlockingIOError, ssl.SSLWantReadError: there are no bytes yet
        :raises OSError: the connection is broken
        :raises ValueError: the peer does not speak JSON
        """
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "the server closed the connection")
        return self._framer.feed(data)

    def has_decrypted(self) -> bool:
        """Whether there are bytes that polling the descriptor does not show."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def close(self) -> None:
        """Close it."""
        self._socket.close()
