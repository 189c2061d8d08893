# SPDX-License-Identifier: Apache-2.0
"""Packets: who may use a VIP that has security groups, from every place a client may be."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import random
import time
from typing import TYPE_CHECKING

import pytest

from sandbox import chassis
from tests.sandbox.reaching import WELCOME, outside, reached, reaches, vips
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.api import Json
    from sandbox.stack import Stack
    from tests.sandbox.plane import Plane

PLACES = ("beside", "behind")
SOON = 5.0
"""Seconds within which a change takes effect."""


@pytest.fixture(scope="module", autouse=True)
def _permitted(stack: Stack) -> Iterator[None]:
    """While `[ovn] vip_security_groups` is set."""
    file = stack.settings.etc / "octavia.conf"
    before = file.read_text()
    file.write_text(before.replace("[ovn]\n", "[ovn]\nvip_security_groups = True\n", 1))
    chassis.restart(stack)
    try:
        yield
    finally:
        file.write_text(before)
        chassis.restart(stack)


@pytest.fixture(autouse=True)
def _nothing_is_left(plane: Plane) -> Iterator[None]:
    yield
    plane.scenery.delete_load_balancers()
    for table in ("Port_Group", "ACL", "Address_Set"):
        mark = r"external_ids:octavia\:security_groups=True"
        assert plane.scenery.nb("--bare", "find", table, mark).strip() == ""


@pytest.fixture
def group(plane: Plane) -> Iterator[Callable[..., str]]:
    """Make a security group with ingress rules; it is deleted at the end."""
    made: list[str] = []

    def make(*rules: Json) -> str:
        found = plane.cloud.create("security_group", name=f"group {len(made)}")["id"]
        made.append(found)
        for rule in rules:
            allow(plane, found, **rule)
        return str(found)

    yield make
    plane.scenery.delete_load_balancers()
    for each in reversed(made):
        with contextlib.suppress(Exception):  # the test has deleted it
            plane.cloud.delete("network", f"/v2.0/security-groups/{each}")


def allow(plane: Plane, group: str, **rule: object) -> str:
    """Add an ingress rule; return its id."""
    body = {"direction": "ingress", "ethertype": "IPv4", **rule}
    return str(plane.cloud.create("security_group_rule", security_group_id=group, **body)["id"])


def forbid(plane: Plane, rule: str) -> None:
    """Delete a rule."""
    plane.cloud.delete("network", f"/v2.0/security-group-rules/{rule}")


def guarded(plane: Plane, *groups: str, protocol: str = "TCP", **values: object) -> Json:
    """A load balancer of both families whose VIP has security groups."""
    members = (plane.member("one"), plane.member("two", 6))
    listener = plane.listener(*members, protocol=protocol)
    more = {"additional_vips": [{"subnet_id": plane.servers6}], "vip_sg_ids": list(groups)}
    return plane.load_balancer(listener, **more, **values)


def address(plane: Plane, client: str, version: int = 4) -> str:
    return plane.scenery.stack.guests.get(client).address(version)


def acls(plane: Plane) -> str:
    """Return what is denied now: the ACLs and the sets."""
    mark = r"external_ids:octavia\:security_groups=True"
    texts = [
        plane.scenery.nb("--bare", f"--columns={column}", "find", table, mark)
        for table, column in (("ACL", "match"), ("Address_Set", "addresses"))
    ]
    return "\n".join("\n".join(sorted(text.split())) for text in texts)


@contextlib.contextmanager
def follows(plane: Plane) -> Iterator[None]:
    """After a change in here, what is denied changes soon; flows are in place."""
    before = acls(plane)
    yield
    took = until(lambda: acls(plane) != before, seconds=SOON)
    print(f"followed within {took:.2f} s")
    time.sleep(0.3)  # several events may belong to one change
    plane.sync()


@contextlib.contextmanager
def in_group(plane: Plane, client: str, group: str) -> Iterator[None]:
    """While a client's port is in a group besides its own."""
    path = f"/v2.0/ports/{plane.scenery.stack.guests.get(client).port_id}"
    groups = plane.cloud.get("network", path)["port"]["security_groups"]
    plane.cloud.put("network", path, {"port": {"security_groups": [*groups, group]}})
    try:
        yield
    finally:
        plane.cloud.put("network", path, {"port": {"security_groups": groups}})


