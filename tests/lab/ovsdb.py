# SPDX-License-Identifier: Apache-2.0
"""Small synchronous OVSDB client (RFC 7047) and a reader of the DB log.

Independent of python-ovs on purpose: the lab must not share code, caches or
bugs with the drivers it measures.
"""

import json
import os
import socket
import threading

NORTHBOUND = "OVN_Northbound"
SOUTHBOUND = "OVN_Southbound"

# Comment put on the transactions the lab itself makes (fake Neutron, bulk
# loads), so that TransactionLog can tell them from those of the driver.
LAB_COMMENT = "lab"


class OvsdbError(Exception):
    """The server refused a request or an operation."""


def omap(values):
    """Encode a dict as an OVSDB map."""
    return ["map", [[key, value] for key, value in values.items()]]


def oset(values):
    """Encode an iterable of atoms as an OVSDB set."""
    return ["set", list(values)]


def ref(uuid):
    return ["uuid", uuid]


def named(name):
    return ["named-uuid", name]


def decode(value):
    """Turn an OVSDB value into plain Python: dict, list or atom."""
    if isinstance(value, list) and value:
        kind = value[0]
        if kind == "uuid":
            return value[1]
        if kind == "set":
            return [decode(item) for item in value[1]]
        if kind == "map":
            return {decode(k): decode(v) for k, v in value[1]}
    return value


def as_list(value):
    """Make a decoded set a list: OVSDB shows one of a single item as that."""
    return value if isinstance(value, list) else [value]


def insert(table, row, name=None):
    op = {"op": "insert", "table": table, "row": row}
    if name:
        op["uuid-name"] = name
    return op


def mutate(table, where, *mutations):
    return {
        "op": "mutate",
        "table": table,
        "where": where,
        "mutations": [list(mutation) for mutation in mutations],
    }


def update(table, where, row):
    return {"op": "update", "table": table, "where": where, "row": row}


def delete(table, where):
    return {"op": "delete", "table": table, "where": where}


class MessageReader:
    """Cuts the stream of a JSON-RPC session into messages."""

    def __init__(self, sock):
        self._sock = sock
        self._buffer = bytearray()
        self._decoder = json.JSONDecoder()

    def receive(self):
        """Return the next message; raise OvsdbError at the end of the stream."""
        while True:
            # A message is an object, so it is complete only after a brace:
            # do not parse a huge reply again at every chunk.
            if self._buffer.rstrip().endswith(b"}"):
                text = self._buffer.decode(errors="ignore").lstrip()
                try:
                    message, end = self._decoder.raw_decode(text)
                except ValueError:
                    pass
                else:
                    self._buffer = bytearray(text[end:].encode())
                    return message
            chunk = self._sock.recv(1 << 20)
            if not chunk:
                raise OvsdbError("the connection was closed")
            self._buffer += chunk


class OvsdbClient:
    """One JSON-RPC session over a unix socket; safe to share by threads."""

    def __init__(self, path, database):
        self.database = database
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.connect(str(path))
        self._lock = threading.Lock()
        self._reader = MessageReader(self._sock)
        self._next_id = 0

    def close(self):
        self._sock.close()

    def transact(self, *operations, comment=LAB_COMMENT):
        """Commit the operations; return one result per operation."""
        operations = list(operations)
        if comment:
            operations.append({"op": "comment", "comment": comment})
        results = self._call("transact", [self.database, *operations])
        for result in results:
            if result and result.get("error"):
                raise OvsdbError(f"{result}; operations: {operations}")
        return results[: len(operations) - bool(comment)]

    def select(self, table, where=(), columns=None):
        """Return decoded rows."""
        op = {"op": "select", "table": table, "where": list(where)}
        if columns:
            op["columns"] = list(columns)
        rows = self.transact(op, comment=None)[0]["rows"]
        return [{column: decode(value) for column, value in row.items()} for row in rows]

    def snapshot(self, *tables, **wheres):
        """Return {table: decoded rows} of several tables at one moment."""
        operations = [
            {"op": "select", "table": table, "where": wheres.get(table, [])} for table in tables
        ]
        results = self.transact(*operations, comment=None)
        return {
            table: [
                {column: decode(value) for column, value in row.items()} for row in result["rows"]
            ]
            for table, result in zip(tables, results, strict=True)
        }

    def _call(self, method, params):
        with self._lock:
            self._next_id += 1
            self._send({"method": method, "params": params, "id": self._next_id})
            while True:
                message = self._reader.receive()
                if message.get("method") == "echo":
                    self._send({"id": message["id"], "error": None, "result": message["params"]})
                elif message.get("id") == self._next_id:
                    break
        if message.get("error"):
            raise OvsdbError(message["error"])
        return message["result"]

    def _send(self, message):
        self._sock.sendall(json.dumps(message).encode())


class TransactionLog:
    """Follows the log of a standalone OVSDB file: one record per commit.

    ovsdb-server appends a record for every transaction that changed anything
    durable, and for no other, so this counts real commits at no cost to the
    server.
    """

    def __init__(self, path):
        self._path = path
        self._offset = 0
        self._inode = None
        self.skip()

    def skip(self):
        """Forget what has been committed so far."""
        stat = os.stat(self._path)
        self._inode, self._offset = stat.st_ino, stat.st_size

    def read(self):
        """Return the records committed since the last call, oldest first."""
        if os.stat(self._path).st_ino != self._inode:
            # The server compacted the file: what came before is unknowable.
            self.skip()
            return []
        records = []
        with open(self._path, "rb") as log:
            log.seek(self._offset)
            while header := log.readline():
                size = int(header.split()[2])
                body = log.read(size)
                if len(body) < size:
                    break
                self._offset = log.tell()
                records.append(json.loads(body))
        return records

    def count_foreign(self):
        """Count new commits that the lab did not make itself."""
        return sum(
            1 for record in self.read() if LAB_COMMENT not in record.get("_comment", "").split()
        )
