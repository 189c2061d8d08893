# SPDX-License-Identifier: Apache-2.0
"""Packets: members that die and return, as the health monitor sees them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.plane import MONITOR
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from tests.sandbox.plane import Plane


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
    plane.await_members(lb, "ONLINE", "one", "two")
    assert plane.member_status(lb, "three") == "OFFLINE"  # OVN checks only those that serve
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


def test_an_address_pair_is_served_without_being_checked(plane: Plane) -> None:
    """As keepalived has it: no port has the address, so OVN cannot check it."""
    shared = "10.20.0.250"
    pair = {**plane.member("two"), "name": "shared", "address": shared}
    with plane.address_pair("two", shared):
        lb = plane.load_balancer(plane.listener(plane.member("one"), pair, healthmonitor=MONITOR))
        plane.await_members(lb, "ONLINE", "one")
        assert plane.member_status(lb, "shared") == "NO_MONITOR"
        for client in ("beside", "behind"):
            assert set(plane.ask(client, lb["vip_address"])) == {"one", "two"}

        with plane.dead(lb, "one"):
            for client in ("beside", "behind"):
                assert plane.ask(client, lb["vip_address"], 20) == {"two": 20}
            assert plane.member_status(lb, "shared") == "NO_MONITOR"


def test_a_member_whose_port_no_hypervisor_has_gets_nothing_until_one_has(plane: Plane) -> None:
    port = plane.port(plane.servers4)
    address = port["fixed_ips"][0]["ip_address"]
    absent = {**plane.member("one"), "name": "absent", "address": address}
    lb = plane.load_balancer(plane.listener(plane.member("two"), absent, healthmonitor=MONITOR))
    plane.await_members(lb, "ONLINE", "two")
    plane.await_members(lb, "ERROR", "absent")
    assert plane.ask("behind", lb["vip_address"], 20) == {"two": 20}

    with plane.unplugged("two"):
        plane.await_members(lb, "ERROR", "two", "absent")
        for client in ("beside", "behind"):
            assert plane.ask(client, lb["vip_address"], 3) == {"refused": 3}
    plane.await_members(lb, "ONLINE", "two")
    assert plane.ask("behind", lb["vip_address"], 20) == {"two": 20}
    plane.cloud.delete("network", f"/v2.0/ports/{port['id']}")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_connections_are_refused_at_once_while_no_member_may_serve(
    plane: Plane, version: int, kind: str
) -> None:
    """And are served again as soon as one may; a pool that never had a member has no entry."""
    member = plane.member("one", version, weight=0)
    listener = plane.listener(member, protocol=kind.upper())
    where = {"vip_subnet_id": plane.servers4 if version == 4 else plane.servers6}
    lb = plane.load_balancer(listener, **where)
    for client in ("beside", "behind"):
        assert plane.ask(client, lb["vip_address"], 3, kind=kind) == {"refused": 3}

    plane.update_member(lb, "one", weight=1)
    for client in ("beside", "behind"):
        assert plane.ask(client, lb["vip_address"], 3, kind=kind) == {"one": 3}

    plane.update_member(lb, "one", admin_state_up=False)
    assert plane.ask("behind", lb["vip_address"], 3, kind=kind) == {"refused": 3}

    plane.delete_member(lb, "one")
    assert plane.row(lb)["vips"] == {}


def test_udp_through_a_floating_ip_is_refused_while_no_member_may_serve(plane: Plane) -> None:
    """A refusal of TCP comes from the router's address for SNAT, and the client ignores it."""
    lb = plane.load_balancer(plane.listener(plane.member("one", weight=0), protocol="UDP"))
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)

    assert plane.ask("outside", floating, 3, kind="udp") == {"refused": 3}


def test_a_udp_client_that_goes_on_sending_leaves_a_member_that_has_left(plane: Plane) -> None:
    members = (plane.member("one"), plane.member("two"))
    lb = plane.load_balancer(plane.listener(*members, protocol="UDP"))
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(plane.datagrams(client, lb["vip_address"]))
            for client in ("beside", "behind")
            for _ in range(6)
        ]
        assert {each.ask() for each in clients} == {"one", "two"}

        plane.delete_member(lb, "one")
        until(lambda: {each.ask() for each in clients} == {"two"})

        plane.update_member(lb, "two", weight=0)
        until(lambda: all(each.ask().startswith("broken") for each in clients))
