"""A small blocking OVSDB session for the API's workers: no replica, no main loop.

An API request needs a select, a decision and one guarded transaction, bounded in time; memory and
start-up must not depend on the size of the cloud. One session serves all threads of a process over
one connection, made at first use and again after a fork or when the server dropped it.

What a caller has to know about a failure is whether the transaction may have been committed:
`NotSent` means no, `Unanswered` means maybe, `Changed` means no, because somebody was faster.
"""

from __future__ import annotations

import logging
import os
import random
import select
import socket
import ssl
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from octavia_ovn.adapters import ovsdb_wire
from octavia_ovn.adapters.ovsdb_wire import Schema
from octavia_ovn.errors import OctaviaOvnError, Refused, Unanswered, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from octavia_ovn.adapters.ovsdb_endpoint import Endpoint

LOG = logging.getLogger(__name__)

_CHUNK = 1 << 16
_CONNECT_TIMEOUT = 3.0  # seconds for one remote; the others get their turn then
_MIN_CONNECT_TIMEOUT = 0.2
_FIRST_PAUSE = 0.05  # seconds between rounds through all remotes, doubled up to the maximum
_MAX_PAUSE = 1.0
_ECHO_DELAY = 0.2  # seconds; a server waits at least 1 s for the answer to a probe
_KEEPER_ROUND = 60.0  # seconds after which the keeper looks whether it is still needed

_GOOD, _USABLE, _USELESS = 2, 1, 0
# Answers by which a server says that it has not executed the request and another one might.
_ELSEWHERE = frozenset({"unknown database", "not leader", "database not available"})
# The details of a "cluster error" after which the log surely does not hold the transaction.
_NOT_IN_LOG = frozenset({"not leader", "prerequisite check failed"})


class NotSent(Unavailable):
    """No server could be asked in time, so nothing was changed."""


class Changed(OctaviaOvnError):
    """A `wait` operation found other contents than it was given: read again and decide anew."""


