# SPDX-License-Identifier: Apache-2.0
"""The program on a chassis as the agent sees it: it keeps its connection, and probes nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing import messages
from octavia_ovn.core.probing.messages import Beat, Plan, Result, Results, in_parts
from octavia_ovn.core.statistics.keys import chassis_key

if TYPE_CHECKING:
    from octavia_ovn.core.probing.spec import Probe

_BEAT = 0.5
_NONCE = "0" * 32


class ChassisProgram:
    """Connects to whichever agent listens, again and again, until it is killed.

    :param ports: TCP ports of the agents on this host
    :param states: member id → what it finds; members that are not in it are UNKNOWN
    """

    def __init__(self, name: str, master_key: str, ports: list[int]) -> None:
        self.name = name
        self._key = chassis_key(master_key, name)
        self._ports = ports
        self._lock = threading.Lock()
        self.probes: dict[str, Probe] = {}
        self.states: dict[str, HealthState] = {}
        self.plans = 0
        self.connected = False
        self._changed: set[str] = set()
        self._killed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finds(self, state: HealthState, *members: str) -> None:
        """Find members in a state; all that it probes unless some are named."""
        with self._lock:
            for each in members or tuple(self.probes):
                self.states[each] = state
                self._changed.add(each)

    def kill(self) -> None:
        self._killed.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._killed.wait(0.1):
            for port in self._ports:
                with contextlib.suppress(OSError, messages.BadLine, EOFError):
                    self._visit(port)
                self.connected = False

    def _visit(self, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), 2) as peer, peer.makefile("rb") as file:
            nonce = messages.read_greeting(file.readline())
            peer.sendall(messages.reply(_NONCE, self.name))
            key = messages.session_key(self._key, nonce, _NONCE)
            sealer = messages.Sealer(key, "chassis")
            self._talk(peer, sealer, messages.Opener(key, "agent", messages.OF_AGENT))

    def _talk(self, peer: socket.socket, sealer: messages.Sealer, opener: messages.Opener) -> None:
        with self._lock:
            results, self._changed = self._results(self.probes), set()
        peer.sendall(sealer.seal(Results(results, complete=True)))
        peer.settimeout(0.05)
        read, due = b"", 0.0
        while not self._killed.is_set():
            with contextlib.suppress(TimeoutError):
                found = peer.recv(65536)
                if not found:
                    raise EOFError
                read += found
            *lines, read = read.split(b"\n")
            for line in lines:
                self.connected = True
                self._take(opener.open(line + b"\n"))
            with self._lock:
                results, self._changed = self._results(self._changed), set()
            for part in in_parts(results) if results else ():
                peer.sendall(sealer.seal(Results(part)))
            if time.monotonic() >= due:
                due = time.monotonic() + _BEAT
                peer.sendall(sealer.seal(Beat()))

    def _take(self, message: messages.Message) -> None:
        if isinstance(message, Plan):
            with self._lock:
                self.plans += 1
                self.probes |= {each.id: each for each in message.put}
                for each in message.drop:
                    del self.probes[each]

    def _results(self, members: set[str] | dict[str, Probe]) -> tuple[Result, ...]:
        return tuple(
            Result(each, self.probes[each].version, self.states.get(each, HealthState.UNKNOWN))
            for each in members
            if each in self.probes
        )
