# SPDX-License-Identifier: Apache-2.0
"""Packets, and what Octavia says that there were of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import octavia, ovn, shell
from sandbox.chassis import Program
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from tests.sandbox.plane import Plane


@pytest.fixture
def collector(plane: Plane) -> Iterator[Program]:
    """A collector that counts."""
    made = Program(plane.scenery.stack)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def lb(plane: Plane, collector: Program) -> Json:
    """One on two servers."""
    return plane.load_balancer(plane.listener(plane.member("one"), plane.member("two")))


def statistics(plane: Plane, lb: Json) -> dict[str, int]:
    found: Any = plane.cloud.octavia("GET", f"/loadbalancers/{lb['id']}/stats")["stats"]
    return found


def await_connections(plane: Plane, lb: Json, number: int) -> None:
    def seen() -> int:
        return statistics(plane, lb)["total_connections"]

    with contextlib.suppress(AssertionError):
        until(lambda: seen() >= number, seconds=30)
    assert seen() == number


def test_every_connection_counts_once_whoever_asks(plane: Plane, lb: Json) -> None:
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)

    plane.ask("beside", lb["vip_address"], 7)
    plane.ask("behind", lb["vip_address"], 5)
    plane.ask("crowd", floating, 11)

    await_connections(plane, lb, 23)
    # Requests of HTTP/1.1 with headers, and the packets of a connection around them. Open vSwitch
    # tells of a connection's later packets up to a second after the first.
    until(lambda: statistics(plane, lb)["bytes_in"] > 23 * 400, seconds=30)
    time.sleep(2)
    before = statistics(plane, lb)
    assert before["bytes_in"] < 23 * 2000

    plane.ask("crowd", floating, 1)
    await_connections(plane, lb, 24)
    until(lambda: statistics(plane, lb)["bytes_in"] > before["bytes_in"] + 300, seconds=30)


def test_the_openstack_command_shows_them(plane: Plane, lb: Json) -> None:
    plane.ask("beside", lb["vip_address"], 3)
    await_connections(plane, lb, 3)

    stack = plane.scenery.stack
    environment = {**stack.settings.base_environment, **stack.settings.client_environment}
    shown = json.loads(
        shell.run(
            ["openstack", "loadbalancer", "stats", "show", lb["id"], "-f", "json"], env=environment
        )
    )

    assert int(shown["total_connections"]) == 3
    assert int(shown["bytes_in"]) > 0


def test_listeners_are_counted_apart(plane: Plane, collector: Program) -> None:
    lb = plane.load_balancer(
        plane.listener(plane.member("one")),
        plane.listener(plane.member("two"), protocol="UDP"),
    )
    plane.ask("behind", lb["vip_address"], 4)
    plane.ask("behind", lb["vip_address"], 6, kind="udp")
    await_connections(plane, lb, 10)

    listeners = plane.cloud.octavia("GET", f"/listeners?loadbalancer_id={lb['id']}")["listeners"]
    found = {
        each["protocol"]: plane.cloud.octavia("GET", f"/listeners/{each['id']}/stats")["stats"]
        for each in listeners
    }

    assert found["TCP"]["total_connections"] == 4
    assert found["UDP"]["total_connections"] == 6


def test_open_connections(plane: Plane, lb: Json) -> None:
    with plane.connection("beside", lb["vip_address"]) as connection:
        connection.ask()
        until(lambda: statistics(plane, lb)["active_connections"] == 1, seconds=30)

    until(lambda: statistics(plane, lb)["active_connections"] == 0, seconds=30)


def test_the_sum_is_right_whatever_begins_anew(plane: Plane, lb: Json, collector: Program) -> None:
    vip, stack = lb["vip_address"], plane.scenery.stack
    plane.ask("beside", vip, 5)
    await_connections(plane, lb, 5)

    # Nobody counts while these are made, and one that dies has not delivered what it counted.
    collector.kill()
    plane.ask("behind", vip, 6)
    collector.start()
    await_connections(plane, lb, 11)

    # An agent that takes with it what it has heard.
    agent = octavia.provider_agent_pid(stack.supervisor)
    os.kill(agent, signal.SIGSTOP)
    plane.ask("beside", vip, 7)
    os.kill(agent, signal.SIGKILL)
    stack.stop(octavia.DRIVER_AGENT)
    stack.start(octavia.DRIVER_AGENT)
    await_connections(plane, lb, 18)

    # Flows with other cookies, that begin at nothing. Open vSwitch takes up to half a second to
    # count, and the collector looks every fifth of one.
    plane.ask("beside", vip, 4)
    await_connections(plane, lb, 22)
    plane.update_member(lb, "two", weight=0)
    plane.ask("beside", vip, 3)
    await_connections(plane, lb, 25)

    # All flows are gone.
    stack.stop("ovs-vswitchd")
    stack.start("ovs-vswitchd")
    ovn.sync(stack.settings)
    until(lambda: set(plane.ask("beside", vip, 1)) == {"one"})
    plane.ask("behind", vip, 3)
    until(lambda: statistics(plane, lb)["total_connections"] >= 29, seconds=30)
    assert statistics(plane, lb)["bytes_in"] > 0
