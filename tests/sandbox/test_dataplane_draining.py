# SPDX-License-Identifier: Apache-2.0
"""Packets: members that leave keep their connections until a deadline, if the flavor says so."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING

import pytest

from sandbox import octavia
from tests.sandbox.plane import MONITOR, SERVERS
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox.api import Json
    from tests.sandbox.plane import Connection, Plane

DRAIN = 8
"""Seconds."""
LATE = 2.0
"""Seconds within which connections end after the deadline: northd and the hypervisor follow."""
QUIET = 1.5
"""Seconds before the deadline when clients pause: ovs-vswitchd 3.1 in user space may abort if
packets come while their connection is being flushed."""
CLIENTS = ("beside", "behind", "one")


@contextlib.contextmanager
def fleet(
    plane: Plane, addresses: dict[str, str], each: int = 2, kind: str = "tcp"
) -> Iterator[list[Connection]]:
    """Hold connections of several clients."""
    hold = plane.datagrams if kind == "udp" else plane.connection
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(hold(client, address))
            for client, address in addresses.items()
            for _ in range(each)
        ]


def answers(connections: Sequence[Connection]) -> set[str]:
    """Return who answers over connections, or `broken`."""
    found = {each.ask() for each in connections}
    return {each.partition(":")[0] for each in found}


def served(plane: Plane, *members: Json, drain: int = DRAIN, **pool: object) -> Json:
    """Return a load balancer of a flavor that drains."""
    flavor = plane.flavor(drain_timeout=drain)
    return plane.load_balancer(plane.listener(*members, **pool), flavor_id=flavor)


def leaves(plane: Plane, lb: Json, name: str, how: str) -> None:
    """Have a member leave."""
    if how == "deleted":
        plane.delete_member(lb, name)
    elif how == "disabled":
        plane.update_member(lb, name, admin_state_up=False)
    else:
        plane.update_member(lb, name, weight=0)


@pytest.mark.parametrize("how", ["deleted", "disabled", "weight 0"])
def test_a_member_that_leaves_keeps_its_connections_until_the_deadline(
    plane: Plane, how: str
) -> None:
    lb = served(plane, plane.member("one"), plane.member("two", weight=0))
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)
    addresses = {**dict.fromkeys(CLIENTS, lb["vip_address"]), "outside": floating}

    with fleet(plane, addresses) as connections:
        assert answers(connections) == {"one"}
        plane.update_member(lb, "two", weight=1)
        began = time.monotonic()
        leaves(plane, lb, "one", how)

        assert time.monotonic() - began < DRAIN / 2, "Octavia has waited"
        if how == "weight 0":
            assert plane.member_status(lb, "one") == "DRAINING"
        while time.monotonic() - began < DRAIN - QUIET:
            assert answers(connections) == {"one"}
            for client, address in addresses.items():
                assert plane.ask(client, address, 10) == {"two": 10}
        time.sleep(QUIET + LATE / 2)
        until(lambda: answers(connections) == {"broken"}, seconds=LATE)
    for client, address in addresses.items():
        assert plane.ask(client, address, 10) == {"two": 10}
    until(lambda: len(plane.rows(lb)) == 1)


def test_a_rolling_update_of_all_members_breaks_no_connection(plane: Plane) -> None:
    """One server after the other is replaced, while clients keep their connections and new come."""
    lb = served(plane, *map(plane.member, SERVERS[:2]), drain=60)
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)
    addresses = {**dict.fromkeys(CLIENTS, lb["vip_address"]), "outside": floating}
    (pool,) = plane.cloud.octavia("GET", f"/pools?loadbalancer_id={lb['id']}")["pools"]
    there = list(SERVERS[:2])

    with fleet(plane, addresses, each=5) as connections:
        before = [each.ask() for each in connections]
        assert set(before) == set(there)
        for gone, new in (("one", "three"), ("two", "one"), ("three", "two")):
            body = {"member": plane.member(new)}
            plane.cloud.octavia("POST", f"/pools/{pool['id']}/members", body)
            plane.cloud.wait_for(lb["id"])
            plane.delete_member(lb, gone)
            there = [new if each == gone else each for each in there]
            for client, address in addresses.items():
                assert set(plane.ask(client, address, 30)) == set(there)
            assert [each.ask() for each in connections] == before


def test_one_that_comes_back_keeps_its_connections(plane: Plane) -> None:
    lb = served(plane, plane.member("one"), plane.member("two", weight=0), drain=6)
    vip = lb["vip_address"]

    with fleet(plane, dict.fromkeys(CLIENTS, vip)) as connections:
        assert answers(connections) == {"one"}
        plane.update_member(lb, "one", weight=0)
        assert plane.ask("behind", vip, 3) == {"refused": 3}
        plane.update_member(lb, "one", weight=1)
        assert plane.ask("behind", vip, 3) == {"one": 3}
        time.sleep(6 + LATE)

        assert answers(connections) == {"one"}


def test_its_address_serves_again_in_a_new_member(plane: Plane) -> None:
    lb = served(plane, plane.member("one"), plane.member("two"))
    (pool,) = plane.cloud.octavia("GET", f"/pools?loadbalancer_id={lb['id']}")["pools"]
    plane.delete_member(lb, "one")
    assert plane.ask("beside", lb["vip_address"]) == {"two": 20}

    body = {"member": plane.member("one")}
    plane.cloud.octavia("POST", f"/pools/{pool['id']}/members", body)
    plane.cloud.wait_for(lb["id"])
    plane.sync()
    assert set(plane.ask("beside", lb["vip_address"], 30)) == {"one", "two"}


@pytest.mark.parametrize("version", [4, 6])
def test_all_members_may_drain(plane: Plane, version: int) -> None:
    """New connections are refused at once; the others end, by a time-out of the client."""
    members = [plane.member(each, version) for each in ("one", "two")]
    where = {"vip_subnet_id": plane.servers4 if version == 4 else plane.servers6}
    flavor = plane.flavor(drain_timeout=DRAIN)
    lb = plane.load_balancer(plane.listener(*members), flavor_id=flavor, **where)
    vip = lb["vip_address"]

    with fleet(plane, {"beside": vip, "behind": vip}, each=4) as connections:
        assert answers(connections) == {"one", "two"}
        plane.update_member(lb, "one", weight=0)
        plane.update_member(lb, "two", weight=0)
        for client in ("beside", "behind"):
            assert plane.ask(client, vip, 3) == {"refused": 3}
        assert answers(connections) == {"one", "two"}
        time.sleep(DRAIN + LATE)

        assert answers(connections) == {"broken"}


def test_a_udp_client_stays_until_the_deadline(plane: Plane) -> None:
    lb = served(plane, plane.member("one"), plane.member("two", weight=0), protocol="UDP")
    vip = lb["vip_address"]

    with fleet(plane, {"beside": vip, "behind": vip}, kind="udp") as sockets:
        assert answers(sockets) == {"one"}
        plane.update_member(lb, "two", weight=1)
        plane.delete_member(lb, "one")
        for client in ("beside", "behind"):
            assert plane.ask(client, vip, 10, kind="udp") == {"two": 10}
        time.sleep(DRAIN / 2)
        assert answers(sockets) == {"one"}
        time.sleep(DRAIN / 2 + LATE / 2)
        until(lambda: answers(sockets) == {"two"}, seconds=LATE)


def test_clients_that_are_kept_stay_with_their_members(plane: Plane) -> None:
    """Where the client's address chooses, the others keep theirs."""
    persistence = {"type": "SOURCE_IP"}
    lb = served(plane, *map(plane.member, SERVERS), session_persistence=persistence)
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)
    sources = [f"172.24.4.{number}" for number in range(210, 222)]
    before = plane.ask_from(sources, floating, 2)
    others = {source: who for source, who in before.items() if who != {"one"}}
    assert 0 < len(others) < len(before)

    plane.delete_member(lb, "one")
    during = plane.ask_from(sources, floating, 2)
    time.sleep(DRAIN + LATE)
    after = plane.ask_from(sources, floating, 2)

    assert others.items() <= during.items()
    assert during == after


