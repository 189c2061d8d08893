# SPDX-License-Identifier: Apache-2.0
"""An application that can be well or ill: ``application.py KIND PORT [CERTIFICATE]``, in a guest.

KIND is `http`, `https`, `silent` (accepts and says nothing), `slow` (a byte a second without an
end) or `udp`. HTTP answers `/status/CODE` with that code, `/moved` with a redirect to a page that
would be well, and anything else with 200, or with CODE after a request of `/set/CODE`. After
`/weight/NUMBER` all answers say that weight. `/requests` shows the lines of the last request.
"""

from __future__ import annotations

import http.server
import socket
import socketserver
import ssl
import sys
import time


class _Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 256
    daemon_threads = True
    last = ""
    weight = ""
    code = 200

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Http(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _code(self) -> int:
        kind, _, value = self.path[1:].partition("/")
        if kind == "set":
            self.server.code = int(value)
        elif kind == "weight":
            self.server.weight = value
        return int({"status": value, "moved": "302"}.get(kind, self.server.code))

    def _answer(self) -> None:
        code, body = self._code(), b"well\n"
        if self.path == "/requests":
            body = self.server.last.encode()
        else:
            self.server.last = f"{self.requestline}\n{self.headers}"
        self.send_response(code)
        if self.path == "/moved":
            self.send_header("Location", "/status/200")
        if self.server.weight:
            self.send_header("X-Load-Balancing-Endpoint-Weight", self.server.weight)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_OPTIONS = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Silent(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        time.sleep(3600)


class _Slow(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            self.request.sendall(b"x")
            time.sleep(1)


class _Threads(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, peer = self.request
        peer.sendto(data, self.client_address)


class _UdpServer(socketserver.UDPServer):
    address_family = socket.AF_INET6


def main() -> None:
    """Serve until killed."""
    kind, port, *rest = sys.argv[1:]
    where = ("::", int(port))
    server: socketserver.BaseServer
    if kind in ("http", "https"):
        server = _Server(where, _Http)
        if kind == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(rest[0])
            server.socket = context.wrap_socket(server.socket, server_side=True)
    elif kind == "udp":
        server = _UdpServer(where, _Udp)
    else:
        server = _Threads(where, _Slow if kind == "slow" else _Silent)
    server.serve_forever()


if __name__ == "__main__":
    main()
