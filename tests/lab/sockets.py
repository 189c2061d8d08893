# SPDX-License-Identifier: Apache-2.0
"""The unix sockets of octavia-driver-agent, with its wire protocol.

A request is '<length>\\n' and that many bytes of JSON; so is the answer.
"""

import contextlib
import json
import socketserver
import threading


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        size = self.rfile.readline()
        if not size:
            return
        request = json.loads(self.rfile.read(int(size)))
        try:
            answer = json.dumps(self.server.answer(request)).encode()
        except ConnectionError:
            return
        # Two writes, as the real listener makes.
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(f"{len(answer)}\n".encode())
            self.wfile.write(answer)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    # The real listener has the default backlog of 5 as well.

    def __init__(self, path, answer):
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Handler)
        self.answer = answer


class DriverSockets:
    """status.sock, stats.sock and get.sock, each with a function behind it."""

    def __init__(self, directory, status, stats, get):
        self._paths = {
            directory / "status.sock": status,
            directory / "stats.sock": stats,
            directory / "get.sock": get,
        }
        self._servers = []

    def start(self):
        for path, answer in self._paths.items():
            server = _Server(path, answer)
            self._servers.append(server)
            threading.Thread(
                target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}
            ).start()

    def stop(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers.clear()
        for path in self._paths:
            path.unlink(missing_ok=True)
