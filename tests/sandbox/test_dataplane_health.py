"""Packets: members that die and return, as the health monitor sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.plane import MONITOR

if TYPE_CHECKING:
    from tests.sandbox.plane import Plane

pytestmark = pytest.mark.sandbox


def test_a_dead_member_gets_nothing_through_vip_and_floating_ip(plane: Plane) -> None:
    members = (plane.member("one"), plane.member("two"))
    lb = plane.load_balancer(plane.listener(*members, healthmonitor=MONITOR))
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)
    plane.await_members(lb, "ONLINE", "one", "two")
    assert set(plane.ask("behind", lb["vip_address"])) == {"one", "two"}
    assert set(plane.ask("outside", floating)) == {"one", "two"}

    with plane.dead(lb, "one"):
        assert plane.ask("behind", lb["vip_address"], 40) == {"two": 40}
        assert plane.ask("beside", lb["vip_address"], 40) == {"two": 40}
        assert plane.ask("outside", floating, 40) == {"two": 40}

    assert set(plane.ask("behind", lb["vip_address"])) == {"one", "two"}
    assert set(plane.ask("outside", floating)) == {"one", "two"}


def test_a_backup_member_comes_when_the_last_other_dies_and_leaves_when_it_returns(
    plane: Plane,
) -> None:
    members = (plane.member("one"), plane.member("two"), plane.member("three", backup=True))
    lb = plane.load_balancer(plane.listener(*members, healthmonitor=MONITOR))
    vip = lb["vip_address"]
    plane.await_members(lb, "ONLINE", "one", "two", "three")
    assert set(plane.ask("beside", vip)) == {"one", "two"}

    with plane.dead(lb, "one"):
        assert set(plane.ask("beside", vip)) == {"two"}
        with plane.dead(lb, "two"):
            assert set(plane.ask("beside", vip)) == {"three"}
        assert set(plane.ask("beside", vip)) == {"two"}
    assert set(plane.ask("beside", vip)) == {"one", "two"}


def test_connections_are_refused_at_once_when_all_members_are_dead(plane: Plane) -> None:
    lb = plane.load_balancer(plane.listener(plane.member("one"), healthmonitor=MONITOR))
    plane.await_members(lb, "ONLINE", "one")

    # Not through a floating IP: OVN sends the refusal from the router's address for SNAT.
    with plane.dead(lb, "one"):
        for client in ("beside", "behind"):
            assert plane.ask(client, lb["vip_address"], 3) == {"refused": 3}
