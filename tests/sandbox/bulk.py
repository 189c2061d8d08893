# SPDX-License-Identifier: Apache-2.0
"""How fast data goes: ``bulk.py serve PORT`` in a server, ``bulk.py up|down ADDRESS PORT SECONDS``.

The client prints kilobits per second that have arrived at the other end.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import time

_PIECE = bytes(16384)


class _Handler(socketserver.BaseRequestHandler):
    """`u`: take all and answer with its size; anything else: send until the client has enough."""

    def handle(self) -> None:
        if self.request.recv(1) == b"u":
            size = 0
            while data := self.request.recv(65536):
                size += len(data)
            self.request.sendall(f"{size}".encode())
            return
        try:
            while True:
                self.request.sendall(_PIECE)
        except OSError:
            return


class _Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True


def _up(peer: socket.socket, seconds: float) -> int:
    peer.sendall(b"u")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        peer.sendall(_PIECE)
    peer.shutdown(socket.SHUT_WR)
    return int(peer.recv(100))


def _down(peer: socket.socket, seconds: float) -> int:
    peer.sendall(b"d")
    end = time.monotonic() + seconds
    size = 0
    while time.monotonic() < end:
        size += len(peer.recv(65536))
    return size


def main() -> None:
    """Serve until killed, or measure once."""
    what, *rest = sys.argv[1:]
    if what == "serve":
        _Server(("::", int(rest[0])), _Handler).serve_forever()
    address, port, seconds = rest
    with socket.create_connection((address, int(port)), timeout=30) as peer:
        # What waits in buffers would count as sent: the shorter, the better.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        began = time.monotonic()
        size = (_up if what == "up" else _down)(peer, float(seconds))
        took = time.monotonic() - began
    sys.stdout.write(f"{size * 8 / 1000 / took:.0f}\n")


if __name__ == "__main__":
    main()
