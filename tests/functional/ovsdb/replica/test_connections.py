# SPDX-License-Identifier: Apache-2.0
"""Servers that are away, come back, speak TLS, or lead a cluster no more."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octavia_ovn.adapters.ovsdb.idl import CREATE, DELETE, UPDATE
from octavia_ovn.adapters.ovsdb.replica import LockLost, fetch_schema
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.adapters.ovsdb.transaction import Txn
from octavia_ovn.adapters.ovsdb.wire import ovs_map
from octavia_ovn.errors import Unanswered, Unavailable
from tests.functional.ovsdb.replica.watched import Watched, creating, update
from tests.functional.ovsdb.server import (
    DATABASE,
    Cluster,
    Server,
    endpoint,
    make_tls,
    tls_server,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def test_host_names(tcp_server: tuple[Server, str], watch: Callable[..., Watched]) -> None:
    server, remote = tcp_server
    server.insert(name="a")
    named = endpoint(remote.replace("127.0.0.1", "localhost"))
    assert watch(named).names() == {"a"}


def test_no_server(directory: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        fetch_schema(endpoint(f"unix:{directory}/absent"), DATABASE, 0.3)


def test_a_stopped_server_ends_a_transaction_in_time(
    tcp_server: tuple[Server, str], watch: Callable[..., Watched]
) -> None:
    server, remote = tcp_server
    watched = watch(endpoint(remote))
    server.signal(signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(Unanswered):
        watched.replica.transact(creating("a"), 0.5)
    with pytest.raises(Unavailable, match="no connection in time"):
        watched.replica.transact(creating("b"), 0.5)
    assert time.monotonic() - start < 1.5
    server.signal(signal.SIGCONT)
    assert watched.replica.transact(creating("c"), 10)
    assert "b" not in watched.names()


def test_a_restarted_server(server: Server, watch: Callable[..., Watched]) -> None:
    for name in ("same", "changed", "deleted"):
        server.insert(name=name)
    watched = watch(endpoint(server.unix))
    watched.taken()
    (row,) = watched.replica.find("Load_Balancer", "name", "deleted")
    server.kill()
    watched.until(lambda: not watched.replica.connected)
    assert watched.names() == {"same", "changed", "deleted"}
    server.start()
    server.transact({"op": "delete", "table": "Load_Balancer", "where": [["name", "==", row.name]]})
    server.transact(update("changed", external_ids=ovs_map({"k": "v"})))
    server.insert(name="new")
    watched.until(lambda: watched.replica.connected)
    watched.until(lambda: len(watched.names()) == 3)
    assert sorted(watched.taken()) == [(CREATE, "new"), (DELETE, "deleted"), (UPDATE, "changed")]
    assert watched.replica.find("Load_Balancer", "name", "deleted") == []
    assert watched.replica.transact(creating("still works"), 5)


def test_a_transaction_waits_for_a_server_that_comes_back(
    server: Server, watch: Callable[..., Watched]
) -> None:
    watched = watch(endpoint(server.unix))
    server.kill()
    threading.Timer(0.5, server.start).start()
    assert watched.replica.transact(creating("a"), 10)
    assert "a" in watched.names()


def test_two_certificate_authorities_in_one_process(
    directory: Path, watch: Callable[..., Watched]
) -> None:
    with (
        tls_server(directory, "nb") as (north, north_remote, north_tls),
        tls_server(directory, "sb") as (south, south_remote, south_tls),
    ):
        one = watch(endpoint(north_remote, tls=north_tls))
        two = watch(endpoint(south_remote, tls=south_tls))
        for watched, server in ((one, north), (two, south)):
            for name in ("first", "second"):
                watched.replica.transact(creating(name), 5)
                assert name in {row["name"] for row in server.rows()}
                server.restart()
        # More than fits into one TLS record, and more messages than the IDL takes at once.
        big = {"op": "insert", "table": "Load_Balancer", "row": {"name": "x" * 30_000}}
        OvsdbSession(endpoint(south.unix), DATABASE, 5).transact([big] * 20)
        for number in range(60):
            south.insert(name=f"n{number}")
        two.until(lambda: len(two.replica.rows("Load_Balancer")) == 82)
        stranger = make_tls(directory / "other-pki")
        with pytest.raises(Unavailable, match="certificate verify failed"):
            fetch_schema(endpoint(north_remote, tls=stranger), DATABASE, 0.5)


def test_a_cluster_loses_its_leader(cluster: Cluster, watch: Callable[..., Watched]) -> None:
    watched = watch(endpoint(*cluster.remotes), lock="agent")
    replica = watched.replica
    watched.until(lambda: replica.has_lock)
    replica.transact(creating("a"), 10)
    leader = cluster.leader()
    slowest = 0.0
    for number in range(100):
        if number == 50:
            leader.kill()
        start = time.monotonic()

        def plan(txn: Txn, key: str = str(number)) -> bool:
            (row,) = replica.find("Load_Balancer", "name", "a")
            txn.setkey(row, "external_ids", key, "done")
            return True

        while True:
            watched.until(lambda: replica.has_lock, timeout=20)
            try:
                replica.transact(plan, 10)
            except LockLost:
                continue
            break
        slowest = max(slowest, time.monotonic() - start)
    print(f"slowest transaction: {slowest:.2f} s")
    assert replica.find("Load_Balancer", "name", "a")[0].external_ids == {
        str(number): "done" for number in range(100)
    }
