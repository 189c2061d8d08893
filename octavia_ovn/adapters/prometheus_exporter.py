"""Serves metrics to Prometheus, by the HTTP server of Prometheus' own library."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server

from octavia_ovn.observer import NOBODY, Observer
from octavia_ovn.supervised import SupervisedThread

LOG = logging.getLogger(__name__)

RETRY = 5.0
"""Seconds between two attempts to serve on an address that is taken: an agent that takes the place
of another on its host may come before that one has gone."""
_PATIENCE = 2.0


@contextlib.contextmanager
def served(
    registry: CollectorRegistry,
    address: str,
    port: int,
    section: str = "ovn",
    observer: Observer = NOBODY,
) -> Iterator[None]:
    """Serve metrics for the time of a `with` block.

    An address that cannot be used is logged and tried again: load balancers do not depend on it.

    :param address: an address or name of this host
    :param section: the section of the options, for messages
    :param observer: is told when serving crashes
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
    complain = LOG.error
    while not closed.is_set():
        try:
            server, thread = start_http_server(port, addr=address, registry=registry)
        except OSError as error:
            complain(
                "Metrics cannot be served at [%s] metrics_address %s, metrics_port %d: %s. Another"
                " agent of this host may have them; each needs its own. Trying again every %d s",
                section,
                address,
                port,
                error,
                RETRY,
            )
            complain = LOG.debug
            closed.wait(RETRY)
            continue
        LOG.info("Metrics are served at %s, port %d", address, port)
        try:
            closed.wait()
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