class OvsdbSession:
    """Executes OVSDB operations for all threads of a process, one request at a time.

    Args:
        endpoint: the servers; in a cluster the leader is preferred.
        database: such as `OVN_Northbound`.
        timeout: seconds that a request may take when it brings no deadline of its own.
        probe_interval: milliseconds of silence after which we ask the server whether it is there;
            0 for never. It finds half-open connections before a request would.

    Deadlines are values of `time.monotonic()`.

    """

    def __init__(
        self, endpoint: Endpoint, database: str, timeout: float, probe_interval: int = 0
    ) -> None:
        self.endpoint = endpoint
        self.database = database
        self._timeout = timeout
        self._probe_interval = probe_interval / 1000
        # Keyed by process ID: a forked child finds nothing of its own here, and begins anew.
        self._states: dict[int, _State] = {}

    def transact(
        self, operations: Sequence[Mapping[str, object]], deadline: float | None = None
    ) -> list[dict[str, Any]]:
        """Execute the operations as one transaction; return one result for each.

        Raises:
            Changed: the contents that a `wait` operation expects are not there.
            Refused: the server will not execute them, for instance for a constraint.
            NotSent: no server could be asked in time.
            Unanswered: the request was sent, and no answer came in time.
            BadConfiguration: the TLS files cannot be used.

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

        Args:
            table: its name.
            where: conditions `(column, function, wire value)`; none selects all rows.
            columns: names, all columns if None; `_uuid` and `_version` may be among them.
            deadline: see the class.

        Raises:
            Refused, NotSent, Unanswered, BadConfiguration: see `transact`.

        """
        schema = self.schema(deadline)
        operation: dict[str, object] = {"op": "select", "table": table, "where": list(where)}
        if columns is not None:
            operation["columns"] = list(columns)
        (result,) = self.transact([operation], deadline)
        return [schema.decode_row(table, row) for row in result["rows"]]

    def schema(self, deadline: float | None = None) -> Schema:
        """Return the database's schema as the connected server has it.

        Raises:
            Refused, NotSent, Unanswered, BadConfiguration: see `transact`.

        """
        connection = self._state().connection
        if connection is None or connection.schema is None:
            reply = self._call("get_schema", [self.database], deadline, harmless=True)
            schema = Schema(reply["result"])
            connection = self._state().connection
            if connection is not None:
                connection.schema = schema
            return schema
        return connection.schema

    def close(self) -> None:
        """Close the connection of this process; the next request opens one again."""
        state = self._state()
        with state.lock:
            state.drop()

    def _call(
        self, method: str, params: list[object], deadline: float | None, *, harmless: bool
    ) -> dict[str, Any]:
        """Send one request until a server has answered it; return a reply without error.

        Args:
            method: of OVSDB's JSON-RPC.
            params: of the method.
            deadline: see the class.
            harmless: whether executing it twice does no harm.

        """
        if deadline is None:
            deadline = time.monotonic() + self._timeout
        state = self._state()
        if not state.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise self._not_sent("another request is still waiting for its answer")
        try:
            while time.monotonic() < deadline:
                reply = self._exchange(state, method, params, deadline, harmless=harmless)
                failure = _failure(reply) if reply is not None else None
                if reply is not None and failure is None:
                    return reply
                if failure is not None:
                    self._judge(failure, params)
                state.drop()
                time.sleep(_FIRST_PAUSE)
            raise self._not_sent(state.last_error)
        finally:
            state.lock.release()

    def _exchange(
        self, state: _State, method: str, params: list[object], deadline: float, *, harmless: bool
    ) -> dict[str, Any] | None:
        """Send the request and wait for the reply; None if it is safe to do so once more."""
        connection = state.connection or self._connect(state, deadline)
        try:
            connection.drain()
            request_id = connection.send(method, params, deadline)
        except OSError as error:
            # A server does not execute half a request.
            state.failed(error)
            return None
        try:
            return connection.receive(request_id, deadline)
        except OSError as error:
            state.failed(error)
            if harmless and time.monotonic() < deadline:
                return None
            raise Unanswered(
                f"{self.database} at {connection.remote} did not answer: {error}"
            ) from error

    def _judge(self, failure: _Failure, params: list[object]) -> None:
        """Raise what a failure means to the caller; return if another try is safe."""
        error, details, operation = failure
        if error in _ELSEWHERE or (error == "cluster error" and details in _NOT_IN_LOG):
            return
        if error == "timed out":
            raise Changed(f"{self.database}: {details or 'the row was changed by somebody else'}")
        message = f"{self.database}: {error}: {details}"
        if error == "cluster error":
            raise Unanswered(message)
        culprit = params[operation + 1] if operation + 1 < len(params) else None
        if isinstance(culprit, dict):
            message += f" ({culprit.get('op')} in {culprit.get('table')})"
        raise Refused(message)

    def _connect(self, state: _State, deadline: float) -> _Connection:
        """Return a new connection to the best server there is.

        Raises:
            NotSent: none was found in time.

        """
        pause = _FIRST_PAUSE
        while True:
            connection, cause = self._try_remotes(deadline)
            if connection is not None:
                state.connection = connection
                self._start_keeper(state, connection)
                return connection
            if time.monotonic() + pause >= deadline:
                raise self._not_sent(cause)
            time.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE)

    def _try_remotes(self, deadline: float) -> tuple[_Connection | None, object]:
        """Try every remote once; return a connection or the last reason for having none."""
        remotes = random.sample(self.endpoint.remotes, len(self.endpoint.remotes))
        fallback: _Connection | None = None
        cause: object = None
        for position, remote in enumerate(remotes):
            share = (deadline - time.monotonic()) / (len(remotes) - position)
            timeout = max(_MIN_CONNECT_TIMEOUT, min(share, _CONNECT_TIMEOUT))
            try:
                connection = _Connection(self.endpoint.connect(remote, timeout), remote)
            except OSError as error:
                cause = f"{remote}: {error}"
                continue
            standing = _standing(connection, self.database, time.monotonic() + timeout)
            if standing == _GOOD:
                _close(fallback)
                return connection, cause
            if standing == _USABLE and fallback is None:
                fallback = connection
            else:
                cause = f"{remote}: {connection.last_error}"
                connection.close()
        return fallback, cause

    def _start_keeper(self, state: _State, connection: _Connection) -> None:
        LOG.debug("Connected to %s at %s", self.database, connection.remote)
        threading.Thread(
            target=_keep,
            args=(
                weakref.ref(self),
                state,
                connection,
                connection.fileno(),
                self._probe_interval,
            ),
            name=f"{self.database}-keeper",
            daemon=True,
        ).start()

    def _state(self) -> _State:
        """Return this process's part of the session; let go of an inherited one."""
        pid = os.getpid()
        state = self._states.get(pid)
        if state is None:
            state = self._states.setdefault(pid, _State())
            for other in [other for other in self._states if other != pid]:
                inherited = self._states.pop(other, None)
                if inherited is not None and inherited.connection is not None:
                    inherited.connection.abandon()
        return state

    def _not_sent(self, cause: object) -> NotSent:
        return NotSent(f"{self.database} at {self.endpoint} cannot be reached in time: {cause}")


