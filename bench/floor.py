# SPDX-License-Identifier: Apache-2.0
"""How fast this machine's OVSDB and status socket can be at best."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ovs.db.idl
import ovs.poller
from octavia_lib.api.drivers import driver_lib

from tests.lab import env, ovsdb
from tests.lab.ovsdb import named, omap, oset

LB_ROW = {
    "name": "floor",
    "protocol": "tcp",
    "vips": {"10.0.0.5:80": "10.0.0.6:80,10.0.0.7:80"},
    "external_ids": {"owner": "the floor"},  # no driver's
}
SWITCH, ROUTER = "floor-ls", "floor-lr"
PARENTS = (("Logical_Switch", SWITCH), ("Logical_Router", ROUTER))


class Floor:
    """Bare transactions like that of creating a load balancer, and bare status messages.

    :param server: the databases' server, as the driver uses it
    :param run_dir: where the sockets of Octavia's driver agent are
    """

    def __init__(self, server: env.OvsdbServer, run_dir: Path) -> None:
        self._client = server.connect()
        self._client.transact(*(ovsdb.insert(table, {"name": name}) for table, name in PARENTS))
        self._socket = run_dir / "status.sock"
        library = driver_lib.DriverLibrary(status_socket=str(self._socket))
        self._metrics: dict[str, Callable[[], object]] = {
            "transaction, JSON-RPC": self._insert_raw,
            "transaction, python-ovs": _idl_inserter(server.remote),
            "status message, octavia-lib": lambda: library.update_loadbalancer_status({}),
            "status message, socket": self._send_status,
        }

    def measure(self, count: int) -> Iterator[tuple[str, float]]:
        """Yield names and milliseconds."""
        for _ in range(count):
            for metric, action in self._metrics.items():
                start = time.perf_counter()
                action()
                yield metric, (time.perf_counter() - start) * 1000
        where = [["name", "==", LB_ROW["name"]]]
        for table, name in PARENTS:
            empty = {"load_balancer": oset([])}
            self._client.transact(ovsdb.update(table, [["name", "==", name]], empty))
        self._client.transact(ovsdb.delete("Load_Balancer", where))

    def _send_status(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.connect(str(self._socket))
            sock.sendall(b"2\n{}")
            with sock.makefile("rb") as stream:
                json.loads(stream.read(int(stream.readline())))

    def _insert_raw(self) -> None:
        maps = {column: omap(LB_ROW[column]) for column in ("vips", "external_ids")}
        attach = ["load_balancer", "insert", oset([named("lb")])]
        self._client.transact(
            ovsdb.insert("Load_Balancer", {**LB_ROW, **maps}, "lb"),
            *(ovsdb.mutate(table, [["name", "==", name]], attach) for table, name in PARENTS),
        )


def _idl_inserter(remote: str) -> Callable[[], None]:
    helper = ovs.db.idl.SchemaHelper(str(env.SCHEMAS / "ovn-nb.ovsschema"))
    helper.register_columns("Load_Balancer", ["name", "protocol", "vips", "external_ids"])
    for table, _ in PARENTS:
        helper.register_columns(table, ["name", "load_balancer"])
    idl = ovs.db.idl.Idl(remote, helper)
    # A replica of what the transaction needs, not of the cloud.
    idl.cond_change("Load_Balancer", [["name", "==", LB_ROW["name"]]])
    for table, name in PARENTS:
        idl.cond_change(table, [["name", "==", name]])
    while not (idl.has_ever_connected() and all(idl.tables[table].rows for table, _ in PARENTS)):
        _run(idl)
    parents = [row for table, _ in PARENTS for row in idl.tables[table].rows.values()]

    def insert() -> None:
        _catch_up(idl)
        transaction = ovs.db.idl.Transaction(idl)
        row = transaction.insert(idl.tables["Load_Balancer"])
        for column, value in LB_ROW.items():
            setattr(row, column, value)
        for parent in parents:
            parent.addvalue("load_balancer", row)
        status = transaction.commit_block()
        assert status == ovs.db.idl.Transaction.SUCCESS, status

    return insert


def _catch_up(idl: Any) -> None:
    while idl.run():
        pass


def _run(idl: Any) -> None:
    if not idl.run():
        poller = ovs.poller.Poller()
        idl.wait(poller)
        poller.block()
