# SPDX-License-Identifier: Apache-2.0
"""Packets: who may use a listener, from every place a client may be."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest

from sandbox import shell
from tests.sandbox.reaching import WELCOME, outside, reached, reaches, vips
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from tests.sandbox.plane import Plane


@pytest.fixture
def beside(plane: Plane) -> dict[int, str]:
    """The addresses of the client on the VIP's own switch."""
    guest = plane.scenery.stack.guests.get("beside")
    return {version: guest.address(version) for version in (4, 6)}


@pytest.fixture
def behind(plane: Plane) -> dict[int, str]:
    """The addresses of the client on another switch."""
    guest = plane.scenery.stack.guests.get("behind")
    return {version: guest.address(version) for version in (4, 6)}


@pytest.fixture(autouse=True)
def _nothing_is_left(plane: Plane) -> Iterator[None]:
    yield
    plane.scenery.delete_load_balancers()
    assert rows_of(plane) == {"Port_Group": [], "ACL": [], "Address_Set": []}


def rows_of(plane: Plane) -> dict[str, list[str]]:
    """The rows that restrict clients, as ovn-nbctl prints them: in an order that may change."""
    mark = r"external_ids:octavia\:allowed_cidrs=True"
    tables = ("Port_Group", "ACL", "Address_Set")
    printed = {each: plane.scenery.nb("--bare", "find", each, mark) for each in tables}
    return {
        table: sorted(row for row in text.strip().split("\n\n") if row)
        for table, text in printed.items()
    }


def settled_rows_of(plane: Plane) -> dict[str, list[str]]:
    """The rows, once the agent has followed what earlier tests did to networks."""
    seen = [rows_of(plane)]

    def settled() -> bool:
        time.sleep(1)
        seen.append(rows_of(plane))
        return seen[-1] == seen[-2]

    until(settled)
    return seen[-1]


def restricted(plane: Plane, *cidrs: str, protocol: str = "TCP", **values: object) -> Json:
    """A load balancer of both families whose listener only some clients may use."""
    members = (plane.member("one"), plane.member("two", 6))
    listener = {**plane.listener(*members, protocol=protocol), "allowed_cidrs": list(cidrs)}
    return plane.load_balancer(listener, additional_vips=[{"subnet_id": plane.servers6}], **values)


def run(plane: Plane, *words: str) -> str:
    """Run a command as an operator of the sandbox."""
    return shell.run(words, env=plane.scenery.stack.settings.base_environment)


def allow(plane: Plane, lb: Json, cidrs: list[str] | None) -> None:
    """Change who may use the listener; flows are in place."""
    (listener,) = plane.cloud.octavia("GET", f"/listeners?loadbalancer_id={lb['id']}")["listeners"]
    body = {"listener": {"allowed_cidrs": cidrs}}
    plane.cloud.octavia("PUT", f"/listeners/{listener['id']}", body)
    plane.cloud.wait_for(lb["id"])
    plane.sync()


def test_from_every_place_to_every_address(
    plane: Plane, beside: dict[int, str], behind: dict[int, str]
) -> None:
    """Of each family another client is allowed; the floating IP comes later."""
    cidrs = [f"{beside[4]}/32", f"{behind[6]}/128", *(f"{each}/32" for each in WELCOME)]
    lb = restricted(plane, *cidrs)
    vip, vip6 = vips(lb)
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)

    found = reached(plane, *itertools.product(("beside", "behind"), (vip, vip6, floating)))

    assert found == {("beside", vip), ("beside", floating), ("behind", vip6)}
    assert outside(plane, floating) == set(WELCOME)
    # The member itself is none of the listener's business.
    assert reaches(plane, "behind", plane.member("one")["address"])


def test_changed_and_removed_while_it_serves(
    plane: Plane, beside: dict[int, str], behind: dict[int, str]
) -> None:
    lb = restricted(plane, f"{beside[4]}/32")
    vip, vip6 = vips(lb)
    assert reached(plane, ("beside", vip), ("behind", vip)) == {("beside", vip)}

    allow(plane, lb, [f"{behind[4]}/24", "fd20::/64"])
    found = reached(plane, *itertools.product(("beside", "behind"), (vip, vip6)))
    assert found == {("behind", vip), ("beside", vip6)}

    allow(plane, lb, [])
    assert reaches(plane, "beside", vip)
    assert reaches(plane, "behind", vip6)
    assert rows_of(plane)["Port_Group"] == []


