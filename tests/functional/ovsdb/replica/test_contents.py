# SPDX-License-Identifier: Apache-2.0
"""The contents, lookups and events of a replica."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import ovs.db.data
import pytest

from octavia_ovn.adapters.ovsdb.idl import CREATE, DELETE, UPDATE, ReportingIdl, contents
from octavia_ovn.adapters.ovsdb.replica import Replica, fetch_schema
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.adapters.ovsdb.transaction import Txn
from octavia_ovn.adapters.ovsdb.wire import ovs_map, ovs_set
from octavia_ovn.errors import Refused
from tests.functional.ovsdb.replica.watched import Watched, incrementing, update
from tests.functional.ovsdb.server import DATABASE, Server, endpoint, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable


def test_initial_contents_and_events(server: Server, watch: Callable[..., Watched]) -> None:
    identity = server.insert(name="a", external_ids=ovs_map({"k": "v"}), protocol="tcp")
    watched = watch(endpoint(server.unix))
    replica = watched.replica
    assert replica.connected
    (row,) = replica.rows("Load_Balancer")
    assert (str(row.uuid), row.name, row.external_ids) == (identity, "a", {"k": "v"})
    assert replica.get("Load_Balancer", row.uuid) == row
    assert watched.taken() == [(CREATE, "a")]

    server.insert(name="b")
    server.transact(update("a", external_ids=ovs_map({"k": "w"})))
    watched.until(lambda: len(watched.events) == 2)
    table, event, name, old = watched.events[1]
    assert (table, event, name) == ("Load_Balancer", UPDATE, "a")
    assert old is not None
    assert list(old) == ["external_ids"]
    watched.taken()

    server.transact({"op": "delete", "table": "Load_Balancer", "where": [["name", "==", "a"]]})
    watched.until(lambda: watched.events)
    assert watched.taken() == [(DELETE, "a")]
    assert not replica.run()


def test_find(server: Server, watch: Callable[..., Watched]) -> None:
    for name in ("a", "a", "b"):
        server.insert(name=name, protocol="udp")
    replica = watch(endpoint(server.unix)).replica
    assert [row.name for row in replica.find("Load_Balancer", "name", "a")] == ["a", "a"]
    assert replica.find("Load_Balancer", "name", "c") == []
    assert len(replica.find("Load_Balancer", "protocol", "udp")) == 3
    with pytest.raises(KeyError):
        replica.find("Load_Balancer", "vips", "x")
    assert replica.find("Nonsense", "name", "x") == replica.rows("Nonsense") == []

    def failing(txn: Txn) -> bool:
        for row in replica.find("Load_Balancer", "name", "a"):
            txn.set(row, "name", "z")
        txn.insert("Load_Balancer", name="y")
        txn.delete(replica.find("Load_Balancer", "name", "b")[0])
        assert len(replica.find("Load_Balancer", "name", "z")) == 2
        assert len(replica.find("Load_Balancer", "name", "y")) == 1
        assert not replica.find("Load_Balancer", "name", "b")
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            replica.transact(failing, 5)
        assert len(replica.find("Load_Balancer", "name", "a")) == 2
        assert len(replica.find("Load_Balancer", "name", "b")) == 1
        assert not replica.find("Load_Balancer", "name", "y")
        assert not replica.find("Load_Balancer", "name", "z")
    server.transact(update("a", name="c"))
    wait_for(lambda: replica.run() or len(replica.find("Load_Balancer", "name", "c")) == 2)


def test_conditions(server: Server, watch: Callable[..., Watched]) -> None:
    server.insert(name="mine")
    server.insert(name="other")
    condition = {"Load_Balancer": [["name", "==", "mine"]], "Nonsense": [["a", "==", "b"]]}
    watched = watch(endpoint(server.unix), conditions=condition)
    assert watched.names() == {"mine"}
    server.restart()
    server.insert(name="another")
    server.transact(update("other", name="mine"))
    watched.until(lambda: len(watched.replica.rows("Load_Balancer")) == 2)
    assert watched.names() == {"mine"}


def test_columns_that_are_only_written(server: Server, watch: Callable[..., Watched]) -> None:
    """They cost nothing when they are large, and are as good to be written as others."""
    server.insert(name="mine", options=ovs_map({"reject": "true"}))
    watched = watch(endpoint(server.unix), unread={"Load_Balancer": ["options", "nonsense"]})
    watched.until(lambda: watched.names() == {"mine"})
    (mine,) = watched.replica.find("Load_Balancer", "name", "mine")
    assert mine.options == {}

    def plan(txn: Txn) -> bool:
        txn.setkey(mine, "options", "event", "false")
        txn.insert("Load_Balancer", name="new", options={"reject": "false"})
        return True

    assert watched.replica.transact(plan, 5)
    options = {row["name"]: row["options"] for row in server.rows("Load_Balancer")}
    assert options == {
        "mine": ovs_map({"event": "false", "reject": "true"}),
        "new": ovs_map({"reject": "false"}),
    }
    with pytest.raises(Refused):
        watched.replica.transact(lambda txn: bool(txn.set(mine, "options", 1)), 5)


def test_capabilities(server: Server) -> None:
    tables = {"Load_Balancer": ["name", "from_the_future"], "From_The_Future": ["name"]}
    where = endpoint(server.unix)
    schema = fetch_schema(where, DATABASE, 5)
    replica = Replica(where, DATABASE, schema, tables)
    assert replica.enum("Load_Balancer", "selection_fields") > {"ip_src", "ip_dst"}
    assert not replica.has_column("Load_Balancer", "from_the_future")
    replica.close()
    for name in ("Load_Balancer.from_the_future", "From_The_Future"):
        with pytest.raises(Refused, match=f"has no (table|column) {name}"):
            Replica(where, DATABASE, schema, tables, required={name, "Load_Balancer.name"})


def test_many_rows(
    server: Server, watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    atoms = Counter[str]()
    made = ovs.db.data.Atom.__init__

    def make(atom: Any, *args: object) -> None:
        atoms["made"] += 1
        made(atom, *args)

    monkeypatch.setattr(ovs.db.data.Atom, "__init__", make)
    client = OvsdbSession(endpoint(server.unix), DATABASE, 30)
    for start in range(0, 5000, 1000):
        client.transact([big_row(number) for number in range(start, start + 1000)])
    before = time.process_time()
    replica = watch(endpoint(server.unix)).replica
    print(f"5,000 rows of Load_Balancer: {time.process_time() - before:.2f} s of CPU")
    assert len(replica.rows("Load_Balancer")) == 5000
    assert atoms["made"] < 5000, "the objects of the library are made of rows that do not change"
    before = time.process_time()
    for _ in range(200):
        replica.transact(incrementing(replica, "lb7"), 5)
    print(f"a transaction: {(time.process_time() - before) * 5:.2f} ms of CPU")


def test_a_library_without_the_methods_that_are_replaced(
    server: Server, watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are the same, after changes and transactions, too."""
    for number in range(3):
        server.insert(**{"protocol": "tcp", **big_row(number)["row"], "name": f"lb{number}"})
    fast = watch(endpoint(server.unix))
    for name in [each for each in vars(ReportingIdl) if each.startswith("_Idl__")]:
        monkeypatch.delattr(ReportingIdl, name)
    monkeypatch.setattr(ReportingIdl, "decoder", json.JSONDecoder)
    slow = watch(endpoint(server.unix))
    server.transact(update("lb1", external_ids=ovs_map({"k": "v"}), protocol=ovs_set([])))
    slow.until(lambda: everything(slow.replica) == everything(fast.replica, run=True))
    for watched in (fast, slow):
        watched.replica.transact(incrementing(watched.replica, "lb1"), 5)
    slow.until(lambda: everything(slow.replica) == everything(fast.replica, run=True))
    assert all(row["vips"] for row in everything(fast.replica).values())


