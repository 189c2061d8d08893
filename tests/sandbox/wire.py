# SPDX-License-Identifier: Apache-2.0
"""A bad wire between two devices: ``wire.py DEVICE DEVICE``, in the namespace that has them.

It carries Ethernet frames. Each line of standard input says from now on how, as JSON: `loss` and
`twice`, shares of the frames that are lost and doubled; `delay` and `jitter`, in seconds. With
`jitter` frames overtake each other.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import json
import random
import selectors
import socket
import sys
import time

_FRAME = 65536
_EVERY_PROTOCOL = socket.htons(3)


@dataclasses.dataclass
class Quality:
    """How good the wire is."""

    loss: float = 0.0
    twice: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0

    def delays(self) -> list[float]:
        """Return after how many seconds a frame arrives, once or twice; nothing if it is lost."""
        if random.random() < self.loss:
            return []
        copies = 2 if random.random() < self.twice else 1
        return [max(0.0, self.delay + random.uniform(-1, 1) * self.jitter) for _ in range(copies)]


class Wire:
    """Two ends, and the frames that are on their way."""

    def __init__(self, *devices: str) -> None:
        self._quality = Quality()
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, socket.socket, bytes]] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        ends = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, _EVERY_PROTOCOL) for _ in devices]
        for end, other, device in zip(ends, reversed(ends), devices, strict=True):
            end.bind((device, 0))
            self._selector.register(end, selectors.EVENT_READ, other)

    def turn(self) -> bool:
        """Carry what there is; return whether standard input is still open."""
        waiting = self._waiting
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for key, _ in self._selector.select(pause):
            if isinstance(key.fileobj, socket.socket):
                self._receive(key.fileobj, key.data)
            elif line := sys.stdin.readline():
                self._quality = Quality(**json.loads(line))
            else:
                return False
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, other, frame = heapq.heappop(waiting)
            other.send(frame)
        return True

    def _receive(self, end: socket.socket, other: socket.socket) -> None:
        frame, (_, _, kind, *_) = end.recvfrom(_FRAME)
        if kind != socket.PACKET_OUTGOING:
            now = time.monotonic()
            for delay in self._quality.delays():
                heapq.heappush(self._waiting, (now + delay, next(self._numbers), other, frame))


def main(*devices: str) -> None:
    """Carry frames until standard input ends."""
    wire = Wire(*devices)
    while wire.turn():
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
