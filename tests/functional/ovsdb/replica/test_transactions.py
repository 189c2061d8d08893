# SPDX-License-Identifier: Apache-2.0
"""Transactions: results, refusals, and other writers."""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import octavia_ovn
from octavia_ovn.adapters.ovsdb.idl import CREATE
from octavia_ovn.adapters.ovsdb.transaction import Txn
from octavia_ovn.adapters.ovsdb.wire import ovs_map
from octavia_ovn.errors import Refused, Unavailable
from tests.functional.ovsdb.replica.watched import Watched, creating, incrementing, update
from tests.functional.ovsdb.server import Server, endpoint

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_transaction_and_its_result(server: Server, watch: Callable[..., Watched]) -> None:
    watched = watch(endpoint(server.unix))
    replica = watched.replica

    def plan(txn: Txn) -> bool:
        lb = txn.insert("Load_Balancer", name="a", vips={"1.1.1.1:80": "2.2.2.2:80"})
        check = txn.insert("Load_Balancer_Health_Check", vip="1.1.1.1:80")
        txn.addvalue(lb, "health_check", check.uuid)
        switch = txn.insert("Logical_Switch", name="s")
        txn.addvalue(switch, "load_balancer", lb.uuid)
        return True

    assert replica.transact(plan, 5)
    (lb,) = replica.find("Load_Balancer", "name", "a")
    assert [check.vip for check in lb.health_check] == ["1.1.1.1:80"]
    (switch,) = replica.rows("Logical_Switch")
    assert switch.load_balancer == [lb]
    assert watched.events == []  # they wait for run
    replica.run()
    assert sorted(watched.taken()) == [(CREATE, "1.1.1.1:80"), (CREATE, "a"), (CREATE, "s")]
    assert not replica.transact(lambda _: False, 5)

    def same(txn: Txn) -> bool:
        txn.set(lb, "name", "a")
        return True

    assert not replica.transact(same, 5)

    def detach(txn: Txn) -> bool:
        txn.delvalue(switch, "load_balancer", lb.uuid)
        txn.setkey(lb, "vips", "k", "v")
        txn.delkey(lb, "vips", "1.1.1.1:80")
        txn.delete(lb)
        return True

    assert replica.transact(detach, 5)
    assert server.rows() == server.rows("Load_Balancer_Health_Check") == []


def test_refusals(server: Server, watch: Callable[..., Watched]) -> None:
    replica = watch(endpoint(server.unix)).replica
    replica.transact(creating("a"), 5)
    (row,) = replica.rows("Load_Balancer")

    def doing(action: Callable[[Txn], object]) -> Callable[[Txn], bool]:
        return lambda txn: bool(action(txn)) or True

    refused: list[tuple[Callable[[Txn], object], str]] = [
        (lambda txn: txn.set(row, "protocol", "icmp"), "Load_Balancer.protocol cannot hold"),
        (lambda txn: txn.setkey(row, "vips", "a", 1), "Load_Balancer.vips cannot hold"),
        (lambda txn: txn.set(row, "options", {}), "replicated without a column options"),
        (lambda txn: txn.addvalue(row, "health_check", uuid.uuid4()), "referential integrity"),
    ]
    for action, reason in refused:
        with pytest.raises(Refused, match=reason):
            replica.transact(doing(action), 5)
    assert replica.transact(creating("still works"), 5)


def test_another_writer_makes_the_plan_run_again(
    server: Server, watch: Callable[..., Watched]
) -> None:
    server.insert(name="a", external_ids=ovs_map({"count": "0"}))
    conflicts: list[int] = []
    seen: list[str] = []
    replica = watch(endpoint(server.unix), on_conflict=lambda: conflicts.append(len(seen))).replica
    increment = incrementing(replica, "a")

    def plan(txn: Txn) -> bool:
        (row,) = replica.find("Load_Balancer", "name", "a")
        seen.append(row.external_ids["count"])
        if len(seen) < 3:
            server.transact(update("a", external_ids=ovs_map({"count": str(10 * len(seen))})))
        return increment(txn)

    assert replica.transact(plan, 5)
    assert seen == ["0", "10", "20"]
    assert conflicts == [1, 2]
    assert replica.rows("Load_Balancer")[0].external_ids == {"count": "21"}


def test_increments_of_two_writers_add_up(server: Server, watch: Callable[..., Watched]) -> None:
    server.insert(name="a")
    replica = watch(endpoint(server.unix)).replica

    def other() -> None:
        watched = Watched(endpoint(server.unix))
        watched.until(lambda: watched.replica.synced)
        for _ in range(50):
            watched.replica.transact(incrementing(watched.replica, "a"), 10)
        watched.replica.close()

    thread = threading.Thread(target=other)
    thread.start()
    for _ in range(50):
        replica.transact(incrementing(replica, "a"), 10)
    thread.join()
    assert server.rows()[0]["external_ids"] == ovs_map({"count": "100"})


def test_always_slower_ends_in_time(server: Server, watch: Callable[..., Watched]) -> None:
    server.insert(name="a")
    replica = watch(endpoint(server.unix)).replica
    increment = incrementing(replica, "a")

    def plan(txn: Txn) -> bool:
        server.transact(update("a", external_ids=ovs_map({"t": str(time.monotonic())})))
        return increment(txn)

    start = time.monotonic()
    with pytest.raises(Unavailable):
        replica.transact(plan, 0.5)
    assert time.monotonic() - start < 1.5
    assert replica.transact(increment, 5)


def test_one_place_makes_transactions() -> None:
    root = Path(octavia_ovn.__file__).parent
    found = [path for path in root.rglob("*.py") if "Transaction(" in path.read_text()]
    assert [path.name for path in found] == ["replica.py"]
    assert found[0].read_text().count("Transaction(") == 1
