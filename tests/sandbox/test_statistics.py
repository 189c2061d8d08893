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

from octavia_ovn.core.statistics.keys import chassis_key
from sandbox import ini, octavia, ovn, shell
from sandbox.process import Service
from sandbox.settings import split_option
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from sandbox.stack import Stack
    from tests.sandbox.plane import Plane


_SECTION = "ovn_statistics"


class Collector:
    """The collector of the sandbox's hypervisor."""

    def __init__(self, stack: Stack) -> None:
        """Configure it for the agent that runs."""
        self._supervisor = stack.supervisor
        settings = stack.settings
        options = (split_option(text) for text in settings.octavia_options)
        agent = {option: value for section, option, value in options if section == _SECTION}
        config = settings.run / "octavia-ovn-stats.conf"
        values = {
            "key": chassis_key(agent["master_key"], ovn.CHASSIS),
            "controllers": f"{agent['bind_host']}:{agent['bind_port']}",
            "read_interval": 0.2,
            "send_interval": 0.5,
            "connections_interval": 0.5,
            "ovs_rundir": settings.run,
            "state_file": settings.run / "octavia-ovn-stats.json",
        }
        ini.write(config, {"ovn": {"ovn_sb_connection": settings.sb}, _SECTION: values})
        self._service = Service(
            name="octavia-ovn-stats",
            argv=(str(settings.bin / "octavia-ovn-stats"), "--config-file", str(config)),
            env=settings.base_environment,
            ready=lambda: "This is chassis" in self._log.read_text(),
        )
        self._log = self._supervisor.log_file("octavia-ovn-stats")

    def start(self) -> None:
        """Start it; returns when it counts."""
        self._log.unlink(missing_ok=True)
        self._supervisor.start(self._service)
        self._supervisor.wait(self._service)

    def kill(self) -> None:
        """End it without a chance to save or send anything."""
        self._supervisor.signal(self._service.name, signal.SIGKILL)
        self._supervisor.stop(self._service.name)

    def stop(self) -> None:
        """End it in order."""
        self._supervisor.stop(self._service.name)


@pytest.fixture
def collector(plane: Plane) -> Iterator[Collector]:
    """A collector that counts."""
    made = Collector(plane.scenery.stack)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def lb(plane: Plane, collector: Collector) -> Json:
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


def test_listeners_are_counted_apart(plane: Plane, collector: Collector) -> None:
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


def test_the_sum_is_right_whatever_begins_anew(
    plane: Plane, lb: Json, collector: Collector
) -> None:
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
