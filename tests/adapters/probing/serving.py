# SPDX-License-Identifier: Apache-2.0
"""The server of chassis in a thread, and a chassis that speaks to it, for tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from octavia_ovn.adapters.probing.connection import Connection
from octavia_ovn.adapters.probing.server import ChassisServer
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing import messages
from octavia_ovn.core.probing.messages import Message, Result, Results
from octavia_ovn.core.statistics.keys import chassis_key

MASTER = "0123456789abcdef0123456789abcdef"
HOST = "127.0.0.1"
RESULT = Result("m1", "0123456789abcdef", HealthState.UP)
ALL = Results((RESULT,), complete=True)


class Seen:
    """What the server says."""

    def __init__(self) -> None:
        self.links: list[Connection] = []
        self.gone: list[Connection] = []
        self.results: list[tuple[str, Results]] = []

    def joined(self, link: Connection) -> None:
        self.links.append(link)

    def received(self, link: Connection, results: Results) -> None:
        self.results.append((link.chassis, results))

    def left(self, link: Connection) -> None:
        self.gone.append(link)


class Chassis:
    """A program on a chassis that speaks as it should, unless told otherwise."""

    def __init__(self, port: int, name: str = "a", master: str = MASTER) -> None:
        self.socket = socket.create_connection((HOST, port), 5)
        self.file = self.socket.makefile("rb")
        self.name = name
        nonce = messages.read_greeting(self.file.readline())
        self.socket.sendall(messages.reply("0" * 32, name))
        key = messages.session_key(chassis_key(master, name), nonce, "0" * 32)
        self.sealer = messages.Sealer(key, "chassis")
        self.opener = messages.Opener(key, "agent", messages.OF_AGENT)

    def say(self, message: Message = ALL) -> Chassis:
        self.socket.sendall(self.sealer.seal(message))
        return self

    def hear(self) -> Message | None:
        """Return the next message; None when the connection has ended."""
        try:
            line = self.file.readline()
        except ConnectionError:
            return None
        return self.opener.open(line) if line else None

    def has_ended(self) -> bool:
        return all(isinstance(each, Message) for each in iter(self.hear, None))


class World:
    """A server in a thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seen = Seen()
        self.server = ChassisServer(HOST, 0, MASTER, self.seen, clock)
        self.port = self.server._listener.getsockname()[1]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.server.turn(0.05)
        self.server.close()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def until(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 10
        while not (found := condition()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return found

    def chassis(self, name: str = "a") -> Chassis:
        """A chassis that has said what it has."""
        before = len(self.seen.links)
        found = Chassis(self.port, name).say()
        self.until(lambda: len(self.seen.links) > before)
        return found


class Clock:
    """Seconds that pass, and more when a test says so."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead
