# SPDX-License-Identifier: Apache-2.0
"""Several chassis with a collector each, agents that come and go, and no OpenStack."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.functional.statistics.field import VIP, VIP6, Field
from tests.sandbox.waiting import until


def test_a_connection_counts_once_though_its_packets_cross_two_chassis(field: Field) -> None:
    with field.agent():
        field.ask("near", 8)
        field.ask("far", 9)

        field.await_connections(17)
    assert field.octavia.counters["web"]["bytes_in"] > 17 * 200


@pytest.mark.parametrize("vip", [VIP, VIP6])
def test_clients_beyond_a_gateway(field: Field, vip: str) -> None:
    with field.agent():
        field.ask("stranger", 6, vip)
        field.ask("near", 4, vip)

        field.await_connections(10)
    assert field.octavia.counters["web"]["bytes_in"] > 10 * 200


def test_open_connections_of_a_listener_with_a_limit(field: Field) -> None:
    """ovn-northd has copied the option for the collectors; two chassis count, and a gateway."""
    field.limits.keys = frozenset({field.key})
    field.cloud.nbctl("set", "load_balancer", "lb", "options:octavia_connection_limit=true")
    with field.agent():
        with field.holding("near", 5), field.holding("far", 4, VIP6), field.holding("stranger", 3):
            field.await_open(12)
        field.await_open(0)
        with field.holding("far", 6):
            field.await_open(6)
            field.end("one", signal.SIGKILL)
            field.collect("one")
        field.await_open(0)
    assert field.limits.seen[-1].counting
    field.cloud.nbctl("remove", "load_balancer", "lb", "options", "octavia_connection_limit")


def test_collectors_and_agents_come_and_go(field: Field) -> None:
    with field.agent():
        field.ask("near", 3)
        field.await_connections(3)
    # No process listens.
    field.ask("far", 4)
    assert field.end("one") == 0
    field.ask("near", 5)
    field.end("two", signal.SIGKILL)
    field.ask("far", 6)
    for name in ("one", "two"):
        field.collect(name)
    field.ask("near", 1)

    with field.agent():
        field.await_connections(19)
    with field.agent():
        field.ask("far", 2)
        field.await_connections(21)


def test_a_chassis_vanishes(field: Field) -> None:
    with field.agent():
        field.ask("near", 3)
        field.ask("far", 4)
        field.await_connections(7)
        field.end("two", signal.SIGKILL)
        field.ask("near", 2)

        field.await_connections(9)


def test_open_vswitch_restarts(field: Field) -> None:
    with field.agent():
        field.ask("near", 4)
        field.await_connections(4)

        field.cloud.hypervisors["one"].restart_switch()
        field.cloud.sync()
        until(lambda: _answers(field, "near"))
        answered = field.octavia.connections()
        assert answered >= 4
        field.ask("near", 3)

        until(lambda: field.octavia.connections() >= 8)


def _answers(field: Field, client: str) -> bool:
    try:
        field.ask(client, 1)
    except subprocess.CalledProcessError:
        return False
    return True
