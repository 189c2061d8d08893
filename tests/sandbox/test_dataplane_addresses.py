# SPDX-License-Identifier: Apache-2.0
"""Packets: every address a load balancer may have, from every place a client may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.networks import disconnect
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from tests.sandbox.plane import Plane


_NONE = "[]"


@pytest.fixture
def mine(plane: Plane) -> Iterator[Json]:
    """A port that the user brings; its first address is not the one that will be the VIP."""
    port = plane.port(plane.servers6, plane.servers4)
    yield port
    for lb in plane.cloud.octavia("GET", "/loadbalancers")["loadbalancers"]:
        plane.cloud.octavia("DELETE", f"/loadbalancers/{lb['id']}?cascade=true")
        plane.cloud.wait_for(lb["id"], "DELETED")
    plane.cloud.delete("network", f"/v2.0/ports/{port['id']}")


@pytest.mark.parametrize("client", ["beside", "behind"])
def test_an_ipv6_vip(plane: Plane, client: str) -> None:
    members = (plane.member("one", 6), plane.member("two", 6))
    lb = plane.load_balancer(plane.listener(*members), vip_subnet_id=plane.servers6)

    assert set(plane.ask(client, lb["vip_address"])) == {"one", "two"}
    assert plane.addresses(lb["vip_port_id"]) == _NONE


def test_a_dual_stack_load_balancer_keeps_the_families_apart(plane: Plane) -> None:
    lb = plane.load_balancer(
        plane.listener(plane.member("one"), plane.member("two", 6)),
        additional_vips=[{"subnet_id": plane.servers6}],
    )
    additional = lb["additional_vips"][0]

    for client in ("beside", "behind"):
        assert plane.ask(client, lb["vip_address"], 5) == {"one": 5}
        assert plane.ask(client, additional["ip_address"], 5) == {"two": 5}
    assert plane.addresses(lb["vip_port_id"]) == _NONE
    assert plane.addresses(additional["port_id"]) == _NONE


def test_a_floating_ip_set_after_the_load_balancer_and_taken_away(plane: Plane) -> None:
    lb = plane.load_balancer(plane.listener(plane.member("one")))
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)

    assert plane.ask("outside", floating, 5) == {"one": 5}

    plane.take_floating_ip(floating)
    until(lambda: floating not in plane.scenery.nb("list", "Load_Balancer"))
    plane.sync()
    assert "one" not in plane.ask("outside", floating, 2)
    assert plane.ask("beside", lb["vip_address"], 5) == {"one": 5}


def test_a_floating_ip_set_before_the_load_balancer(plane: Plane, mine: Json) -> None:
    floating = plane.floating_ip(mine["id"])

    where = {"vip_port_id": mine["id"], "vip_subnet_id": plane.servers4}
    plane.load_balancer(plane.listener(plane.member("one")), **where)

    assert plane.ask("outside", floating, 5) == {"one": 5}


def test_the_users_own_port_is_reached_from_its_own_switch(plane: Plane, mine: Json) -> None:
    assert plane.addresses(mine["id"]) != _NONE
    where = {"vip_port_id": mine["id"], "vip_subnet_id": plane.servers4}
    lb = plane.load_balancer(plane.listener(plane.member("one")), **where)
    port = f"/v2.0/ports/{mine['id']}"

    until(lambda: plane.addresses(mine["id"]) == _NONE, seconds=2)
    plane.sync()
    assert plane.ask("beside", lb["vip_address"], 5) == {"one": 5}

    # Neutron writes the addresses again when the user changes the port.
    plane.cloud.put("network", port, {"port": {"name": "renamed"}})
    until(lambda: plane.addresses(mine["id"]) == _NONE)
    plane.sync()
    assert plane.ask("beside", lb["vip_address"], 5) == {"one": 5}

    plane.cloud.octavia("DELETE", f"/loadbalancers/{lb['id']}?cascade=true")
    plane.cloud.wait_for(lb["id"], "DELETED")
    now = plane.cloud.get("network", port)["port"]
    assert (now["name"], now["device_owner"], now["device_id"]) == ("renamed", "", "")
    assert mine["mac_address"] in plane.addresses(mine["id"])


def test_a_vip_on_the_provider_network_is_reached_from_outside(plane: Plane) -> None:
    subnet = plane.cloud.neutron("subnets", network_id=plane.scenery.public)[0]["id"]

    lb = plane.load_balancer(plane.listener(plane.member("one")), vip_subnet_id=subnet)

    assert plane.ask("outside", lb["vip_address"], 5) == {"one": 5}
    assert plane.addresses(lb["vip_port_id"]) == _NONE


def test_a_network_that_joins_the_router_later(plane: Plane) -> None:
    lb = plane.load_balancer(plane.listener(plane.member("one")))
    with plane.network_that_joins(lb) as (network, subnet):
        assert plane.ask("late", lb["vip_address"], 5) == {"one": 5}

        disconnect(plane.cloud, plane.router, subnet)
        until(lambda: not plane.hangs_on(lb, network))


def test_a_vip_port_that_is_deleted_in_neutron_is_made_anew(plane: Plane) -> None:
    lb = plane.load_balancer(plane.listener(plane.member("one")))
    vip, dead = lb["vip_address"], lb["vip_port_id"]
    plane.cloud.delete("network", f"/v2.0/ports/{dead}")
    until(lambda: plane.row(lb)["external_ids"]["neutron:vip_port_id"] != dead)
    made = plane.row(lb)["external_ids"]["neutron:vip_port_id"]
    (port,) = plane.cloud.neutron("ports", id=made)
    assert port["name"] == f"ovn-lb-vip-{lb['id']}"
    assert [each["ip_address"] for each in port["fixed_ips"]] == [vip]
    plane.sync()
    for client in ("beside", "behind"):
        assert plane.ask(client, vip, 3) == {"one": 3}
    assert plane.cloud.wait_for(lb["id"])["vip_port_id"] == dead  # no driver can change that


def test_a_vip_port_whose_address_is_changed_gets_it_back(plane: Plane) -> None:
    lb = plane.load_balancer(plane.listener(plane.member("one")))
    vip, port_id = lb["vip_address"], lb["vip_port_id"]
    elsewhere = [{"subnet_id": plane.servers4, "ip_address": "10.20.0.240"}]
    path = f"/v2.0/ports/{port_id}"
    plane.cloud.put("network", path, {"port": {"fixed_ips": elsewhere}})
    until(lambda: _addresses(plane, port_id) == [vip])
    plane.sync()
    assert plane.ask("behind", vip, 3) == {"one": 3}


def test_a_vip_whose_port_the_user_deletes_is_not_served_any_more(plane: Plane) -> None:
    port = plane.port(plane.servers4)
    vip = port["fixed_ips"][0]["ip_address"]
    lb = plane.load_balancer(plane.listener(plane.member("one")), vip_port_id=port["id"])
    assert plane.ask("behind", vip, 3) == {"one": 3}

    plane.cloud.delete("network", f"/v2.0/ports/{port['id']}")
    until(lambda: plane.cloud.wait_for(lb["id"])["operating_status"] == "ERROR")
    assert plane.row(lb)["vips"] == {}
    taken = plane.cloud.create(
        "port",
        network_id=plane.servers,
        fixed_ips=[{"subnet_id": plane.servers4, "ip_address": vip}],
    )
    plane.sync()
    assert plane.ask("behind", vip, 1) == {"timeout": 1}
    plane.cloud.delete("network", f"/v2.0/ports/{taken['id']}")


def _addresses(plane: Plane, port_id: str) -> list[str]:
    (port,) = plane.cloud.neutron("ports", id=port_id)
    return [each["ip_address"] for each in port["fixed_ips"]]
