# SPDX-License-Identifier: Apache-2.0
"""A client that holds many connections at a time, alone in a guest.

``holding.py ADDRESS PORT LOCAL``: for each line of standard input a number as a line of standard
output. ``open COUNT RATE``: begin that many connections, so many a second, without waiting for
answers. ``held``: how many are established. ``ask``: how many of these are answered. ``close
COUNT``: end so many, all that wait for an answer included. Local ports are counted up from LOCAL.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time

_TIMEOUT = 3.0
_REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Client:
    """The connections."""

    def __init__(self, address: str, port: int, local: int) -> None:
        """Hold none yet."""
        self._target = (address, port)
        self._local = local
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._sockets: list[socket.socket] = []

    def open(self, count: int, rate: float) -> int:
        """Begin connections; return how many have been begun."""
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            one = socket.socket(self._family, socket.SOCK_STREAM)
            one.setblocking(False)
            one.bind(("", self._local))
            self._local += 1
            one.connect_ex(self._target)
            self._sockets.append(one)
        return len(self._sockets)

    def held(self) -> int:
        """Count those that are established."""
        return len(self._established())

    def ask(self) -> int:
        """Send a request over each; count the answers."""
        asked = self._established()
        for each in asked:
            each.send(_REQUEST)
        return sum(_answers(each) for each in asked)

    def close(self, count: int) -> int:
        """End some of those that are established, and all that are not; return how many stay."""
        established = self._established()
        for each in [*established[:count], *(set(self._sockets) - set(established))]:
            each.close()
        self._sockets = established[count:]
        return len(self._sockets)

    def _established(self) -> list[socket.socket]:
        return [each for each in self._sockets if _is_connected(each)]


def _is_connected(one: socket.socket) -> bool:
    try:
        one.getpeername()
    except OSError:
        return False
    return True


def _answers(one: socket.socket) -> bool:
    readable, _, _ = select.select([one], [], [], _TIMEOUT)
    with contextlib.suppress(OSError):
        return bool(readable and one.recv(4096))
    return False


def main(address: str, port: str, local: str) -> None:
    """See above."""
    client = Client(address, int(port), int(local))
    for line in sys.stdin:
        command, *numbers = line.split()
        answer = {
            "open": client.open,
            "held": client.held,
            "ask": client.ask,
            "close": client.close,
        }[command](*map(int, numbers))
        print(answer, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
