# SPDX-License-Identifier: Apache-2.0
"""The API's session against real servers: what works, what fails and how it says so."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.session import NotSent, OvsdbSession
from octavia_ovn.adapters.ovsdb.wire import ovs_map, ovs_uuid
from octavia_ovn.errors import Changed, Refused, Unanswered, Unavailable
from tests.functional.ovsdb.server import (
    DATABASE,
    Cluster,
    Server,
    endpoint,
    free_ports,
    make_tls,
    tls_server,
    wait_for,
)

if TYPE_CHECKING:
    from pathlib import Path

    from octavia_ovn.adapters.ovsdb.endpoint import Tls


def session(
    *remotes: str, timeout: float = 5, tls: Tls | None = None, probe: int = 0
) -> OvsdbSession:
    return OvsdbSession(endpoint(*remotes, tls=tls), DATABASE, timeout, probe)


def insert(name: str) -> dict[str, object]:
    return {"op": "insert", "table": "Load_Balancer", "row": {"name": name}}


def names(server: Server) -> set[str]:
    return {row["name"] for row in server.rows()}


def test_select_and_transact(server: Server) -> None:
    client = session(server.unix)
    (result,) = client.transact([insert("a")])
    uuid = result["uuid"][1]
    where = [["_uuid", "==", ovs_uuid(uuid)]]
    row = {"vips": ovs_map({"10.0.0.1:80": "10.0.0.2:80"}), "protocol": "tcp"}
    client.transact([{"op": "update", "table": "Load_Balancer", "where": where, "row": row}])
    columns = ["_uuid", "name", "protocol", "vips", "selection_fields"]
    assert client.select("Load_Balancer", where, columns) == [
        {
            "_uuid": uuid,
            "name": "a",
            "protocol": ["tcp"],
            "vips": {"10.0.0.1:80": "10.0.0.2:80"},
            "selection_fields": [],
        }
    ]
    assert client.select("Load_Balancer", [["name", "==", "b"]]) == []
    assert "ip_src" in client.schema().enum("Load_Balancer", "selection_fields")


def keepers() -> int:
    return sum(thread.name.endswith("-keeper") for thread in threading.enumerate())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def alone() -> None:
    """Wait until the connections of earlier tests have gone: their servers have been killed."""
    gc.collect()
    wait_for(lambda: keepers() == 0)


def test_the_constructor_does_no_io(directory: Path) -> None:
    before = descriptors(), threading.active_count()
    sessions = [session(f"unix:{directory}/absent") for _ in range(500)]
    assert (descriptors(), threading.active_count()) == before
    del sessions


def test_threads_and_descriptors_stay_constant(server: Server) -> None:
    client = session(server.unix)
    client.select("Load_Balancer")
    before = descriptors()
    for _ in range(50):
        client.select("Load_Balancer")
    assert (descriptors(), keepers()) == (before, 1)
    for _ in range(5):
        server.restart()
        client.select("Load_Balancer")
    wait_for(lambda: keepers() == 1, timeout=2)
    assert descriptors() == before
    client.close()
    wait_for(lambda: keepers() == 0, timeout=2)


def test_a_forgotten_session_is_closed(server: Server) -> None:
    client = session(server.unix, probe=100)
    client.select("Load_Balancer")
    assert keepers() == 1
    del client
    gc.collect()
    wait_for(lambda: keepers() == 0, timeout=2)


def test_a_forked_child_makes_a_connection_of_its_own(tcp_server: tuple[Server, str]) -> None:
    server, remote = tcp_server
    client = session(remote)
    client.transact([insert("before")])
    children = []
    for number in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                client.transact([insert(f"child{number}")])
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    for pid in children:
        client.transact([insert(f"parent{pid}")])
        assert os.waitpid(pid, 0)[1] == 0
    client.transact([insert("after")])
    assert {"before", "child0", "child1", "after"} < names(server)
    assert server.accepted() == 3


def test_a_child_forked_during_a_request_is_not_blocked(server: Server) -> None:
    client = session(server.unix)
    client.select("Load_Balancer")
    server.signal(signal.SIGSTOP)
    busy = threading.Thread(target=client.select, args=("Load_Balancer",))
    busy.start()
    wait_for(client._shared().lock.locked)
    pid = os.fork()
    if pid == 0:
        try:
            server.signal(signal.SIGCONT)
            client.transact([insert("child")])
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    busy.join()
    assert names(server) == {"child"}


def test_threads_share_one_connection(tcp_server: tuple[Server, str]) -> None:
    server, remote = tcp_server
    client = session(remote)

    def work(number: int) -> None:
        for index in range(20):
            client.transact([insert(f"{number}-{index}")])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.rows()) == 160
    assert server.accepted() == 1


def test_an_idle_connection_stays(server: Server) -> None:
    client = session(probing(server, 1000))
    client.transact([insert("before")])
    time.sleep(3)  # the server probes after 1 s of silence, and closes after 1 more
    client.transact([insert("after")])
    assert server.accepted() == 1


def probing(server: Server, interval: int) -> str:
    """Have a server listen on TCP, where it probes its clients; return the remote."""
    (port,) = free_ports(1)
    row = {"target": f"ptcp:{port}:127.0.0.1", "inactivity_probe": interval}
    connections = ["set", [["named-uuid", "new"]]]
    server.transact(
        {"op": "insert", "table": "Connection", "row": row, "uuid-name": "new"},
        {"op": "insert", "table": "NB_Global", "row": {"connections": connections}},
    )
    server.control("ovsdb-server/add-remote", f"db:{DATABASE},NB_Global,connections")
    return f"tcp:127.0.0.1:{port}"


def test_a_restarted_server_is_found_again(server: Server) -> None:
    client = session(server.unix)
    for number in range(3):
        client.transact([insert(str(number))])
        server.restart()
    client.transact([insert("3")])
    assert names(server) == {"0", "1", "2", "3"}


def test_a_request_waits_for_a_server_that_comes_back(server: Server) -> None:
    client = session(server.unix)
    client.transact([insert("a")])
    server.kill()
    threading.Timer(0.5, server.start).start()
    client.transact([insert("b")])
    assert names(server) == {"a", "b"}


def test_no_server(directory: Path, tcp_server: tuple[Server, str]) -> None:
    server, remote = tcp_server
    server.kill()
    client = session(f"unix:{directory}/absent", remote, timeout=0.7)
    start = time.monotonic()
    with pytest.raises(NotSent, match=rf"{DATABASE} at .*absent,tcp:.*(refused|No such file)") as e:
        client.transact([insert("a")])
    assert time.monotonic() - start < 1
    assert not isinstance(e.value, Unanswered)


def test_no_server_names_the_option(directory: Path) -> None:
    found = Endpoint.parse([f"unix:{directory}/absent"], option_prefix="ovn_sb")
    with pytest.raises(NotSent, match=r"absent \(\[ovn\] ovn_sb_connection\) cannot be reached"):
        OvsdbSession(found, DATABASE, timeout=0.1).transact([insert("a")])


def test_a_deadline_in_the_past(server: Server) -> None:
    with pytest.raises(NotSent):
        session(server.unix).transact([insert("a")], deadline=time.monotonic() - 1)
    assert server.rows() == []


@pytest.mark.parametrize("connected", [True, False])
def test_a_stopped_server(tcp_server: tuple[Server, str], connected: bool) -> None:
    server, remote = tcp_server
    client = session(remote, timeout=0.7)
    if connected:
        client.select("Load_Balancer")
    server.signal(signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(Unavailable, match=r"no answer in time|timed out") as e:
        client.transact([insert("a")])
    assert 0.5 < time.monotonic() - start < 1.2
    assert isinstance(e.value, Unanswered if connected else NotSent)
    server.signal(signal.SIGCONT)
    client.transact([insert("b")])
    assert "b" in names(server)


def test_another_thread_does_not_wait_longer_than_its_deadline(server: Server) -> None:
    client = session(server.unix, timeout=3)
    client.select("Load_Balancer")
    server.signal(signal.SIGSTOP)
    busy = threading.Thread(target=client.select, args=("Load_Balancer",))
    busy.start()
    wait_for(client._shared().lock.locked)
    with pytest.raises(NotSent, match="another request"):
        client.select("Load_Balancer", deadline=time.monotonic() + 0.2)
    server.signal(signal.SIGCONT)
    busy.join()


def test_probes_find_a_dead_peer_before_a_request_does(tcp_server: tuple[Server, str]) -> None:
    server, remote = tcp_server
    client = session(remote, probe=300)
    client.select("Load_Balancer")
    time.sleep(1.5)
    assert server.accepted() == 1
    server.signal(signal.SIGSTOP)
    wait_for(lambda: client._shared().connection is None, timeout=3)
    server.signal(signal.SIGCONT)


def test_a_changed_row(server: Server) -> None:
    uuid = server.insert(name="a")
    client = session(server.unix)
    where = [["_uuid", "==", ovs_uuid(uuid)]]
    guard = {
        "op": "wait",
        "timeout": 0,
        "table": "Load_Balancer",
        "where": where,
        "columns": ["name"],
        "until": "==",
        "rows": [{"name": "a"}],
    }
    update = {"op": "update", "table": "Load_Balancer", "where": where, "row": {"name": "b"}}
    client.transact([guard, update])
    with pytest.raises(Changed):
        client.transact([guard, update])
    assert names(server) == {"b"}


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (insert("x") | {"row": {"protocol": "icmp"}}, r"constraint violation: .*\(insert in"),
        (insert("x") | {"table": "Nonsense"}, r"No table named Nonsense"),
        ({"op": "insert", "table": "BFD", "row": {"dst_ip": "1", "logical_port": "1"}}, r"index"),
    ],
)  # fmt: skip
def test_refusals(server: Server, operation: dict[str, object], reason: str) -> None:
    client = session(server.unix)
    with pytest.raises(Refused, match=reason):
        client.transact([operation, operation])
    assert server.rows() == []
    client.transact([insert("still works")])


def test_a_server_without_the_database(server: Server) -> None:
    client = OvsdbSession(endpoint(server.unix), "Nonsense", timeout=0.3)
    with pytest.raises(NotSent, match="has no database Nonsense"):
        client.transact([insert("a")])


def test_tls(directory: Path) -> None:
    with tls_server(directory, "nb") as (server, remote, tls):
        client = session(remote, tls=tls)
        client.transact([insert("a")])
        assert [row["name"] for row in client.select("Load_Balancer")] == ["a"]
        server.restart()
        client.transact([insert("b")])
        stranger = session(remote, tls=make_tls(directory / "other-pki"), timeout=0.5)
        with pytest.raises(NotSent, match="certificate verify failed"):
            stranger.select("Load_Balancer")
        assert names(server) == {"a", "b"}


def test_large_replies(server: Server) -> None:
    content = {"op": "insert", "table": "Load_Balancer", "row": {"name": 'é"}' * 1000}}
    client = session(server.unix)
    client.transact([content] * 1000)
    start = time.process_time()
    rows = client.select("Load_Balancer")
    print(f"1,000 rows of 4 kB: {time.process_time() - start:.3f} s")
    assert {row["name"] for row in rows} == {'é"}' * 1000}
    assert len(rows) == 1000


def test_a_cluster_prefers_its_leader_and_survives_its_death(cluster: Cluster) -> None:
    client = session(*cluster.remotes, timeout=10)
    leader = cluster.leader()
    client.transact([insert("first")])
    assert client._shared().connection.remote == leader.unix
    slowest = 0.0
    for number in range(200):
        if number == 60:
            leader.kill()
        start = time.monotonic()
        write_once(client, str(number))
        slowest = max(slowest, time.monotonic() - start)
    print(f"slowest transaction: {slowest:.2f} s")
    (row,) = client.select("Load_Balancer", [["name", "==", "first"]])
    assert row["external_ids"] == {str(number): "done" for number in range(200)}


def write_once(client: OvsdbSession, key: str) -> None:
    """Set a key of the row named "first"; do it again for as long as the outcome is not known."""
    mutation = ["external_ids", "insert", ovs_map({key: "done"})]
    where = [["name", "==", "first"]]
    operation = {"op": "mutate", "table": "Load_Balancer", "where": where, "mutations": [mutation]}
    for _ in range(5):
        try:
            (result,) = client.transact([operation])
        except Unanswered:
            continue
        assert result["count"] == 1
        return
    pytest.fail("no transaction was answered")


def test_a_follower_will_do_and_a_lost_member_will_not(cluster: Cluster) -> None:
    leader = cluster.leader()
    follower, other = (member for member in cluster.servers if member is not leader)
    client = session(follower.unix, timeout=10)
    client.transact([insert("a")])
    assert len(client.select("Load_Balancer")) == 1
    leader.kill()
    other.kill()
    wait_for(lambda: "disconnected" in follower.control("cluster/status", DATABASE), timeout=15)
    client.close()
    with pytest.raises(NotSent, match="not connected to its cluster"):
        client.transact([insert("b")], deadline=time.monotonic() + 1)
