# SPDX-License-Identifier: Apache-2.0
"""Packets: what follows from results of checks by the program on the chassis."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import pytest

from sandbox.chassis import Program, checking
from tests.sandbox.plane import MONITOR
from tests.sandbox.test_dataplane_probes import application, monitored, server_in_vips
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from tests.sandbox.plane import Plane

ONE, TWO = "one", "two"


@pytest.fixture(scope="module")
def program(plane: Plane) -> Iterator[Program]:
    """The program on the chassis, which the agent knows."""
    with checking(plane.scenery.stack) as made:
        yield made


@contextlib.contextmanager
def served(plane: Plane, vip: str) -> Iterator[list[str]]:
    """Collect who serves a client that asks all the time."""
    seen: list[str] = []
    stopped = threading.Event()

    def ask() -> None:
        while not stopped.is_set():
            for name, count in plane.ask("behind", vip, 4).items():
                seen.extend([name] * count)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        stopped.set()
        thread.join(60)


def monitor_of(plane: Plane, lb: Json, **values: object) -> Json:
    """Put a monitor on the pool of a load balancer."""
    (pool,) = lb["pools"]
    body = {"healthmonitor": {"pool_id": pool["id"], **MONITOR, **values}}
    made: Json = plane.cloud.octavia("POST", "/healthmonitors", body)["healthmonitor"]
    plane.cloud.wait_for(lb["id"])
    return made


def test_a_new_monitor_has_no_member_serve_alone(plane: Plane, program: Program) -> None:
    """Two members serve; one answers its check well, the other never says anything that counts."""
    lb = plane.load_balancer(plane.listener(plane.member(ONE), plane.member(TWO)))
    vip = lb["vip_address"]
    assert set(plane.ask("behind", vip, 20)) == {ONE, TWO}
    both = server_in_vips(plane, lb)
    with served(plane, vip) as seen:
        monitor_of(plane, lb, type="TCP")
        while {plane.member_status(lb, each) for each in (ONE, TWO)} != {"ONLINE"}:
            assert server_in_vips(plane, lb) == both
        time.sleep(1)
    assert server_in_vips(plane, lb) == both
    assert set(seen) == {ONE, TWO}
    assert longest(seen, ONE) < 20
    assert longest(seen, TWO) < 20


def longest(seen: list[str], name: str) -> int:
    """Return how many answers in a row came from a server: 20 by chance once in a million."""
    best = count = 0
    for each in seen:
        count = count + 1 if each == name else 0
        best = max(best, count)
    return best


def test_a_member_that_is_new_in_a_checked_pool_waits(plane: Plane, program: Program) -> None:
    lb = monitored(plane, plane.member(ONE), type="TCP", delay=2, max_retries=3)
    plane.await_members(lb, "ONLINE", ONE)
    (pool,) = lb["pools"]
    body = {"member": plane.member(TWO)}
    plane.cloud.octavia("POST", f"/pools/{pool['id']}/members", body)
    plane.cloud.wait_for(lb["id"])
    assert plane.member_status(lb, TWO) == "OFFLINE"
    assert plane.ask("behind", lb["vip_address"], 20) == {ONE: 20}
    plane.await_members(lb, "ONLINE", TWO)
    assert set(plane.ask("behind", lb["vip_address"], 40)) == {ONE, TWO}


@pytest.mark.parametrize("fail_open", [True, False])
def test_when_all_members_fail(plane: Plane, program: Program, fail_open: bool) -> None:
    """Their checks fail, on another port; they themselves would serve."""
    members = [
        plane.member(ONE, monitor_port=8080),
        plane.member(TWO, monitor_port=8080),
        plane.member("three", monitor_port=8080, backup=True),
    ]
    listener = plane.listener(*members, healthmonitor={**MONITOR, "type": "HTTP"})
    flavor = plane.flavor(fail_open=fail_open)
    lb = plane.load_balancer(listener, flavor_id=flavor)
    vip = lb["vip_address"]
    plane.await_members(lb, "ERROR", ONE, TWO, "three")
    found = plane.ask("behind", vip, 40)
    assert set(found) == ({ONE, TWO} if fail_open else {"refused"})
    shown = plane.cloud.octavia("GET", f"/loadbalancers/{lb['id']}")["loadbalancer"]
    assert shown["operating_status"] == "ERROR"
    with application(plane, "three", "http", 8080):
        plane.await_members(lb, "ONLINE", "three")
        assert plane.ask("behind", vip, 20) == {"three": 20}
    plane.await_members(lb, "ERROR", "three")
    assert set(plane.ask("behind", vip, 40)) == set(found)


def test_members_say_their_weights(plane: Plane, program: Program) -> None:
    with application(plane, ONE, "http", 8080), application(plane, TWO, "http", 8080):
        members = [plane.member(each, monitor_port=8080) for each in (ONE, TWO)]
        listener = plane.listener(*members, healthmonitor={**MONITOR, "type": "HTTP"})
        lb = plane.load_balancer(listener, flavor_id=plane.flavor(endpoint_weights=True))
        vip = lb["vip_address"]
        plane.await_members(lb, "ONLINE", ONE, TWO)
        assert entries(plane, lb) == {ONE: 1, TWO: 1}

        say(plane, ONE, 9)
        until(lambda: entries(plane, lb) == {ONE: 9, TWO: 1}, seconds=30)
        plane.sync()
        found = plane.ask("behind", vip, 200)
        assert found[ONE] > 150
        assert found[TWO] > 2

        with plane.connection("behind", vip) as held:
            server = held.ask()
            other = TWO if server == ONE else ONE
            say(plane, server, 0)
            until(lambda: server not in entries(plane, lb), seconds=30)
            plane.sync()
            assert plane.ask("behind", vip, 20) == {other: 20}
            assert plane.member_status(lb, server) == "ONLINE"
            assert held.ask() == server


def say(plane: Plane, name: str, weight: int) -> None:
    """Have a server say a weight from now on."""
    guests = plane.scenery.stack.guests
    address = guests.get(name).address(4)
    guests.run("beside", ("curl", "-sf", f"http://{address}:8080/weight/{weight}"))


def entries(plane: Plane, lb: Json) -> dict[str, int]:
    """Return how many entries of `vips` each server has."""
    guests = plane.scenery.stack.guests
    names = {f"{guests.get(each).address(4)}:80": each for each in (ONE, TWO)}
    (value,) = plane.row(lb)["vips"].values()
    found = [names[each] for each in value.split(",") if each]
    return {each: found.count(each) for each in set(found)}
