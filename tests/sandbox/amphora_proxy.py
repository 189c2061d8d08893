# SPDX-License-Identifier: Apache-2.0
"""What an amphora does with connections: ``amphora_proxy.py ADDRESS PORT MEMBER...``.

Runs alone, in a guest that has the VIP. Each connection to the VIP becomes one to a member, in
turn.
"""

from __future__ import annotations

import itertools
import socket
import socketserver
import sys
import threading


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other direction ends, too


class _Handler(socketserver.BaseRequestHandler):
    members = itertools.cycle(sys.argv[3:])

    def handle(self) -> None:
        address = next(self.members), int(sys.argv[2])
        with socket.create_connection(address, timeout=10) as member:
            back = threading.Thread(target=_pump, args=(member, self.request))
            back.start()
            _pump(self.request, member)
            back.join()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


if __name__ == "__main__":
    with _Server((sys.argv[1], int(sys.argv[2])), _Handler) as server:
        server.serve_forever()
