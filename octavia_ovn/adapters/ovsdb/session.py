# SPDX-License-Identifier: Apache-2.0
"""A small blocking OVSDB session for the API's workers: no replica, no main loop.

An API request needs a select, a decision and one guarded transaction, bounded in time; memory and
start-up must not depend on the size of the cloud. One session serves all threads of a process over
one connection, made at first use and again after a fork or when the server dropped it.

The errors say whether the transaction may have been committed: `NotSent` means no, `Unanswered`
means maybe, `Changed` means no, because another client was faster.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

from octavia_ovn.adapters.ovsdb import cluster, keeper
from octavia_ovn.adapters.ovsdb.connection import SharedConnection
from octavia_ovn.adapters.ovsdb.wire import Schema, failure
from octavia_ovn.core.backoff import backoff
from octavia_ovn.errors import Changed, Refused, Unanswered, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from octavia_ovn.adapters.ovsdb.connection import Connection
    from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
    from octavia_ovn.adapters.ovsdb.wire import Failure

LOG = logging.getLogger(__name__)

_FIRST_PAUSE = 0.05  # seconds between rounds through all remotes, doubled up to the maximum
_MAX_PAUSE = 1.0

# Answers by which a server says that it has not executed the request and another one might.
_ELSEWHERE = frozenset({"unknown database", "not leader", "database not available"})
# The details of a "cluster error" after which the log surely does not hold the transaction.
_NOT_IN_LOG = frozenset({"not leader", "prerequisite check failed"})


class NotSent(Unavailable):
    """No server could be asked in time, so nothing was changed."""


class OvsdbSession:
    """Executes OVSDB operations for all threads of a process, one request at a time.

    :param endpoint: the servers; in a cluster the leader is preferred
    :param database: such as `OVN_Northbound`
    :param timeout: seconds that a request may take without a deadline of its own
    :param probe_interval: milliseconds of silence after which the server is probed; 0 for
        never. It finds half-open connections before a request would

    Deadlines are values of `time.monotonic()`.

    """

    def __init__(
        self, endpoint: Endpoint, database: str, timeout: float, probe_interval: int = 0
    ) -> None:
        self.endpoint = endpoint
        self.database = database
        self._timeout = timeout
        self._probe_interval = probe_interval / 1000
        # Keyed by process ID: a forked child finds no connection of its own, and makes one.
        self._processes: dict[int, SharedConnection] = {}

    def transact(
        self, operations: Sequence[Mapping[str, object]], deadline: float | None = None
    ) -> list[dict[str, Any]]:
        """Execute the operations as one transaction; return one result for each.

        :raises Changed: the contents that a `wait` operation expects are not there
        :raises Refused: the server will not execute them, for instance for a constraint
        :raises NotSent: no server could be asked in time
        :raises Unanswered: the request was sent, and no answer came in time
        :raises BadConfiguration: the TLS files cannot be used
        """
        harmless = all(operation["op"] == "select" for operation in operations)
        reply = self._call("transact", [self.database, *operations], deadline, harmless=harmless)
        results: list[dict[str, Any]] = reply["result"]
        return results

    def select(
        self,
        table: str,
        where: Sequence[Sequence[object]] = (),
        columns: Sequence[str] | None = None,
        deadline: float | None = None,
    ) -> list[dict[str, Any]]:
        """Return the rows of a table that fulfil all conditions, with Python values.

        :param table: its name
        :param where: conditions `(column, function, wire value)`; none selects all rows
        :param columns: names, all columns if None; `_uuid` and `_version` may be among them
        :param deadline: see the class
        :raises Refused, NotSent, Unanswered, BadConfiguration: see `transact`
        """
        schema = self.schema(deadline)
        operation: dict[str, object] = {"op": "select", "table": table, "where": list(where)}
        if columns is not None:
            operation["columns"] = list(columns)
        (result,) = self.transact([operation], deadline)
        return [schema.decode_row(table, row) for row in result["rows"]]

    def schema(self, deadline: float | None = None) -> Schema:
        """Return the database's schema as the connected server has it.

        :raises Refused, NotSent, Unanswered, BadConfiguration: see `transact`
        """
        connection = self._shared().connection
        if connection is None or connection.schema is None:
            reply = self._call("get_schema", [self.database], deadline, harmless=True)
            schema = Schema(reply["result"])
            connection = self._shared().connection
            if connection is not None:
                connection.schema = schema
            return schema
        return connection.schema

    def close(self) -> None:
        """Close the connection of this process; the next request opens one again."""
        shared = self._shared()
        with shared.lock:
            shared.drop()

    def _call(
        self, method: str, params: list[object], deadline: float | None, *, harmless: bool
    ) -> dict[str, Any]:
        """Send one request until a server has answered it; return a reply without error.

        :param method: of OVSDB's JSON-RPC
        :param params: of the method
        :param deadline: see the class
        :param harmless: whether executing it twice does no harm
        """
        if deadline is None:
            deadline = time.monotonic() + self._timeout
        shared = self._shared()
        if not shared.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise self._not_sent("another request is still waiting for its answer")
        try:
            while time.monotonic() < deadline:
                reply = self._exchange(shared, method, params, deadline, harmless=harmless)
                failed = failure(reply) if reply is not None else None
                if reply is not None and failed is None:
                    return reply
                if failed is not None:
                    self._judge(failed, params)
                shared.drop()
                time.sleep(_FIRST_PAUSE)
            raise self._not_sent(shared.last_error)
        finally:
            shared.lock.release()

    def _exchange(
        self,
        shared: SharedConnection,
        method: str,
        params: list[object],
        deadline: float,
        *,
        harmless: bool,
    ) -> dict[str, Any] | None:
        """Send the request and wait for the reply; None if it is safe to do so once more."""
        connection = shared.connection or self._connect(shared, deadline)
        try:
            connection.drain()
            request_id = connection.send(method, params, deadline)
        except OSError as error:
            # A server does not execute half a request.
            shared.failed(error)
            return None
        try:
            return connection.receive(request_id, deadline)
        except OSError as error:
            shared.failed(error)
            if harmless and time.monotonic() < deadline:
                return None
            raise Unanswered(
                f"{self.database} at {connection.remote} did not answer: {error}"
            ) from error

    def _judge(self, failed: Failure, params: list[object]) -> None:
        """Raise the error of a failure; return if another attempt is safe."""
        error, details, operation = failed
        if error in _ELSEWHERE or (error == "cluster error" and details in _NOT_IN_LOG):
            return
        if error == "timed out":
            raise Changed(f"{self.database}: {details or 'the row was changed by another client'}")
        message = f"{self.database}: {error}: {details}"
        if error == "cluster error":
            raise Unanswered(message)
        failed_operation = params[operation + 1] if operation + 1 < len(params) else None
        if isinstance(failed_operation, dict):
            message += f" ({failed_operation.get('op')} in {failed_operation.get('table')})"
        raise Refused(message)

    def _connect(self, shared: SharedConnection, deadline: float) -> Connection:
        """Return a new connection to the most suitable server.

        :raises NotSent: none was found in time
        """
        failures = 0
        while True:
            connection, cause = cluster.connect_once(self.endpoint, self.database, deadline)
            if connection is not None:
                LOG.debug("Connected to %s at %s", self.database, connection.remote)
                shared.connection = connection
                name = f"{self.database}-keeper"
                keeper.start(self, shared, connection, interval=self._probe_interval, name=name)
                return connection
            pause = backoff(failures, _FIRST_PAUSE, _MAX_PAUSE)
            if time.monotonic() + pause >= deadline:
                raise self._not_sent(cause)
            time.sleep(pause)
            failures += 1

    def _shared(self) -> SharedConnection:
        """Return the connection of this process; abandon an inherited one."""
        pid = os.getpid()
        shared = self._processes.get(pid)
        if shared is None:
            shared = self._processes.setdefault(pid, SharedConnection())
            for other in [other for other in self._processes if other != pid]:
                inherited = self._processes.pop(other, None)
                if inherited is not None and inherited.connection is not None:
                    inherited.connection.abandon()
        return shared

    def _not_sent(self, cause: object) -> NotSent:
        option = f" ({self.endpoint.option})" if self.endpoint.option else ""
        where = f"{self.database} at {self.endpoint}{option}"
        return NotSent(f"{where} cannot be reached in time: {cause}")