def test_a_member_that_fails_drains_if_the_flavor_says_so(plane: Plane) -> None:
    """Its check gets no answer, while its connections live."""
    flavor = plane.flavor(drain_timeout=DRAIN, drain_failed=True)
    members = (plane.member("one"), plane.member("two", weight=0))
    lb = plane.load_balancer(plane.listener(*members, healthmonitor=MONITOR), flavor_id=flavor)
    plane.await_members(lb, "ONLINE", "one")
    vip = lb["vip_address"]
    guests = plane.scenery.stack.guests
    mapping = plane.row(lb)["ip_port_mappings"][guests.get("one").address()]
    source = mapping.partition(":")[2]

    with fleet(plane, {"beside": vip, "behind": vip}) as connections:
        assert answers(connections) == {"one"}
        plane.update_member(lb, "two", weight=1)
        plane.await_members(lb, "ONLINE", "two")
        guests.run("one", ("ip", "route", "add", "blackhole", source))
        try:
            plane.await_members(lb, "ERROR", "one")
            assert plane.ask("behind", vip) == {"two": 20}
            assert answers(connections) == {"one"}
            time.sleep(DRAIN)
            until(lambda: answers(connections) == {"broken"}, seconds=LATE)
            assert plane.member_status(lb, "one") == "ERROR"
        finally:
            guests.run("one", ("ip", "route", "del", "blackhole", source))
        plane.await_members(lb, "ONLINE", "one")
        assert set(plane.ask("behind", vip)) == {"one", "two"}


def test_another_agent_ends_it_at_the_deadline(plane: Plane) -> None:
    lb = served(plane, plane.member("one"), plane.member("two", weight=0), drain=30)
    vip = lb["vip_address"]
    stack = plane.scenery.stack

    with fleet(plane, {"beside": vip, "behind": vip}) as connections:
        assert answers(connections) == {"one"}
        plane.update_member(lb, "two", weight=1)
        began = time.monotonic()
        plane.update_member(lb, "one", weight=0)
        stack.supervisor.signal(octavia.DRIVER_AGENT, signal.SIGKILL)
        stack.stop(octavia.DRIVER_AGENT)
        assert answers(connections) == {"one"}
        stack.start(octavia.DRIVER_AGENT)

        time.sleep(max(0.0, began + 30 - 2 * QUIET - time.monotonic()))
        assert answers(connections) == {"one"}
        time.sleep(max(0.0, began + 30 + LATE / 2 - time.monotonic()))
        until(lambda: answers(connections) == {"broken"}, seconds=LATE)


def test_a_load_balancer_is_deleted_meanwhile(plane: Plane) -> None:
    lb = served(plane, plane.member("one"), plane.member("two"))
    plane.delete_member(lb, "one")
    plane.cloud.octavia("DELETE", f"/loadbalancers/{lb['id']}?cascade=true")

    until(lambda: lb["id"] not in plane.scenery.nb("--columns=name", "list", "Load_Balancer"))
    assert "octavia" not in plane.scenery.nb("list", "Load_Balancer_Health_Check")