def test_udp(plane: Plane, behind: dict[int, str]) -> None:
    lb = restricted(plane, f"{behind[4]}/32", *(f"{each}/32" for each in WELCOME), protocol="UDP")
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)

    assert reaches(plane, "behind", lb["vip_address"], "udp")
    assert not reaches(plane, "beside", lb["vip_address"], "udp")
    assert reaches(plane, "behind", floating, "udp")
    # All clients outside are one guest; unasked, it uses its first address.
    assert reaches(plane, "crowd", floating, "udp")
    allow(plane, lb, [f"{behind[4]}/32"])
    assert not reaches(plane, "crowd", floating, "udp")


@pytest.mark.parametrize("client", ["beside", "behind"])
def test_sctp(plane: Plane, client: str, beside: dict[int, str], behind: dict[int, str]) -> None:
    """As OVN explains it: userspace Open vSwitch cannot balance SCTP."""
    vip = restricted(plane, f"{behind[4]}/32", protocol="SCTP")["vip_address"]
    source = {"beside": beside, "behind": behind}[client][4]

    (port,) = plane.cloud.neutron("ports", fixed_ips=f"ip_address={source}")
    packet = (
        f'inport == "{port["id"]}" && eth.src == {port["mac_address"]} && ip4.src == {source}'
        f" && eth.dst == {gateway(plane, port)} && ip4.dst == {vip} && ip.ttl == 64"
        " && sctp.src == 40000 && sctp.dst == 80"
    )
    path = run(plane, "ovn-trace", "--ct=new", f"neutron-{port['network_id']}", packet)

    assert ("backends=" in path) is (client == "behind")


def gateway(plane: Plane, port: Json) -> str:
    """Return the MAC that a guest sends to when the VIP is not on its network."""
    found = plane.cloud.neutron("ports", network_id=port["network_id"], device_id=plane.router)
    return str(found[0]["mac_address"])


def test_a_network_that_joins_the_router_later(plane: Plane) -> None:
    lb = restricted(plane, "10.20.0.0/24")
    with plane.network_that_joins(lb):
        assert not reaches(plane, "late", lb["vip_address"])
        allow(plane, lb, ["10.20.2.0/24"])
        assert reaches(plane, "late", lb["vip_address"])
        assert not reaches(plane, "beside", lb["vip_address"])


def test_a_vip_on_the_provider_network(plane: Plane) -> None:
    subnet = plane.cloud.neutron("subnets", network_id=plane.scenery.public)[0]["id"]
    listener = {
        **plane.listener(plane.member("one")),
        "allowed_cidrs": [f"{each}/32" for each in WELCOME],
    }

    lb = plane.load_balancer(listener, vip_subnet_id=subnet)

    assert outside(plane, lb["vip_address"]) == set(WELCOME)


def test_neutrons_repair_leaves_it_and_octavia_agrees(plane: Plane, beside: dict[int, str]) -> None:
    lb = restricted(plane, f"{beside[4]}/32", "fd20:1::1/64")
    before = settled_rows_of(plane)

    etc = plane.scenery.stack.settings.etc
    octavia = f"--config-file={etc / 'octavia.conf'}"
    files = (f"--config-file={etc / name}" for name in ("neutron.conf", "ml2_conf.ini"))
    run(plane, "neutron-ovn-db-sync-util", *files, "--ovn-neutron_sync_mode=repair")
    plane.sync()

    assert rows_of(plane) == before
    assert before["Port_Group"]
    assert [reaches(plane, each, lb["vip_address"]) for each in ("beside", "behind")] == [
        True,
        False,
    ]
    # It ends with an error if what Octavia tells of the networks is not what the rows say.
    run(plane, "octavia-ovn", "check", octavia, f"--loadbalancer={lb['id']}")
