# SPDX-License-Identifier: Apache-2.0
"""Serves metrics to Prometheus: its own library's application, in a server with limits.

The library's server starts a thread for every connection and waits without limit for its
request. Here few connections are served at a time, each for some seconds at most.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any
from wsgiref import simple_server

import prometheus_client
from prometheus_client import CollectorRegistry

from octavia_ovn.observer import SILENT, Observer
from octavia_ovn.supervised import SupervisedThread

LOG = logging.getLogger(__name__)

RETRY = 5.0
"""Seconds between two attempts to serve on an address in use: an agent that replaces another on the
same host may start before the other has exited."""
CONNECTIONS = 8
"""Connections that are served at a time; more are closed at once."""
DEADLINE = 10.0
"""Seconds that a connection may last; Prometheus gives up after ten by default, too."""
_PATIENCE = 2.0
_POLL = 0.5


class _Handler(simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Do not log each request."""


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True
    timeout = _POLL
    request_queue_size = 4 * CONNECTIONS

    def __init__(self, family: int, address: Any, registry: CollectorRegistry) -> None:
        self.address_family = family
        self._lock = threading.Lock()
        self._served: dict[socket.socket, float] = {}
        """Connection → its deadline, in seconds of the monotonic clock."""
        super().__init__(address, _Handler)
        self.set_app(prometheus_client.make_wsgi_app(registry))

    def run_once(self) -> None:
        """Wait for a connection for a moment; close those that have reached their deadline."""
        self.handle_request()
        now = time.monotonic()
        with self._lock:
            for request in [each for each, until in self._served.items() if now >= until]:
                # It may end just now by itself.
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Whether another connection may be served."""
        with self._lock:
            fits = len(self._served) < CONNECTIONS
            if fits:
                self._served[request] = time.monotonic() + DEADLINE
        return fits

    def shutdown_request(self, request: Any) -> None:
        """Free its place."""
        with self._lock:
            self._served.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        LOG.debug("Metrics were not given to %s: %r", client_address, sys.exc_info()[1])


@contextlib.contextmanager
def served(
    registry: CollectorRegistry,
    address: str,
    port: int,
    section: str = "ovn",
    observer: Observer = SILENT,
) -> Iterator[None]:
    """Serve metrics for the time of a `with` block.

    An address that cannot be used is logged and tried again: load balancers do not depend on it.

    :param address: an address or name of this host
    :param section: the section of the options, for messages
    :param observer: counts crashes of the thread
    """
    closed = threading.Event()
    serve = functools.partial(_serve, registry, address, port, section, closed)
    thread = SupervisedThread(serve, "metrics", observer)
    thread.start()
    try:
        yield
    finally:
        closed.set()
        thread.stop()
        thread.join(_PATIENCE)


def _serve(
    registry: CollectorRegistry, address: str, port: int, section: str, closed: threading.Event
) -> None:
    log = LOG.error
    while not closed.is_set():
        try:
            ((family, *_, place), *_) = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
            server = _Server(family, place[:2], registry)
        except OSError as error:
            log(
                "Metrics cannot be served at [%s] metrics_address %s, metrics_port %d: %s. Another"
                " agent of this host may have them; each needs its own. Trying again every %d s",
                section,
                address,
                port,
                error,
                RETRY,
            )
            log = LOG.debug
            closed.wait(RETRY)
            continue
        LOG.info("Metrics are served at %s, port %d", address, port)
        with server:
            while not closed.is_set():
                server.run_once()
