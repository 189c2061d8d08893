# SPDX-License-Identifier: Apache-2.0
"""Packets: VIPs on a network without a router, where a router of ours answers for them."""

from __future__ import annotations

import dataclasses
import subprocess
from typing import TYPE_CHECKING

import pytest

from octavia_ovn.core.desired import responder
from tests.sandbox.networks import connect, disconnect
from tests.sandbox.plane import MONITOR
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from tests.sandbox.plane import Plane


SERVERS = ("isle1", "isle2")
CLIENT = "isler"
BOTH = set(SERVERS)


@dataclasses.dataclass(frozen=True)
class Island:
    """A dual-stack network without a router, two servers and a client on it."""

    plane: Plane
    network: str
    subnets: dict[int, str]

    def listener(self, *versions: int, protocol: str = "TCP", **pool: object) -> Json:
        """Describe a listener on port 80 whose members are the servers' addresses."""
        guests = self.plane.scenery.stack.guests
        members = (
            {
                "name": name,
                "address": guests.get(name).address(version),
                "protocol_port": 80,
                "subnet_id": self.subnets[version],
            }
            for name in SERVERS
            for version in versions
        )
        return self.plane.listener(*members, protocol=protocol, **pool)

    def load_balancer(self, *listeners: Json, **values: object) -> Json:
        """Create one with a VIP of each family; its flows are in place."""
        where = {
            "vip_subnet_id": self.subnets[4],
            "additional_vips": [{"subnet_id": self.subnets[6]}],
        }
        return self.plane.load_balancer(*listeners, **{**where, **values})

    def ask_afresh(self, address: str, count: int = 5) -> set[str]:
        """Ask with a client that has forgotten which MAC an address had."""
        self.plane.scenery.stack.guests.run(CLIENT, ("ip", "neighbour", "flush", "all"))
        return set(self.plane.ask(CLIENT, address, count))

    @property
    def responder_rows(self) -> str:
        """What the database has of the responder."""
        names = responder.names(f"neutron-{self.network}")
        return "".join(
            self.plane.scenery.nb("--bare", "--columns=name", "find", table, f"name={name}")
            for table, name in (
                ("Logical_Router", names.router),
                ("Logical_Router_Port", names.router_port),
                ("Logical_Switch_Port", names.switch_port),
            )
        ).strip()


@pytest.fixture(scope="module")
def island(plane: Plane) -> Iterator[Island]:
    cloud, guests = plane.cloud, plane.scenery.stack.guests
    network = cloud.create("network", name="island")["id"]
    subnets = {
        version: cloud.create("subnet", network_id=network, cidr=cidr, ip_version=version)["id"]
        for version, cidr in ((4, "10.30.0.0/24"), (6, "fd30::/64"))
    }
    for name in (*SERVERS, CLIENT):
        guests.create(cloud, name, network=network)
    for name in SERVERS:
        guests.start_server(name)
    yield Island(plane, network, subnets)
    for name in (*SERVERS, CLIENT):
        guests.remove(name, cloud)
    cloud.delete("network", f"/v2.0/networks/{network}")


def test_tcp_and_udp_of_both_families(plane: Plane, island: Island) -> None:
    lb = island.load_balancer(island.listener(4, 6), island.listener(4, 6, protocol="UDP"))

    for address in (lb["vip_address"], lb["additional_vips"][0]["ip_address"]):
        for client in (CLIENT, *SERVERS):  # a server may be its own backend
            assert set(plane.ask(client, address)) == BOTH
            assert set(plane.ask(client, address, kind="udp")) == BOTH


def test_several_load_balancers_come_and_go(plane: Plane, island: Island) -> None:
    first = island.load_balancer(island.listener(4, 6))
    second = island.load_balancer(island.listener(4, 6))
    for lb in (first, second):
        assert island.ask_afresh(lb["vip_address"], 20) == BOTH

    plane.cloud.octavia("DELETE", f"/loadbalancers/{first['id']}?cascade=true")
    plane.cloud.wait_for(first["id"], "DELETED")
    plane.sync()
    assert set(plane.ask(CLIENT, second["vip_address"])) == BOTH
    assert set(plane.ask(CLIENT, second["additional_vips"][0]["ip_address"])) == BOTH

    plane.cloud.octavia("DELETE", f"/loadbalancers/{second['id']}?cascade=true")
    plane.cloud.wait_for(second["id"], "DELETED")
    assert not island.responder_rows


