# SPDX-License-Identifier: Apache-2.0
"""The agent's end of the connections from chassis, over real sockets."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from octavia_ovn.adapters.probing import connection, server
from octavia_ovn.adapters.probing.server import ChassisServer
from octavia_ovn.core.probing import messages
from octavia_ovn.core.probing.messages import Beat, Plan, Results
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.errors import BadConfiguration, Unavailable
from tests.adapters.probing.serving import ALL, HOST, MASTER, RESULT, Chassis, Clock, Seen, World
from tests.core.probing.examples import probe


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    found = World(clock)
    yield found
    found.stop()


def test_a_chassis_says_what_it_has_and_is_told_what_to_do(world: World) -> None:
    chassis = world.chassis()
    world.until(lambda: world.seen.results)
    assert world.seen.results == [("a", ALL)]
    (link,) = world.seen.links
    assert link.chassis == "a"

    link.send(Plan(put=(probe(),)))
    assert chassis.hear() == Beat()
    assert chassis.hear() == Plan(put=(probe(),))


def test_both_give_signs_of_life(world: World, clock: Clock) -> None:
    chassis = world.chassis()
    (link,) = world.seen.links
    assert chassis.hear() == Beat()
    before = link.last_seen
    clock.ahead += connection.BEAT
    assert chassis.hear() == Beat()
    chassis.say(Beat())
    world.until(lambda: link.last_seen > before)
    assert world.seen.results == [("a", ALL)]


def test_a_chassis_that_is_silent_is_gone(
    world: World, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    chassis = world.chassis()
    clock.ahead += connection.SILENCE + 1
    assert chassis.has_ended()
    assert world.seen.gone == world.seen.links
    assert "Chassis a is not connected any more: nothing has arrived for 10 s" in caplog.text


def test_a_chassis_that_closes_is_gone(world: World) -> None:
    chassis = world.chassis()
    chassis.file.close()
    chassis.socket.close()
    world.until(lambda: world.seen.gone)
    world.seen.links[0].send(Beat())  # nothing happens
    world.chassis()


def test_of_two_connections_of_a_chassis_the_newer_stays(world: World) -> None:
    old, new = world.chassis(), world.chassis()
    assert old.has_ended()
    assert world.seen.gone == world.seen.links[:1]
    world.seen.links[1].send(Plan(drop=("m1",)))
    assert new.hear() == Beat()
    assert new.hear() == Plan(drop=("m1",))


@pytest.mark.parametrize("known", [True, False])
def test_who_does_not_have_the_key_ends_nobodys_connection(world: World, known: bool) -> None:
    chassis = world.chassis() if known else None
    stranger = Chassis(world.port, master="another master key, which is as long")
    stranger.say()
    assert stranger.has_ended()
    assert len(world.seen.links) == known
    assert world.seen.gone == []
    if chassis is not None:
        world.seen.links[0].send(Plan())
        assert chassis.hear() == Beat()
        assert chassis.hear() == Plan()


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n",
        b"octavia-ovn-probes 9 00000000000000000000000000000000 a\n",
        b"x" * 600,
    ],
    ids=["other protocol", "other version", "endless"],
)
def test_who_speaks_otherwise_is_refused(
    world: World, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection((HOST, world.port), 5) as peer:
        peer.sendall(said)
        with contextlib.suppress(ConnectionError):
            while peer.recv(4096):
                pass
    world.chassis()
    assert f"A connection from {HOST}" in caplog.text


def test_a_line_that_does_not_end_is_refused(world: World) -> None:
    chassis = world.chassis()
    with contextlib.suppress(ConnectionError):
        chassis.socket.sendall(b"x" * (messages.MAX_LINE + 10))
    assert chassis.has_ended()


def test_a_chassis_that_says_too_much_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_MOST_LINES", 5)
    chassis = world.chassis()
    with contextlib.suppress(ConnectionError):
        for _ in range(10):
            chassis.say(Beat())
    assert chassis.has_ended()


def test_results_count_like_lines(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_MOST_LINES", 50)
    chassis = world.chassis()
    with contextlib.suppress(ConnectionError):
        chassis.say(Results((RESULT,) * 60))
    assert chassis.has_ended()


def test_the_count_of_lines_begins_again(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_MOST_LINES", 6)
    monkeypatch.setattr(connection, "SILENCE", 1000.0)
    chassis = world.chassis()
    for count in range(2, 9):
        clock.ahead += 6
        before = world.seen.links[0].last_seen
        chassis.say(Results((RESULT,)))
        world.until(lambda before=before: world.seen.links[0].last_seen > before)
        world.until(lambda count=count: len(world.seen.results) == count)
    assert world.seen.gone == []


def test_connections_that_do_not_begin_end(world: World, clock: Clock) -> None:
    with socket.create_connection((HOST, world.port), 5) as peer:
        assert peer.recv(100)
        clock.ahead += connection.HANDSHAKE + 1
        assert peer.recv(100) == b""


def test_many_strangers_keep_no_chassis_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STRANGERS", 3)
    monkeypatch.setattr(server, "_FRESH", 0.1)
    with contextlib.ExitStack() as opened:
        strangers = [
            opened.enter_context(socket.create_connection((HOST, world.port), 5)) for _ in range(9)
        ]
        world.chassis()
        assert len(world.server._strangers) <= 3
        assert strangers[0].recv(100)
        with contextlib.suppress(ConnectionError):
            assert strangers[0].recv(100) == b""


def test_chassis_that_come_all_at_once_are_all_served(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STRANGERS", 3)
    with contextlib.ExitStack() as opened:
        peers = [socket.create_connection((HOST, world.port), 5) for _ in range(20)]
        for peer in peers:
            opened.enter_context(peer)
        for number, peer in enumerate(peers):
            file = opened.enter_context(peer.makefile("rb"))
            nonce = messages.read_greeting(file.readline())
            name = f"hv{number}"
            key = messages.session_key(chassis_key(MASTER, name), nonce, "0" * 32)
            peer.sendall(messages.reply("0" * 32, name))
            peer.sendall(messages.Sealer(key, "chassis").seal(ALL))
        world.until(lambda: len(world.seen.links) == 20)
        assert world.seen.gone == []


def test_what_a_chassis_does_not_take_waits_and_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chassis = world.chassis()
    (link,) = world.seen.links
    plan = Plan(put=(probe(),) * messages.ROWS)
    for _ in range(200):
        link.send(plan)
    world.until(lambda: link._written)
    assert chassis.hear() == Beat()
    assert [chassis.hear() for _ in range(200)] == [plan] * 200

    monkeypatch.setattr(connection, "_WAITING", 1000)
    for _ in range(200):
        link.send(plan)
    world.until(lambda: world.seen.gone)


def test_a_server_that_is_closed_ends_all(clock: Clock) -> None:
    world = World(clock)
    chassis = world.chassis()
    stranger = socket.create_connection((HOST, world.port), 5)
    world.stop()
    assert chassis.has_ended()
    assert world.seen.gone == world.seen.links
    world.seen.links[0].send(Beat())  # nothing happens
    stranger.close()


def test_without_descriptors_it_tries_again(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Listener:
        def __init__(self, listener: socket.socket) -> None:
            self.fileno = listener.fileno
            self.close = listener.close
            self.accept = listener.accept

    listener: Any = world.server._listener

    def refuse() -> None:
        listener_of_test.accept = listener.accept
        raise OSError(errno.EMFILE, "Too many open files")

    listener_of_test = Listener(listener)
    listener_of_test.accept = refuse  # type: ignore[assignment, method-assign]
    world.server._selector.unregister(listener)
    monkeypatch.setattr(world.server, "_listener", listener_of_test)
    world.server._selector.register(listener_of_test, server._READ)
    world.chassis()
    assert "Connections of chassis cannot be accepted: [Errno 24] Too many open files" in (
        caplog.text
    )


def test_an_address_of_another_host_is_refused_by_its_option() -> None:
    with pytest.raises(BadConfiguration, match=r"\[ovn_statistics\] bind_host no.such.host"):
        ChassisServer("no.such.host.invalid", 1, MASTER, Seen())


def test_a_port_in_use_may_be_free_later() -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=f"cannot connect to {HOST}:{port}"):
            ChassisServer(HOST, port, MASTER, Seen())


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((100, 1000), (1000, 1000)),
        ((100, resource.RLIM_INFINITY), (1 << 16, resource.RLIM_INFINITY)),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_there_may_be_a_file_for_each_chassis(
    limits: tuple[int, int], expected: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: found.append(wanted))
    server._allow_files()
    assert found == ([] if expected is None else [expected])


def test_two_programs_of_one_chassis_do_not_displace_each_other_for_ever(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    programs = [world.chassis() for _ in range(4)]
    last = programs[-1]
    for each in programs[:-1]:
        assert each.has_ended()
    for _ in range(3):
        rival = Chassis(world.port).say()
        assert rival.hear() is None
        last.say(Beat())
    assert len(world.seen.links) == 4
    assert len(world.seen.gone) == 3
    assert caplog.text.count("Two programs connect as chassis a, from 127.0.0.1") == 1


def test_the_rival_of_a_program_that_falls_silent_takes_its_place(
    world: World, clock: Clock
) -> None:
    programs = [world.chassis() for _ in range(4)]
    assert Chassis(world.port).say().hear() is None
    clock.ahead += 5.0
    programs.append(world.chassis())
    assert len(world.seen.gone) == 4
