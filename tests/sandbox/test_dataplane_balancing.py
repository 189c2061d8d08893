# SPDX-License-Identifier: Apache-2.0
"""Packets: who gets how many connections, and who keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.plane import CROWD, SERVERS

if TYPE_CHECKING:
    from tests.sandbox.plane import Plane


def test_a_weight_of_three_gets_three_quarters(plane: Plane) -> None:
    members = (plane.member("one", weight=3), plane.member("two", weight=1))
    lb = plane.load_balancer(plane.listener(*members))

    answers = plane.ask("behind", lb["vip_address"], 400)

    assert set(answers) == {"one", "two"}
    # Six standard deviations of 400 throws of this coin.
    assert 300 - 52 < answers["one"] < 300 + 52


def test_weight_zero_drains(plane: Plane) -> None:
    lb = plane.load_balancer(plane.listener(plane.member("one"), plane.member("two", weight=0)))

    with plane.connection("beside", lb["vip_address"]) as connection:
        assert connection.ask() == "one"
        plane.update_member(lb, "two", weight=1)
        plane.update_member(lb, "one", weight=0)

        assert set(plane.ask("beside", lb["vip_address"])) == {"two"}
        assert connection.ask() == "one"


def test_a_backup_member_serves_while_the_others_are_switched_off(plane: Plane) -> None:
    members = (plane.member("one"), plane.member("two", backup=True))
    lb = plane.load_balancer(plane.listener(*members))
    vip = lb["vip_address"]
    assert set(plane.ask("beside", vip)) == {"one"}

    plane.update_member(lb, "one", admin_state_up=False)
    assert set(plane.ask("beside", vip)) == {"two"}

    plane.update_member(lb, "one", admin_state_up=True)
    assert set(plane.ask("beside", vip)) == {"one"}


@pytest.mark.parametrize(
    "pool",
    [
        {"lb_algorithm": "SOURCE_IP"},
        {"lb_algorithm": "SOURCE_IP_PORT", "session_persistence": {"type": "SOURCE_IP"}},
    ],
    ids=["algorithm", "persistence"],
)
def test_a_client_stays_when_the_member_of_others_leaves(plane: Plane, pool: dict) -> None:
    lb = plane.load_balancer(plane.listener(*map(plane.member, SERVERS), **pool))
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)
    before = plane.ask_from(CROWD, floating)
    assert {len(servers) for servers in before.values()} == {1}
    assert set.union(*before.values()) == set(SERVERS)

    # The first, so that the places of all others would change.
    plane.delete_member(lb, "one")
    after = plane.ask_from(CROWD, floating)

    others = [client for client, servers in before.items() if servers != {"one"}]
    assert {client: after[client] for client in others} == {
        client: before[client] for client in others
    }
    assert set.union(*after.values()) == {"two", "three"}


def test_udp(plane: Plane) -> None:
    members = (plane.member("one"), plane.member("two"))
    lb = plane.load_balancer(plane.listener(*members, protocol="UDP"))

    assert set(plane.ask("beside", lb["vip_address"], kind="udp")) == {"one", "two"}
    assert set(plane.ask("behind", lb["vip_address"], kind="udp")) == {"one", "two"}


def test_tcp_and_udp_on_the_same_port(plane: Plane) -> None:
    lb = plane.load_balancer(
        plane.listener(plane.member("one")),
        plane.listener(plane.member("two"), protocol="UDP"),
    )

    assert plane.ask("behind", lb["vip_address"], 5) == {"one": 5}
    assert plane.ask("behind", lb["vip_address"], 5, kind="udp") == {"two": 5}


def test_a_member_reaches_itself_through_the_vip(plane: Plane) -> None:
    lb = plane.load_balancer(plane.listener(plane.member("one")))

    assert plane.ask("one", lb["vip_address"], 5) == {"one": 5}
