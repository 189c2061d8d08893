# SPDX-License-Identifier: Apache-2.0
"""The thread beside an idle connection: it answers the server's probes and probes the server.

A server closes a connection that does not answer, and no request is there to do it. The thread
has only a weak reference to the session: one that is garbage-collected is closed.
"""

from __future__ import annotations

import functools
import logging
import select
import time
import weakref
from typing import TYPE_CHECKING

from octavia_ovn.supervised import SupervisedThread

if TYPE_CHECKING:
    from octavia_ovn.adapters.ovsdb.connection import Connection, SharedConnection

LOG = logging.getLogger(__name__)

_ECHO_DELAY = 0.2  # seconds; a server waits at least 1 s for the answer to a probe
_ROUND = 5.0  # seconds after which the keeper checks whether it is still needed


def start(
    owner: object, shared: SharedConnection, connection: Connection, *, interval: float, name: str
) -> None:
    """Start the thread; it ends when the connection is closed or replaced, or the owner is gone.

    :param owner: the session
    :param shared: where the connection is
    :param connection: the connection that it maintains
    :param interval: seconds of silence after which the server is probed; 0 for never
    :param name: of the thread
    """
    keep = functools.partial(
        _keep, weakref.ref(owner), shared, connection, connection.fileno(), interval
    )
    SupervisedThread(keep, name).start()


def _keep(
    owner: weakref.ref[object],
    shared: SharedConnection,
    connection: Connection,
    descriptor: int,
    interval: float,
) -> None:
    """Answer the server's probes while no request uses the connection, until it is closed.

    Runs in a daemon thread. It waits a moment before it reads: an answer to a request wakes it up,
    too, and belongs to the thread of the request.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    probed_at: float | None = None
    while not connection.closed:
        # The descriptor may be another connection's by now, which would not wake it.
        if poll.poll(1000 * min(interval or _ROUND, _ROUND)):
            time.sleep(_ECHO_DELAY)
        with shared.lock:
            if shared.connection is not connection:
                break
            if owner() is None:
                shared.drop()
                break
            probed_at = _tend(shared, connection, interval, probed_at)


def _tend(
    shared: SharedConnection, connection: Connection, interval: float, probed_at: float | None
) -> float | None:
    """Read what has arrived, probe a silent peer, give up on one that ignored the last probe."""
    try:
        connection.drain()
        if not interval or time.monotonic() - connection.last_activity < interval:
            return None
        if probed_at is not None and connection.last_activity < probed_at:
            raise TimeoutError("the server does not answer probes")
        connection.probe()
    except OSError as error:
        LOG.debug("Lost the connection to %s: %s", connection.remote, error)
        shared.failed(error)
    return time.monotonic()
