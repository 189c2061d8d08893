# SPDX-License-Identifier: Apache-2.0
"""The sockets of octavia-driver-agent against servers that speak its protocol."""

import contextlib
import socket
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from octavia_lib.api.drivers import driver_lib, exceptions

from octavia_ovn.adapters.octavia.driver_agent import DriverAgent, StatusRefused
from octavia_ovn.adapters.octavia.sockets import Sockets
from octavia_ovn.errors import Unanswered, Unavailable
from tests.functional.driver_messages import FAULT, STATUS
from tests.lab.sockets import DriverSockets


class Octavia:
    """What the server has received, and what it answers."""

    def __init__(self):
        self.received = []
        self.answer = {"status_code": 200}
        self.found = {}

    def status(self, request):
        self.received.append(request)
        return self.answer

    def get(self, request):
        self.received.append(request)
        return self.found


@pytest.fixture
def directory():
    # The path of a unix socket is short; pytest's directories are not.
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@pytest.fixture
def octavia(directory):
    fake = Octavia()
    server = DriverSockets(directory, fake.status, fake.status, fake.get)
    server.start()
    yield fake
    server.stop()


@pytest.fixture
def paths(directory):
    return [str(directory / f"{name}.sock") for name in ("status", "stats", "get")]


@pytest.fixture
def agent(paths):
    return DriverAgent(Sockets(*paths, timeout=1.0))


def test_statuses_arrive(octavia, agent):
    agent.update_status(STATUS)
    assert octavia.received == [STATUS]


def test_the_server_is_what_octavia_lib_expects(octavia, agent, paths):
    library = driver_lib.DriverLibrary(*paths)
    library.update_loadbalancer_status(STATUS)
    library.update_listener_statistics({"listeners": []})
    octavia.found = {"loadbalancer_id": "l", "name": "mine"}
    assert library.get_loadbalancer("l").to_dict() == agent.get_load_balancer("l")
    octavia.answer = dict(FAULT)
    with pytest.raises(exceptions.UpdateStatusError) as theirs:
        library.update_loadbalancer_status(STATUS)
    with pytest.raises(StatusRefused) as ours:
        agent.update_status(STATUS)
    assert str(ours.value) == theirs.value.fault_string
    assert ours.value.status_object == theirs.value.status_object == "listeners"
    assert ours.value.status_object_id == theirs.value.status_object_id == "i"
    library_received, ours_received = octavia.received[-2:]
    assert library_received == ours_received


def test_the_client_is_quick(octavia, agent):
    started = time.monotonic()
    for _ in range(20):
        agent.update_status(STATUS)
    assert time.monotonic() - started < 20 * 0.05  # octavia-lib sleeps for more in every call


def test_a_fault_without_details(octavia, agent):
    octavia.answer = {"status_code": 500}
    with pytest.raises(StatusRefused, match="no reason") as caught:
        agent.update_status(STATUS)
    assert caught.value.status_object is None
    assert caught.value.status_object_id is None


@pytest.mark.parametrize(
    "fault",
    [
        "(pymysql.err.OperationalError) (2003, \"Can't connect to MySQL server on 'db'\")",
        "(pymysql.err.OperationalError) (1213, 'Deadlock found when trying to get lock')",
        "(pymysql.err.InternalError) (1047, 'WSREP has not yet prepared node')",
        "(psycopg2.InterfaceError) connection already closed",
        "(psycopg2.errors.DeadlockDetected) deadlock detected",
        "(psycopg2.errors.LockNotAvailable) canceling statement due to lock timeout",
        "(psycopg2.errors.SerializationFailure) could not serialize access",
        "(psycopg2.errors.AdminShutdown) terminating connection due to administrator command",
        "(psycopg2.errors.ConnectionFailure) the server has gone",
        "(psycopg2.errors.ReadOnlySqlTransaction) cannot execute UPDATE in a read-only transaction",
        "QueuePool limit of size 10 overflow 20 reached, connection timed out",
        "Project busy.  Unable to lock the project.  Please try again.",
    ],
)
def test_a_fault_of_the_database_is_no_refusal(octavia, agent, fault):
    octavia.answer = dict(FAULT, fault_string=fault)
    with pytest.raises(Unavailable, match="Octavia's database"):
        agent.update_status(STATUS)