class _State:
    """What one process has of a session. The lock is held during a request."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: _Connection | None = None
        self.last_error: object = "no time was left"

    def failed(self, error: OSError) -> None:
        """Remember why the connection is of no use any more, and close it."""
        self.last_error = error
        self.drop()

    def drop(self) -> None:
        """Close the connection, if there is one."""
        _close(self.connection)
        self.connection = None


class _Connection:
    """A connected socket that speaks JSON-RPC; used by the holder of the session's lock.

    Whatever is wrong with it is an OSError: the peer's silence, its absence, its nonsense.
    """

    def __init__(self, connected: socket.socket, remote: str) -> None:
        self.remote = remote
        self.schema: Schema | None = None
        self.last_error: object = None
        self.last_activity = time.monotonic()
        self.closed = False
        self._socket = connected
        self._framer = ovsdb_wire.Framer()
        self._next_id = 0

    def fileno(self) -> int:
        """Return the descriptor, -1 when closed."""
        return self._socket.fileno()

    def send(self, method: str, params: Sequence[object], deadline: float) -> int:
        """Send a request and return its ID."""
        self._next_id += 1
        message = {"method": method, "params": params, "id": self._next_id}
        self._send(message, deadline)
        return self._next_id

    def receive(self, request_id: int, deadline: float) -> dict[str, Any]:
        """Return the reply to this request, answering the server's probes meanwhile."""
        while True:
            for message in self._read(deadline):
                if message.get("id") == request_id and "method" not in message:
                    return message

    def drain(self) -> None:
        """Take what has arrived, without waiting: probes, and the news that the peer has gone."""
        try:
            while True:
                self._read(None)
        except (BlockingIOError, ssl.SSLWantReadError):
            return

    def probe(self) -> None:
        """Ask the peer for a sign of life."""
        self._send({"method": "echo", "params": [], "id": "echo"}, time.monotonic() + 1)

    def close(self) -> None:
        """Close it, and wake up whoever waits for it."""
        self.closed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            LOG.debug("%s had gone already", self.remote)
        self._socket.close()

    def abandon(self) -> None:
        """Close our copy of a socket that belongs to the parent process."""
        self.closed = True
        self._socket.close()

    def _send(self, message: Mapping[str, object], deadline: float) -> None:
        self._socket.settimeout(_remaining(deadline))
        self._socket.sendall(ovsdb_wire.encode_message(message))

    def _read(self, deadline: float | None) -> list[dict[str, Any]]:
        """Return the messages that the next bytes complete; None is a deadline in the past."""
        self._socket.settimeout(0.0 if deadline is None else _remaining(deadline))
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self.last_activity = time.monotonic()
        try:
            messages = self._framer.feed(data)
        except ValueError as error:
            raise ConnectionAbortedError(str(error)) from error
        for message in messages:
            if message.get("method") == "echo":
                reply = {"result": message.get("params"), "error": None, "id": message.get("id")}
                self._send(reply, time.monotonic() + 1)
        return messages


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("no answer in time")
    return remaining


def _close(connection: _Connection | None) -> None:
    if connection is not None:
        connection.close()


def _standing(connection: _Connection, database: str, deadline: float) -> int:
    """Ask a server what it is to the cluster of the database; keep the reason for a low mark."""
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
    if _failure(reply) is not None:
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


_Failure = tuple[str, str, int]


def _failure(reply: Mapping[str, Any]) -> _Failure | None:
    """Return error, details and index of the operation at fault (-1: none) of a reply."""
    results = [reply["error"]] if reply.get("error") else reply["result"]
    first = -1 if reply.get("error") else 0
    if not isinstance(results, list):
        return None  # the answer to a method other than "transact"
    for index, result in enumerate(results, first):
        if isinstance(result, str):
            return result, "", index
        if result and result.get("error"):
            return result["error"], result.get("details", ""), index
    return None


def _keep(
    owner: weakref.ref[OvsdbSession],
    state: _State,
    connection: _Connection,
    descriptor: int,
    interval: float,
) -> None:
    """Answer the server's probes while nobody uses the connection, until it is closed.

    Runs in a daemon thread. It sleeps a moment before it looks: an answer to a request wakes it
    up too, and is not its business.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    probed_at: float | None = None
    while not connection.closed:
        if poll.poll(1000 * (interval or _KEEPER_ROUND)):
            time.sleep(_ECHO_DELAY)
        with state.lock:
            if state.connection is not connection:
                break
            if owner() is None:
                state.drop()
                break
            probed_at = _tend(state, connection, interval, probed_at)


def _tend(
    state: _State, connection: _Connection, interval: float, probed_at: float | None
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
        state.failed(error)
    return time.monotonic()
