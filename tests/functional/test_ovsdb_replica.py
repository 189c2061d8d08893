"""The agent's replica against real servers."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ovs.db.idl
import ovs.poller
import pytest

import octavia_ovn
from octavia_ovn.adapters.ovsdb_endpoint import Endpoint
from octavia_ovn.adapters.ovsdb_idl import CREATE, DELETE, UPDATE
from octavia_ovn.adapters.ovsdb_replica import LockLost, Replica
from octavia_ovn.adapters.ovsdb_session import OvsdbSession
from octavia_ovn.adapters.ovsdb_txn import Txn
from octavia_ovn.adapters.ovsdb_wire import ovs_map, ovs_set
from octavia_ovn.errors import Refused, Unanswered, Unavailable
from tests.functional.ovsdb_server import (
    DATABASE,
    Cluster,
    Server,
    endpoint,
    make_tls,
    tls_server,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLES = {
    "Load_Balancer": ["name", "vips", "protocol", "external_ids", "health_check"],
    "Load_Balancer_Health_Check": ["vip", "options"],
    "Logical_Switch": ["name", "load_balancer", "external_ids"],
}


class Watched:
    """A replica with the events it told."""

    def __init__(self, where: Endpoint, **options: Any):
        self.events: list[tuple[str, str, str, dict[str, Any] | None]] = []
        options.setdefault("timeout", 5)
        self.replica = Replica(where, DATABASE, TABLES, on_change=self._note, **options)
        self.replica.index_create("Load_Balancer", "name")
        self.replica.index_create("Load_Balancer", "protocol")

    def _note(self, table: str, event: str, row: Any, old: Any) -> None:
        previous = None if old is None else dict(old._data)
        name = row.vip if table == "Load_Balancer_Health_Check" else row.name
        self.events.append((table, event, name, previous))

    def until(self, condition: Callable[[], object], timeout: float = 10) -> None:
        deadline = time.monotonic() + timeout
        self.replica.run()
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            poller = ovs.poller.Poller()
            self.replica.wait(poller)
            poller.timer_wait(50)
            poller.block()
            self.replica.run()

    def taken(self) -> list[tuple[str, str]]:
        """Return events and names since the last call."""
        found = [(event, name) for _, event, name, _ in self.events]
        self.events.clear()
        return found

    def names(self) -> set[str]:
        return {row.name for row in self.replica.rows("Load_Balancer")}


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    """Make replicas that are closed at the end."""
    made: list[Watched] = []

    def make(where: Endpoint, **options: Any) -> Watched:
        made.append(Watched(where, **options))
        made[-1].until(lambda: made[-1].replica.synced)
        return made[-1]

    yield make
    for watched in made:
        watched.replica.close()


def update(name: str, /, **columns: object) -> dict[str, object]:
    where = [["name", "==", name]]
    return {"op": "update", "table": "Load_Balancer", "where": where, "row": columns}


def creating(name: str) -> Callable[[Txn], bool]:
    def plan(txn: Txn) -> bool:
        txn.insert("Load_Balancer", name=name)
        return True

    return plan


def incrementing(replica: Replica, name: str) -> Callable[[Txn], bool]:
    def plan(txn: Txn) -> bool:
        (row,) = replica.find("Load_Balancer", "name", name)
        row.verify("external_ids")
        count = int(row.external_ids.get("count", "0"))
        txn.setkey(row, "external_ids", "count", str(count + 1))
        return True

    return plan


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


def test_host_names(tcp_server: tuple[Server, str], watch: Callable[..., Watched]) -> None:
    server, remote = tcp_server
    server.insert(name="a")
    named = endpoint(remote.replace("127.0.0.1", "localhost"))
    assert watch(named).names() == {"a"}


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
    replica = Replica(endpoint(server.unix), DATABASE, tables)
    assert replica.enum("Load_Balancer", "selection_fields") > {"ip_src", "ip_dst"}
    assert not replica.has_column("Load_Balancer", "from_the_future")
    replica.close()
    for name in ("Load_Balancer.from_the_future", "From_The_Future"):
        with pytest.raises(Refused, match=f"has no (table|column) {name}"):
            Replica(endpoint(server.unix), DATABASE, tables, required={name, "Load_Balancer.name"})


def test_nobody_there(directory: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        Replica(endpoint(f"unix:{directory}/nobody"), DATABASE, TABLES, timeout=0.3)


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


def hold_lock(where: Endpoint, ready: int) -> None:
    """Hold the lock in a forked child until it is killed."""
    watched = Watched(where, lock="agent")
    watched.until(lambda: watched.replica.has_lock)
    watched.replica.transact(creating("child"), 5)
    os.write(ready, b"!")
    watched.until(lambda: False, timeout=60)


def test_the_lock_changes_hands(
    tcp_server: tuple[Server, str], watch: Callable[..., Watched]
) -> None:
    server, remote = tcp_server
    ready, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            hold_lock(endpoint(remote), write)
        finally:
            os._exit(1)
    assert os.read(ready, 1) == b"!"
    watched = watch(endpoint(server.unix), lock="agent")
    watched.until(lambda: watched.replica.lock_contended)
    assert not watched.replica.has_lock
    with pytest.raises(LockLost, match="agent"):
        watched.replica.transact(creating("standby"), 5)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    watched.until(lambda: watched.replica.has_lock, timeout=2)
    assert watched.replica.transact(creating("successor"), 5)
    assert {row["name"] for row in server.rows()} == {"child", "successor"}
    server.restart()
    watched.until(lambda: not watched.replica.has_lock)
    watched.until(lambda: watched.replica.has_lock)
    assert watched.replica.transact(creating("again"), 5)


def test_a_stolen_lock_is_noticed_by_the_server(
    server: Server, watch: Callable[..., Watched]
) -> None:
    watched = watch(endpoint(server.unix), lock="agent")
    watched.until(lambda: watched.replica.has_lock)
    thief = OvsdbSession(endpoint(server.unix), DATABASE, 5)
    thief._call("steal", ["agent"], None, harmless=True)
    with pytest.raises(LockLost):
        watched.replica.transact(creating("a"), 5)
    assert server.rows() == []


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
            Replica(endpoint(north_remote, tls=stranger), DATABASE, TABLES, timeout=0.5)


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


def test_many_rows(server: Server, watch: Callable[..., Watched]) -> None:
    client = OvsdbSession(endpoint(server.unix), DATABASE, 30)
    for start in range(0, 5000, 1000):
        client.transact([big_row(number) for number in range(start, start + 1000)])
    before = time.process_time()
    replica = watch(endpoint(server.unix)).replica
    print(f"5,000 rows of Load_Balancer: {time.process_time() - before:.2f} s of CPU")
    assert len(replica.rows("Load_Balancer")) == 5000
    before = time.process_time()
    for _ in range(200):
        replica.transact(incrementing(replica, "lb7"), 5)
    print(f"a transaction: {(time.process_time() - before) * 5:.2f} ms of CPU")


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


def test_one_place_makes_transactions() -> None:
    root = Path(octavia_ovn.__file__).parent
    found = [path for path in root.rglob("*.py") if "Transaction(" in path.read_text()]
    assert [path.name for path in found] == ["ovsdb_replica.py"]
    assert found[0].read_text().count("Transaction(") == 1
