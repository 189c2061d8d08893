"""The unix sockets of octavia-driver-agent: statuses and statistics to Octavia, objects from it.

The wire format is octavia-lib's: a request is its length in decimal, a newline and JSON; so is the
answer; then the connection ends. Its client reads byte by byte with a pause of 10 ms after each and
waits for up to two minutes in its constructor, so this one takes its place.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from octavia_lib.common import constants

from octavia_ovn.errors import Refused, Unanswered, Unavailable
from octavia_ovn.observer import NOBODY, Observer

_NAME = "octavia-driver-agent"
_CHUNK = 65536
_TIMEOUT = 60.0
"""More seconds than a database has a transaction wait for a lock (MySQL: 50): whoever sends a
status again before that may have both executed."""
# What the driver agent reports as a fault of the record although its own database is at fault.
_DATABASE_FAULT = re.compile(
    r"\([\w.]*(?:OperationalError|InternalError|InterfaceError)\)|QueuePool limit"
    # psycopg2 has a class for each of PostgreSQL's conditions: those of its connection, of a
    # transaction that lost against another, of resources, and of what an operator does.
    r"|\(psycopg2\.errors\.(?:\w*Connection\w*|CannotConnectNow|TransactionRollback|DeadlockDetected"
    r"|SerializationFailure|StatementCompletionUnknown|InFailedSqlTransaction|InsufficientResources"
    r"|DiskFull|OutOfMemory|ObjectInUse|LockNotAvailable|ObjectNotInPrerequisiteState"
    r"|OperatorIntervention|QueryCanceled|AdminShutdown|CrashShutdown|DatabaseDropped"
    r"|IdleSessionTimeout|IdleInTransactionSessionTimeout|ReadOnlySqlTransaction|SystemError"
    r"|IoError|FdwError)\)"
)


class StatusRefused(Refused):
    """Octavia cannot apply a record, for instance because it does not know the object.

    Records before it in Octavia's order of kinds have been applied, those after it have not.

    :param status_object: the kind, like `listeners`; None when Octavia does not say
    :param status_object_id: the id; None when Octavia does not say
    """

    def __init__(
        self, message: str, status_object: str | None = None, status_object_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.status_object = status_object
        self.status_object_id = status_object_id


class DriverAgent:
    """A client; safe to share between threads. Nothing is done before the first call.

    :param status_path: path of a socket; so are the next two
    :param timeout: seconds for one request and its answer
    """

    def __init__(
        self,
        status_path: str,
        stats_path: str,
        get_path: str,
        timeout: float = _TIMEOUT,
        observer: Observer = NOBODY,
    ) -> None:
        self._status_path = status_path
        self._stats_path = stats_path
        self._get_path = get_path
        self._timeout = timeout
        self._observer = observer

    def update_status(self, status: Mapping[str, object]) -> None:
        """Tell Octavia statuses; when this returns it has committed them.

        :param status: lists of records with `id`, `provisioning_status` and `operating_status`, by
            kind: `loadbalancers`, `listeners` and so on
        :raises StatusRefused: when it cannot apply a record
        :raises Unanswered: when it does not answer in time, and may still be at work
        :raises Unavailable: when the driver agent or its database cannot be told
        """
        with self._observer.calls(_NAME, "status"):
            _check(self._ask(self._status_path, status), "status")

    def update_statistics(self, statistics: Mapping[str, object]) -> None:
        """Tell Octavia the counters of listeners.

        :param statistics: records with `id`, `bytes_in`, `bytes_out`, `active_connections`,
            `total_connections` and `request_errors`, in the list `listeners`
        :raises StatusRefused: when it cannot use a record
        :raises Unavailable: when the driver agent or its database does not answer
        """
        with self._observer.calls(_NAME, "stats"):
            _check(self._ask(self._stats_path, statistics), "stats")

    def get_load_balancer(self, lb_id: str) -> dict[str, Any] | None:
        """Return a load balancer with its whole tree, unset fields as None; None if there is none.

        :raises Unavailable: when the driver agent does not answer
        """
        return self.get(constants.LOADBALANCERS, lb_id)

    def get(self, kind: str, object_id: str) -> dict[str, Any] | None:
        """Return an object; None if there is none.

        :param kind: `loadbalancers`, `listeners`, `pools`, `members` or `healthmonitors`
        :raises Unavailable: when the driver agent does not answer
        """
        with self._observer.calls(_NAME, "get"):
            found = self._ask(self._get_path, {constants.OBJECT: kind, constants.ID: object_id})
        return found or None

    def _ask(self, path: str, request: Mapping[str, object]) -> dict[str, Any]:
        deadline = time.monotonic() + self._timeout
        body = json.dumps(request).encode()
        kind: type[Unavailable] = Unavailable  # until it has the request
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                _limit(peer, deadline)
                peer.connect(path)
                kind = Unanswered
                peer.sendall(b"%d\n%b" % (len(body), body))
                answer = json.loads(_receive(peer, deadline))
        except BlockingIOError as error:
            msg = f"octavia-driver-agent did not answer at {path} within {self._timeout:g} s"
            raise kind(msg) from error
        except (OSError, EOFError) as error:
            raise kind(f"octavia-driver-agent does not serve {path}: {error}") from error
        except ValueError as error:
            msg = f"octavia-driver-agent does not speak its protocol at {path}: {error}"
            raise kind(msg) from error
        if not isinstance(answer, dict):
            raise kind(f"octavia-driver-agent does not speak its protocol at {path}")
        return answer


def _limit(peer: socket.socket, deadline: float) -> None:
    """Have the kernel end whatever waits on a socket at a time of the monotonic clock.

    Python's own time-outs make the socket non-blocking, and then connecting fails at once when the
    driver agent's short queue of connections is full instead of waiting for a place in it.

    :raises BlockingIOError: when the time has come
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise BlockingIOError
    interval = struct.pack("ll", int(left), max(1, int(left % 1 * 1_000_000)))
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, interval)


def _receive(peer: socket.socket, deadline: float) -> bytes:
    """Return the body of an answer.

    :raises EOFError: when the connection ends before it is complete
    :raises ValueError: when it does not begin with a length
    """
    size = None
    data = b""
    while size is None or len(data) < size:
        _limit(peer, deadline)
        chunk = peer.recv(_CHUNK)
        if not chunk:
            raise EOFError("the connection ended before the answer was complete")
        data += chunk
        if size is None and b"\n" in data:
            head, data = data.split(b"\n", 1)
            size = int(head)
    return data[:size]


def _check(answer: Mapping[str, Any], prefix: str) -> None:
    if answer.get(constants.STATUS_CODE) == constants.DRVR_STATUS_CODE_OK:
        return
    fault = answer.get(constants.FAULT_STRING) or "octavia-driver-agent gives no reason"
    if _DATABASE_FAULT.search(fault):
        raise Unavailable(f"Octavia's database does not serve the driver agent: {fault}")
    raise StatusRefused(fault, answer.get(f"{prefix}_object"), answer.get(f"{prefix}_object_id"))