def everything(replica: Replica, *, run: bool = False) -> dict[Any, dict[str, Any]]:
    """Return all that a replica has of load balancers."""
    if run:
        replica.run()
    return {
        row.uuid: {
            column: (getattr(row, column), contents(row, column)) for column in row._table.columns
        }
        for row in replica.rows("Load_Balancer")
    }


def big_row(number: int) -> dict[str, object]:
    members = ",".join(f"192.168.{member}.7:80" for member in range(4))
    vips = {f"10.0.{number // 250}.{number % 250}:{port}": members for port in (80, 443)}
    keys = {f"listener_{number}_{index}": "pool_" * 20 for index in range(6)}
    row = {
        "name": f"lb{number}",
        "vips": ovs_map(vips),
        "external_ids": ovs_map(keys),
        "selection_fields": ovs_set(["ip_src", "ip_dst"]),
    }
    return {"op": "insert", "table": "Load_Balancer", "row": row}


def test_a_row_that_cannot_be_followed_does_not_keep_others_from_it(
    server: Server, watch: Callable[..., Watched], caplog: pytest.LogCaptureFixture
) -> None:
    defects: list[int] = []
    watched = watch(endpoint(server.unix), on_defect=lambda: defects.append(1))
    note = watched.replica._on_change

    def broken(table: str, event: str, row: Any, old: Any) -> None:
        if row.name == "b":
            raise KeyError("a defect")
        note(table, event, row, old)

    watched.replica._on_change = broken
    for name in ("a", "b", "c"):
        server.insert(name=name)
    watched.until(lambda: watched.names() == {"a", "b", "c"})
    assert sorted(name for _, name in watched.taken()) == ["a", "c"]
    assert len(defects) == 1
    (record,) = (each for each in caplog.records if each.exc_info)
    assert "was not followed" in record.getMessage()
