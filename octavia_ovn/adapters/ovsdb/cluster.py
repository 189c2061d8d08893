# SPDX-License-Identifier: Apache-2.0
"""Which server of a cluster the API's OVSDB client is connected to."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from octavia_ovn.adapters.ovsdb.connection import Connection
from octavia_ovn.adapters.ovsdb.wire import failure

if TYPE_CHECKING:
    from octavia_ovn.adapters.ovsdb.endpoint import Endpoint

_CONNECT_TIMEOUT = 3.0  # seconds for one remote; then the others are tried
_MIN_CONNECT_TIMEOUT = 0.2

_GOOD, _USABLE, _USELESS = 2, 1, 0


def connect_once(
    endpoint: Endpoint, database: str, deadline: float
) -> tuple[Connection | None, object]:
    """Try every remote once; return a connection or the last reason for having none.

    A server without a cluster and the leader of one are preferred, another member will do.

    :param endpoint: the servers, tried in random order
    :param database: name of the database
    :param deadline: value of `time.monotonic()`, divided among the servers
    :raises BadConfiguration: the TLS files cannot be used
    """
    remotes = random.sample(endpoint.remotes, len(endpoint.remotes))
    fallback: Connection | None = None
    cause: object = None
    for position, remote in enumerate(remotes):
        share = (deadline - time.monotonic()) / (len(remotes) - position)
        timeout = max(_MIN_CONNECT_TIMEOUT, min(share, _CONNECT_TIMEOUT))
        try:
            connection = Connection(endpoint.connect(remote, timeout), remote)
        except OSError as error:
            cause = f"{remote}: {error}"
            continue
        standing = _standing(connection, database, time.monotonic() + timeout)
        if standing == _GOOD:
            if fallback is not None:
                fallback.close()
            return connection, cause
        if standing == _USABLE and fallback is None:
            fallback = connection
        else:
            cause = f"{remote}: {connection.last_error}"
            connection.close()
    return fallback, cause


def _standing(connection: Connection, database: str, deadline: float) -> int:
    """Return how suitable a server is for the database; keep the reason when it is not."""
    query = {
        "op": "select",
        "table": "Database",
        "where": [["name", "==", database]],
        "columns": ["model", "connected", "leader"],
    }
    try:
        request_id = connection.send("transact", ["_Server", query], deadline)
        reply = connection.receive(request_id, deadline)
    except OSError as error:
        connection.last_error = error
        return _USELESS
    if failure(reply) is not None:
        return _GOOD  # a server from before clusters
    rows = reply["result"][0]["rows"]
    if not rows:
        connection.last_error = f"the server has no database {database}"
        return _USELESS
    if rows[0]["model"] == "standalone" or (rows[0]["connected"] and rows[0]["leader"]):
        return _GOOD
    if rows[0]["connected"]:
        return _USABLE
    connection.last_error = "the server is not connected to its cluster"
    return _USELESS
