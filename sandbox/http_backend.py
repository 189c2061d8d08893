# SPDX-License-Identifier: Apache-2.0
"""A server that says who it is: ``http_backend.py NAME PORT...``, over HTTP and over UDP.

Runs alone, in a guest. HTTP: any GET is answered with "NAME CLIENT PORT". UDP: any datagram is
answered with the same line. Both on IPv4 and IPv6.
"""

from __future__ import annotations

import http.server
import socket
import socketserver
import sys
import threading


def _line(name: str, peer: tuple[str, int]) -> bytes:
    return f"{name} {peer[0].removeprefix('::ffff:')} {peer[1]}\n".encode()


class _HttpServer(http.server.ThreadingHTTPServer):
    """Listens on both IP versions."""

    address_family = socket.AF_INET6
    request_queue_size = 512
    name = ""

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _HttpHandler(http.server.BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"  # a client may keep its connection

    def do_GET(self) -> None:
        body = _line(self.server.name, self.client_address)
        self.send_response(http.HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _UdpServer(socketserver.UDPServer):
    """Listens on both IP versions."""

    address_family = socket.AF_INET6
    name = ""

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _UdpHandler(socketserver.BaseRequestHandler):
    server: _UdpServer

    def handle(self) -> None:
        self.request[1].sendto(_line(self.server.name, self.client_address), self.client_address)


def main(name: str, ports: list[int]) -> None:
    """Serve for ever."""
    _HttpServer.name = _UdpServer.name = name
    servers: list[socketserver.BaseServer] = []
    for port in ports:
        servers += [_HttpServer(("::", port), _HttpHandler), _UdpServer(("::", port), _UdpHandler)]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1], [int(port) for port in sys.argv[2:]])
