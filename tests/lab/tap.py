# SPDX-License-Identifier: Apache-2.0
"""A tap on one OVSDB connection: who wrote what, and faults on the way.

The driver and the agent each reach the northbound database through a tap of their own, so a test
can count the transactions of one of them, let a second writer in just before a transaction, cut
the connection or let it hang.
"""

import collections
import contextlib
import dataclasses
import json
import socket
import threading
import time

from tests.lab.ovsdb import MessageReader, OvsdbError

WRITES = {"insert", "update", "mutate", "delete"}


@dataclasses.dataclass
class Write:
    """One transaction that asked for a change, and was committed."""

    operations: list
    at: float = dataclasses.field(default_factory=time.monotonic)

    def tables(self):
        return {operation["table"] for operation in self.operations if "table" in operation}


class OvsdbTap:
    """Listens on a socket of its own and passes everything on to the server's."""

    def __init__(self, path, server):
        self._path = path
        self._server = server
        self._listener = None
        self._sockets = set()
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._before_write = []
        self.writes = []
        self.round_trips = 0  # requests, less probes
        self.rows = collections.Counter()  # sent for replicas, by table

    @property
    def remote(self):
        return f"unix:{self._path}"

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *exc_info):
        self.down()

    # Faults

    def up(self):
        """Accept connections."""
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        self._start(self._accept, self._listener)

    def down(self):
        """Cut all connections, and refuse new ones until up()."""
        self._flowing.set()
        listener, self._listener = self._listener, None
        if listener:
            self._path.unlink(missing_ok=True)
            _close(listener)
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for sock in sockets:
            _close(sock)

    def stall(self):
        """Let the connections stand, but nothing through, as a half-open one does."""
        self._flowing.clear()

    def resume(self):
        self._flowing.set()

    def before_write(self, action):
        """Call action() once, just before the next transaction that writes reaches the server."""
        self._before_write.append(action)

    # Passing on

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(str(self._server))
            except OSError:
                _close(client)
                continue
            with self._lock:
                self._sockets |= {client, server}
            asked = {}
            self._start(self._pass_on, client, server, lambda msg, a=asked: self._request(msg, a))
            self._start(self._pass_on, server, client, lambda msg, a=asked: self._reply(msg, a))

    @staticmethod
    def _start(function, *args):
        threading.Thread(target=function, args=args, daemon=True).start()

    def _pass_on(self, source, target, look):
        reader = MessageReader(source)
        with contextlib.suppress(OSError, OvsdbError):
            while True:
                message = reader.receive()
                self._flowing.wait()
                look(message)
                target.sendall(json.dumps(message).encode())
        with self._lock:
            self._sockets -= {source, target}
        _close(source)
        _close(target)

    def _request(self, message, asked):
        self.round_trips += message.get("method") not in (None, "echo")
        if message.get("method") != "transact":
            return
        operations = message["params"][1:]
        if any(operation.get("op") in WRITES for operation in operations):
            while self._before_write:
                self._before_write.pop(0)()
            asked[json.dumps(message["id"])] = operations

    def _reply(self, message, asked):
        for table, rows in _updates(message).items():
            self.rows[table] += len(rows)
        operations = asked.pop(json.dumps(message.get("id")), None)
        if operations is None or message.get("error"):
            return
        if not any(result and result.get("error") for result in message["result"]):
            self.writes.append(Write(operations))


def _updates(message):
    """Return the rows, by table, of a replica's first contents or of an update."""
    if message.get("method") in ("update", "update2", "update3"):
        return message["params"][-1]
    result = message.get("result")
    if isinstance(result, list) and len(result) == 3 and isinstance(result[0], bool):
        return result[2]  # of monitor_cond_since
    return {}


def _close(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
