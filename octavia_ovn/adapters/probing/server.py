# SPDX-License-Identifier: Apache-2.0
"""TCP connections from the chassis, at the active agent.

One thread serves all of them with a selector: with 1,000 chassis, 500 lines a second only say that
a chassis is there. What strangers send costs a bounded amount of memory and none of the main loop's
time: a connection counts for nothing until a line on it is signed with the key of a chassis.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import os
import resource
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from octavia_ovn.adapters.probing.connection import Connection, Lost
from octavia_ovn.core.probing.messages import Beat, Message, Results
from octavia_ovn.core.probing.rivals import Rivals
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.core.text import plain
from octavia_ovn.errors import BadConfiguration, Unavailable

LOG = logging.getLogger(__name__)

STRANGERS = 128
"""Connections at most that have not been signed yet; others wait in the kernel."""
_FRESH = 1.0
"""Seconds after which one of them may be ended for one that waits."""
_BACKLOG = 1024
_SWEEP = 0.25
"""Seconds between two examinations of who is silent and who must be sent a sign of life."""
_QUIET = 300.0
"""Seconds between two warnings about strangers."""
_FILES = 1 << 16
_RIVALS = (
    "Two programs connect as chassis %s, from %s and from %s: the first stays connected. Give each"
    " host its own external_ids:system-id and key"
)
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Events(Protocol):
    """What happens to the connections; called from the thread that serves them."""

    def joined(self, link: Connection) -> None:
        """Take note of a connection of a chassis; one that it had before is over."""

    def received(self, link: Connection, results: Results) -> None:
        """Take note of results."""

    def left(self, link: Connection) -> None:
        """Take note that a connection is over."""


class ChassisServer:
    """Listens, and serves the connections.

    :param host: address to listen on
    :param port: the TCP port
    :param master_key: from which the keys of chassis are derived
    :param clock: seconds, monotonic
    :raises BadConfiguration: when the address is not one of this host
    :raises Unavailable: when the port is in use
    """

    def __init__(
        self,
        host: str,
        port: int,
        master_key: str,
        events: Events,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key_of = functools.partial(chassis_key, master_key)
        self._events = events
        self._clock = clock
        self._links: dict[str, Connection] = {}
        self._strangers: dict[Connection, None] = {}
        """In the order in which they came."""
        self._rivals = Rivals()
        self._rivals_due: dict[str, float] = {}
        """Chassis → when its rivals may be in the log again."""
        self._outbox: collections.deque[tuple[Connection, Message]] = collections.deque()
        self._sweep_due = 0.0
        self._warning_due = 0.0
        self._accepting = True
        _allow_files()
        self._listener = _listen(host, port)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, _READ)
        self._lock = threading.Lock()
        self._closed = False
        self._awake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._awake, _READ)
        LOG.info("Chassis that probe members connect to %s, TCP port %d", host, port)

    def turn(self, timeout: float) -> None:
        """Process what arrives within some seconds, and send what waits."""
        for key, mask in self._selector.select(min(timeout, _SWEEP)):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj == self._awake:
                self._clear()
            else:
                self._serve(key.data, mask)
        self._send()
        now = self._clock()
        if now >= self._sweep_due:
            self._sweep_due = now + _SWEEP
            self._sweep(now)

    def close(self) -> None:
        """End all connections."""
        for each in (*self._links.values(), *self._strangers):
            self._end(each, "this agent stands by")
        self._selector.close()
        self._listener.close()
        with self._lock:
            self._closed = True
            os.close(self._awake)
            os.close(self._waker)

    # --- connections come and go

    def _accept(self) -> None:
        try:
            while self._has_room():
                peer, address = self._listener.accept()
                self._welcome(peer, str(address[0]))
        except BlockingIOError:
            return
        except OSError as error:  # no file descriptors are left, for example
            self._warn(f"Connections of chassis cannot be accepted: {error}")
        self._selector.unregister(self._listener)  # until the next sweep
        self._accepting = False

    def _has_room(self) -> bool:
        """Whether another connection may be accepted; one that says nothing makes room for it."""
        if len(self._strangers) >= STRANGERS:
            oldest = next(iter(self._strangers))
            if self._clock() - oldest.opened < _FRESH:
                return False
            self._end(oldest, "there are too many that have not begun")
        return True

    def _welcome(self, peer: socket.socket, address: str) -> None:
        peer.setblocking(False)
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Connection(peer, address, self._key_of, self._post, self._clock())
        self._strangers[link] = None
        self._selector.register(peer, _READ, link)
        self._flush(link)

    def _end(self, link: Connection, why: str) -> None:
        """End a connection."""
        if self._links.get(link.chassis) is link:
            del self._links[link.chassis]
            LOG.warning("Chassis %s is not connected any more: %s", plain(link.chassis), why)
            self._events.left(link)
        elif link in self._strangers:
            del self._strangers[link]
            name = f" as chassis {plain(link.chassis)}" if link.chassis else ""
            self._warn(f"A connection from {link.address}{name} is closed: {why}")
        else:
            return
        self._selector.unregister(link.socket)
        link.close()

    def _warn(self, text: str) -> None:
        """Log a warning now and then: any host can cause it."""
        now = self._clock()
        if now >= self._warning_due:
            self._warning_due = now + _QUIET
            LOG.warning("%s", text)

    # --- what is said

    def _serve(self, link: Connection, mask: int) -> None:
        if mask & _WRITE:
            self._flush(link)
        if mask & _READ:
            with self._ending(link):
                for message in link.receive(self._clock()):
                    self._take(link, message)

    def _take(self, link: Connection, message: Message) -> None:
        if link in self._strangers:
            self._displace(link)
            del self._strangers[link]
            self._links[link.chassis] = link
            LOG.info("Chassis %s is connected, from %s", plain(link.chassis), link.address)
            self._events.joined(link)
            link.write(Beat(), self._clock())  # so that it knows that it is accepted
            self._flush(link)
        if isinstance(message, Results):
            self._events.received(link, message)

    def _displace(self, link: Connection) -> None:
        """End the connection that a chassis has had until now.

        :raises Lost: when that is the connection of another program
        """
        before = self._links.get(link.chassis)
        if before is None:
            return
        now = self._clock()
        if not self._rivals.may_displace(link.chassis, before.last_seen, now):
            if now >= self._rivals_due.get(link.chassis, now):
                self._rivals_due[link.chassis] = now + _QUIET
                LOG.error(_RIVALS, plain(link.chassis), before.address, link.address)
            raise Lost("another program is connected as this chassis")
        self._end(before, f"it has connected again, from {link.address}")

    def _post(self, link: Connection, message: Message) -> None:
        """Have a message sent; called from any thread."""
        self._outbox.append((link, message))
        with self._lock, contextlib.suppress(BlockingIOError):  # full, so it wakes anyway
            if not self._closed:
                os.write(self._waker, b"!")

    def _clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._awake, 4096):
                pass

    def _send(self) -> None:
        now = self._clock()
        links: dict[Connection, None] = {}
        while self._outbox:
            link, message = self._outbox.popleft()
            with self._ending(link):
                if self._links.get(link.chassis) is link:
                    link.write(message, now)
                    links[link] = None
        for link in links:
            self._flush(link)

    def _sweep(self, now: float) -> None:
        if not self._accepting:
            self._accepting = True
            self._selector.register(self._listener, _READ)
        for link in (*self._links.values(), *self._strangers):
            with self._ending(link):
                link.check(now)
                if link.known and now >= link.beat_due:
                    link.write(Beat(), now)
                    self._flush(link)

    def _flush(self, link: Connection) -> None:
        with self._ending(link):
            done = link.flush()
            self._selector.modify(link.socket, _READ if done else _READ | _WRITE, link)

    @contextlib.contextmanager
    def _ending(self, link: Connection) -> Iterator[None]:
        """End the connection if it is lost meanwhile."""
        try:
            yield
        except Lost as lost:
            why = str(lost)
        else:
            return
        self._end(link, why)


def _listen(host: str, port: int) -> socket.socket:
    try:
        ((family, *_, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise BadConfiguration(f"[ovn_statistics] bind_host {host} is wrong: {error}") from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise Unavailable(
            f"Chassis that probe members cannot connect to {host}:{port}: {error}"
        ) from error
    found.setblocking(False)
    return found


def _allow_files() -> None:
    """Allow this process as many open files as the system lets it: one for each chassis."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