def test_a_value_that_the_database_refuses_is_a_refusal(octavia, agent):
    octavia.answer = dict(FAULT, fault_string="(pymysql.err.IntegrityError) (1452, '...')")
    with pytest.raises(StatusRefused):
        agent.update_status(STATUS)


def test_statistics(octavia, agent):
    agent.update_statistics({"listeners": [{"id": "i"}]})
    octavia.answer = {
        "status_code": 500,
        "fault_string": "bytes_in",
        "stats_object": "listeners",
        "stats_object_id": "i",
    }
    with pytest.raises(StatusRefused, match="bytes_in") as caught:
        agent.update_statistics({"listeners": [{"id": "i"}]})
    assert (caught.value.status_object, caught.value.status_object_id) == ("listeners", "i")


def test_objects(octavia, agent):
    assert agent.get_load_balancer("l") is None
    octavia.found = {"pool_id": "p", "name": "ä" * 100_000}
    assert agent.get("pools", "p") == octavia.found
    assert octavia.received == [
        {"object": "loadbalancers", "id": "l"},
        {"object": "pools", "id": "p"},
    ]


def test_large_requests(octavia, agent):
    status = {"members": [{"id": str(number)} for number in range(50_000)]}
    agent.update_status(status)
    assert octavia.received == [status]


def test_no_socket(agent, paths):
    with pytest.raises(Unavailable, match=paths[0]):
        agent.update_status(STATUS)


def test_no_process_listens(agent, paths):
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(paths[0])
    with pytest.raises(Unavailable, match="refused"):
        agent.update_status(STATUS)


def serve(path, *behaviours):
    """Serve one connection with each function, in a thread."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)

    def run():
        with listener:
            for behaviour in behaviours:
                with listener.accept()[0] as peer:
                    behaviour(peer)

    threading.Thread(target=run, daemon=True).start()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "ended before"),
        (b"2", "ended before"),
        (b'30\n{"status_code"', "ended before"),
        (b"x\n{}", "protocol"),
        (b"1\n{", "protocol"),
        (b"2\n[]", "protocol"),
    ],
)
def test_half_an_answer(agent, paths, answer, message):
    def behave(peer):
        peer.recv(1000)
        peer.sendall(answer)

    serve(paths[0], behave)
    with pytest.raises(Unavailable, match=message):
        agent.update_status(STATUS)


def test_no_answer(paths):
    serve(paths[0], lambda _: time.sleep(1.0))
    started = time.monotonic()
    with pytest.raises(Unanswered, match="within"):
        DriverAgent(Sockets(*paths, timeout=0.2)).update_status(STATUS)
    assert 0.19 < time.monotonic() - started < 0.8


def test_no_time_at_all(octavia, paths):
    with pytest.raises(Unavailable, match="within"):
        DriverAgent(Sockets(*paths, timeout=0)).update_status(STATUS)


def test_an_answer_that_trickles_in_ends_in_time(paths):
    def behave(peer):
        with contextlib.suppress(BrokenPipeError):
            for _ in range(10):
                peer.sendall(b"1")
                time.sleep(0.1)

    serve(paths[0], behave)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="within"):
        DriverAgent(Sockets(*paths, timeout=0.25)).update_status(STATUS)
    assert time.monotonic() - started < 0.8


def test_more_connections_than_the_queue_holds(paths):
    def behave(peer):
        time.sleep(0.02)
        peer.recv(1000)
        peer.sendall(b'20\n{"status_code": 200}')

    serve(paths[0], *[behave] * 20)
    agent = DriverAgent(Sockets(*paths, timeout=10.0))
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: agent.update_status(STATUS), range(20)))


def test_a_queue_that_stays_full(paths):
    serve(paths[0], lambda _: time.sleep(2.0))
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for each in waiting:
        each.connect(paths[0])
    with pytest.raises(Unavailable, match="within"):
        DriverAgent(Sockets(*paths, timeout=0.2)).update_status(STATUS)
    for each in waiting:
        each.close()