def set_groups(plane: Plane, lb: Json, *groups: str) -> float:
    """Update the groups; return after how many seconds Octavia shows the end."""
    began = time.monotonic()
    body = {"loadbalancer": {"vip_sg_ids": list(groups)}}
    plane.cloud.octavia("PUT", f"/loadbalancers/{lb['id']}", body)
    plane.cloud.wait_for(lb["id"])
    took = time.monotonic() - began
    plane.sync()
    return took


TCP80 = {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80}


def test_cidrs_from_every_place_to_every_address(plane: Plane, group: Callable[..., str]) -> None:
    """Of each family another client is allowed; the floating IP comes later."""
    cidrs = [address(plane, "beside"), *WELCOME]
    first = group(*({**TCP80, "remote_ip_prefix": f"{each}/32"} for each in cidrs))
    second = group({"ethertype": "IPv6", "remote_ip_prefix": f"{address(plane, 'behind', 6)}/128"})
    lb = guarded(plane, first, second)
    vip, vip6 = vips(lb)
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)

    found = reached(plane, *itertools.product(PLACES, (vip, vip6, floating)))

    assert found == {("beside", vip), ("beside", floating), ("behind", vip6)}
    assert outside(plane, floating) == set(WELCOME)
    assert reaches(plane, "behind", plane.member("one")["address"])


def test_a_group_without_rules_lets_nobody_in(plane: Plane, group: Callable[..., str]) -> None:
    lb = guarded(plane, group())
    vip, vip6 = vips(lb)
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)

    assert reached(plane, *itertools.product(PLACES, (vip, vip6, floating))) == set()
    assert outside(plane, floating) == set()


def test_rules_come_and_go(plane: Plane, group: Callable[..., str]) -> None:
    """Protocols and ranges of ports: the listener is on TCP port 80."""
    one = group(
        {"protocol": "udp"}, {"protocol": "tcp", "port_range_min": 81, "port_range_max": 90}
    )
    vip, _ = vips(guarded(plane, one))
    assert not reaches(plane, "beside", vip)

    with follows(plane):
        ranged = allow(plane, one, protocol="tcp", port_range_min=70, port_range_max=80)
    assert reached(plane, ("beside", vip), ("behind", vip)) == {("beside", vip), ("behind", vip)}
    with follows(plane):
        forbid(plane, ranged)
    assert not reaches(plane, "beside", vip)
    with follows(plane):
        anything = allow(plane, one, remote_ip_prefix=f"{address(plane, 'behind')}/32")
    assert reached(plane, ("beside", vip), ("behind", vip)) == {("behind", vip)}
    with follows(plane):
        forbid(plane, anything)
    assert not reaches(plane, "behind", vip)


def test_members_of_a_remote_group(plane: Plane, group: Callable[..., str]) -> None:
    """A client joins, and leaves; of both families, on the VIP's switch and on another."""
    members = group()
    one = group({"remote_group_id": members}, {"ethertype": "IPv6", "remote_group_id": members})
    lb = guarded(plane, one)
    everything = tuple(itertools.product(PLACES, vips(lb)))
    assert reached(plane, *everything) == set()

    for client in PLACES:
        with follows(plane), contextlib.ExitStack() as stack:
            stack.enter_context(in_group(plane, client, members))
            leave = stack.pop_all()
        assert reached(plane, *everything) == {each for each in everything if each[0] == client}
        with plane.connection(client, vips(lb)[0]) as connection:
            assert connection.ask() == "one"
            with follows(plane):
                leave.close()
            assert connection.ask() == "one"
        assert reached(plane, *everything) == set()


def test_remote_address_groups(plane: Plane, group: Callable[..., str]) -> None:
    mine = address(plane, "beside")
    addresses = plane.cloud.create("address_group", name="some", addresses=[f"{mine}/32"])["id"]
    one = group({"remote_address_group_id": addresses, **TCP80})
    vip, _ = vips(guarded(plane, one))
    attempts = (("beside", vip), ("behind", vip))
    assert reached(plane, *attempts) == {("beside", vip)}

    path = f"/v2.0/address-groups/{addresses}"
    with follows(plane):
        plane.cloud.put("network", f"{path}/add_addresses", {"addresses": ["10.20.1.0/24"]})
    assert reached(plane, *attempts) == set(attempts)
    with follows(plane):
        plane.cloud.put("network", f"{path}/remove_addresses", {"addresses": [f"{mine}/32"]})
    assert reached(plane, *attempts) == {("behind", vip)}
    plane.scenery.delete_load_balancers()