def test_a_router_comes_and_goes(plane: Plane, island: Island) -> None:
    lb = island.load_balancer(island.listener(4, 6))
    router = plane.cloud.create("router", name="late")["id"]
    for subnet in island.subnets.values():
        connect(plane.cloud, router, subnet)
    until(lambda: not island.responder_rows)
    plane.sync()
    try:
        for address in (lb["vip_address"], lb["additional_vips"][0]["ip_address"]):
            assert island.ask_afresh(address, 20) == BOTH
    finally:
        for subnet in island.subnets.values():
            disconnect(plane.cloud, router, subnet)
        plane.cloud.delete("network", f"/v2.0/routers/{router}")
    until(lambda: island.responder_rows)
    plane.sync()
    for address in (lb["vip_address"], lb["additional_vips"][0]["ip_address"]):
        assert island.ask_afresh(address, 20) == BOTH


def test_only_allowed_clients_get_in(plane: Plane, island: Island) -> None:
    guests = plane.scenery.stack.guests
    allowed = [f"{guests.get(CLIENT).address()}/32"]
    lb = island.load_balancer({**island.listener(4), "allowed_cidrs": allowed}, additional_vips=[])
    group = f"octavia_lb_{lb['id'].replace('-', '_')}"
    until(lambda: plane.scenery.nb("get", "Port_Group", group, "ports").strip() != "[]")
    plane.sync()

    assert set(plane.ask(CLIENT, lb["vip_address"])) == BOTH
    assert BOTH.isdisjoint(plane.ask(SERVERS[0], lb["vip_address"], 3))


def test_dead_members_get_nothing(plane: Plane, island: Island) -> None:
    lb = island.load_balancer(island.listener(4, healthmonitor=MONITOR), additional_vips=[])
    until(lambda: plane.member_status(lb, "isle1") == "ONLINE")
    guests = plane.scenery.stack.guests
    guests.stop_server("isle1")
    try:
        until(lambda: plane.member_status(lb, "isle1") == "ERROR")
        plane.sync()
        assert plane.ask(CLIENT, lb["vip_address"], 10) == {"isle2": 10}
    finally:
        guests.start_server("isle1")


def test_neutrons_repair_leaves_it_alone(plane: Plane, island: Island) -> None:
    lb = island.load_balancer(island.listener(4, 6))
    before = island.responder_rows
    settings = plane.scenery.stack.settings
    words = [str(settings.bin / "neutron-ovn-db-sync-util"), "--ovn-neutron_sync_mode", "repair"]
    for name in ("neutron.conf", "ml2_conf.ini"):
        words += ["--config-file", str(settings.etc / name)]
    done = subprocess.run(words, env=settings.base_environment, capture_output=True, check=True)

    printed = (done.stdout + done.stderr).decode()
    names = responder.names(f"neutron-{island.network}")
    assert names.router in island.responder_rows
    assert not [
        each for each in (names.router, names.router_port, names.switch_port) if each in printed
    ]
    assert island.responder_rows == before
    assert set(plane.ask(CLIENT, lb["vip_address"])) == BOTH


def test_the_users_own_port(plane: Plane, island: Island) -> None:
    fixed_ips = [{"subnet_id": island.subnets[4]}]
    port = plane.cloud.create("port", network_id=island.network, name="mine", fixed_ips=fixed_ips)
    try:
        lb = island.load_balancer(island.listener(4), vip_port_id=port["id"], additional_vips=[])
        until(lambda: plane.addresses(port["id"]) == "[]")
        plane.sync()
        assert set(plane.ask(CLIENT, lb["vip_address"])) == BOTH
        plane.cloud.octavia("DELETE", f"/loadbalancers/{lb['id']}?cascade=true")
        plane.cloud.wait_for(lb["id"], "DELETED")
    finally:
        plane.cloud.delete("network", f"/v2.0/ports/{port['id']}")


def test_a_listener_that_only_some_may_use(island: Island) -> None:
    listener = {**island.listener(4, 6), "allowed_cidrs": ["10.30.0.0/24"]}
    lb = island.load_balancer(listener)

    assert island.ask_afresh(lb["vip_address"], 20) == BOTH
    assert island.ask_afresh(lb["additional_vips"][0]["ip_address"]) == {"timeout"}
