# SPDX-License-Identifier: Apache-2.0
"""The VIP port of a load balancer of amphora, on its way to OVN and back."""

import pytest

from octavia_ovn.adapters.neutron.handover import VipHandover
from octavia_ovn.errors import NotFound

OLD = "0a0a0a0a-0000-4000-8000-000000000001"
NEW = "0b0b0b0b-0000-4000-8000-000000000002"
MARKS = ("name", "device_id", "device_owner", "admin_state_up")


@pytest.fixture
def port(cloud, subnet):
    return cloud.create_port(
        subnet["network_id"],
        name=f"octavia-lb-{OLD}",
        device_id=f"lb-{OLD}",
        device_owner="Octavia",
        admin_state_up=False,
    )


@pytest.fixture
def vip(client, port):
    address = port["fixed_ips"][0]["ip_address"]
    return VipHandover(client, OLD, port["id"], address)


def marks(cloud, port):
    found = cloud.ports[port["id"]]
    return tuple(found[name] for name in MARKS)


def test_the_port_comes_and_goes_back(cloud, port, vip):
    before = marks(cloud, port)
    assert vip.is_octavias()

    vip.release()

    assert vip.is_octavias()
    assert marks(cloud, port)[1:3] == ("", "")

    vip.give(NEW)
    vip.give(NEW)

    assert vip.is_octavias()
    assert marks(cloud, port) == (f"ovn-lb-vip-{NEW}", f"lb-{NEW}", "", True)

    vip.give_back()

    assert marks(cloud, port) == before


def test_a_users_port_keeps_its_name_and_owner(cloud, client, subnet):
    made = cloud.create_port(subnet["network_id"], name="mine", device_owner="me")
    before = marks(cloud, made)
    vip = VipHandover(client, OLD, made["id"], made["fixed_ips"][0]["ip_address"])

    vip.release()

    assert not vip.is_octavias()
    assert marks(cloud, made) == before


def test_amphorae_lose_the_vip_alone_and_get_it_back(cloud, port, subnet, vip):
    others = [{"ip_address": "10.9.9.9"}, {"ip_address": "10.0.0.0/24"}]
    pairs = [*others, {"ip_address": vip.address, "mac_address": "fa:16:3e:00:00:01"}]
    amphora = cloud.create_port(subnet["network_id"], allowed_address_pairs=pairs)

    for _ in "twice":
        vip.silence([amphora["id"]])
        assert cloud.ports[amphora["id"]]["allowed_address_pairs"] == others

    for _ in "twice":
        vip.unsilence([amphora["id"]])
        now = cloud.ports[amphora["id"]]["allowed_address_pairs"]
        assert now == [*others, {"ip_address": vip.address}]


def test_the_port_is_gone(cloud, port, vip):
    cloud.delete_port(port["id"])

    with pytest.raises(NotFound):
        vip.release()