def test_udp(plane: Plane, group: Callable[..., str]) -> None:
    one = group({"protocol": "udp", "remote_ip_prefix": f"{address(plane, 'behind')}/32"})
    vip, _ = vips(guarded(plane, one, protocol="UDP"))

    assert reaches(plane, "behind", vip, "udp")
    assert not reaches(plane, "beside", vip, "udp")


def test_groups_are_changed_by_updates(plane: Plane, group: Callable[..., str]) -> None:
    """Octavia does not pass them on; the update ends when they are enforced."""
    one = group({**TCP80, "remote_ip_prefix": f"{address(plane, 'beside')}/32"})
    two = group({**TCP80, "remote_ip_prefix": f"{address(plane, 'behind')}/32"})
    lb = guarded(plane)
    attempts = tuple((client, vips(lb)[0]) for client in PLACES)
    assert reached(plane, *attempts) == set(attempts)
    took = []

    for groups, allowed in (
        ([one], attempts[:1]),
        ([two], attempts[1:]),
        ([one, two], attempts),
        ([group()], ()),
        ([], attempts),
    ):
        took.append(set_groups(plane, lb, *groups))
        assert reached(plane, *attempts) == set(allowed)
    print("updates took", [f"{each:.2f}" for each in took])
    assert max(took) < SOON


def test_a_group_that_is_deleted_lets_nobody_in(plane: Plane, group: Callable[..., str]) -> None:
    one = group(TCP80)
    vip, _ = vips(guarded(plane, one))
    assert reaches(plane, "beside", vip)

    with follows(plane):
        plane.cloud.delete("network", f"/v2.0/security-groups/{one}")

    assert not reaches(plane, "beside", vip)


def test_beside_clients_own_rules(plane: Plane, group: Callable[..., str]) -> None:
    """A client whose egress rules forbid the VIP gets nothing, whatever the VIP allows."""
    lb = guarded(plane, group(TCP80))
    closed = plane.cloud.create("security_group", name="closed")
    for rule in closed["security_group_rules"]:
        forbid(plane, rule["id"])
    path = f"/v2.0/ports/{plane.scenery.stack.guests.get('beside').port_id}"
    groups = plane.cloud.get("network", path)["port"]["security_groups"]
    plane.cloud.put("network", path, {"port": {"security_groups": [closed["id"]]}})
    try:
        plane.sync()
        assert not reaches(plane, "beside", lb["vip_address"])
    finally:
        plane.cloud.put("network", path, {"port": {"security_groups": groups}})
        plane.cloud.delete("network", f"/v2.0/security-groups/{closed['id']}")
    plane.sync()
    assert reaches(plane, "beside", lb["vip_address"])


def test_too_many_single_clients(plane: Plane, group: Callable[..., str]) -> None:
    """What cannot be described keeps all out, and Octavia shows it, until it can be."""
    chance = random.Random(1)
    mine = f"{address(plane, 'beside', 6)}/128"
    many = [f"{ipaddress.IPv6Address(chance.getrandbits(128))}/128" for _ in range(100)]
    addresses = plane.cloud.create("address_group", name="many", addresses=[mine])["id"]
    one = group({"ethertype": "IPv6", "remote_address_group_id": addresses}, TCP80)
    lb = guarded(plane, one)
    vip, vip6 = vips(lb)
    everything = tuple(itertools.product(PLACES, (vip, vip6)))
    allowed = {("beside", vip6), ("beside", vip), ("behind", vip)}
    assert reached(plane, *everything) == allowed
    path = f"/v2.0/address-groups/{addresses}"

    with follows(plane):
        plane.cloud.put("network", f"{path}/add_addresses", {"addresses": many})
    until(lambda: operating(plane, lb) == "ERROR", seconds=SOON)
    assert reached(plane, *everything) == set()
    with follows(plane):
        plane.cloud.put("network", f"{path}/remove_addresses", {"addresses": many})
    until(lambda: operating(plane, lb) == "ONLINE", seconds=SOON)
    assert reached(plane, *everything) == allowed


def operating(plane: Plane, lb: Json) -> str:
    found = plane.cloud.octavia("GET", f"/loadbalancers/{lb['id']}")["loadbalancer"]
    return str(found["operating_status"])
