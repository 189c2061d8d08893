# SPDX-License-Identifier: Apache-2.0
"""An agent that a chassis program connects to, in the network namespace of a hypervisor."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from typing import TYPE_CHECKING

from pyroute2 import netns

from octavia_ovn.core.probing import messages
from octavia_ovn.core.probing.messages import Beat, Opener, Plan, Result, Results, Sealer

if TYPE_CHECKING:
    from octavia_ovn.core.probing.spec import Probe


def listen(namespace: str, port: int) -> socket.socket:
    """Listen on the loopback of a namespace."""
    made: queue.Queue[socket.socket] = queue.Queue()

    def work() -> None:
        netns.setns(namespace)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        made.put(listener)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return made.get(timeout=1)


class Agent:
    """Takes one connection after the other; keeps the results that have come."""

    def __init__(self, listener: socket.socket, key: str) -> None:
        self._listener = listener
        self._key = key
        self._lock = threading.Lock()
        self.chassis = ""
        self.connections = 0
        self.complete = False
        self.results: dict[str, Result] = {}
        self._sealer: Sealer | None = None
        self._peer: socket.socket | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def state(self, probe_id: str) -> str:
        """The last state of a probe; empty for none."""
        found = self.results.get(probe_id)
        return found.state.value if found else ""

    def plan(self, *put: Probe, drop: tuple[str, ...] = ()) -> None:
        """Tell the chassis."""
        self._send(Plan(put, drop))

    def close(self) -> None:
        """End."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._peer is not None:
            self._peer.close()

    def _send(self, message: Plan | Beat) -> None:
        with self._lock:
            assert self._sealer is not None
            assert self._peer is not None
            self._peer.sendall(self._sealer.seal(message))

    def _serve(self) -> None:
        while self._listener.fileno() != -1:
            # A chassis that is killed breaks its connection; close() ends the listener.
            with contextlib.suppress(OSError):
                self._talk(self._listener.accept()[0])

    def _talk(self, peer: socket.socket) -> None:
        nonce = "cd" * 16
        peer.sendall(messages.greeting(nonce))
        lines = peer.makefile("rb")
        own, self.chassis = messages.read_reply(lines.readline())
        secret = messages.session_key(self._key, nonce, own)
        opener = Opener(secret, "chassis", messages.OF_CHASSIS)
        self._peer, self._sealer = peer, Sealer(secret, "agent")
        self.results, self.complete = {}, False
        self.connections += 1
        for line in lines:
            message = opener.open(line)
            if isinstance(message, Results):
                self.results |= {each.id: each for each in message.rows}
                self.complete |= message.complete
            self._send(Beat())
