# SPDX-License-Identifier: Apache-2.0
"""Ports that hold VIPs: made once, never taken from others, found again for deletion."""

import time

import pytest

from octavia_ovn.adapters.neutron.client import Neutron
from octavia_ovn.core.neutron_port import FixedIp
from octavia_ovn.errors import Conflict, NotFound, Refused, Unavailable
from tests.functional.neutron.calls import LB, PATIENCE, make_vip_port, requests
from tests.lab import env
from tests.lab.networks import PROJECT


def test_a_vip_port(cloud, client, subnet):
    port = make_vip_port(client, subnet, address="10.0.0.9")
    assert requests(cloud) == {"POST /v2.0/ports": 1}
    assert port.fixed_ips == (FixedIp(subnet["id"], "10.0.0.9"),)
    made = cloud.ports[port.id]
    assert made["name"] == f"ovn-lb-vip-{LB}"
    assert made["device_id"] == f"lb-{LB}"
    assert made["device_owner"] == ""
    assert made["admin_state_up"] is True
    assert made["project_id"] == PROJECT
    assert client.port(port.id) == port


def test_a_vip_port_on_a_network(cloud, client, subnet):
    port = client.create_vip_port(LB, None, subnet["network_id"])
    assert port.fixed_ips[0].subnet_id == subnet["id"]


def test_an_additional_vip_port(client, subnet):
    assert make_vip_port(client, subnet, index=2).name == f"ovn-lb-vip-additional-2-{LB}"


def test_addresses_are_canonical(cloud, client):
    subnet = cloud.add_subnet(cloud.add_network()["id"], "2001:db8::/64")
    port = make_vip_port(client, subnet, address="2001:DB8:0::9")
    assert port.fixed_ips[0].address == "2001:db8::9"


def test_an_address_that_another_port_has_is_a_conflict(cloud, client, subnet):
    cloud.add_port(subnet["id"], "10.0.0.9")
    with pytest.raises(Conflict, match=r"10\.0\.0\.9 already allocated"):
        make_vip_port(client, subnet, address="10.0.0.9")


def test_our_own_port_is_taken_again(cloud, client, subnet):
    first = make_vip_port(client, subnet, address="10.0.0.9")
    assert make_vip_port(client, subnet, address="10.0.0.9") == first


def test_a_user_port_of_our_name_is_not_taken(cloud, client, subnet):
    cloud.add_port(subnet["id"], "10.0.0.9", name=f"ovn-lb-vip-{LB}")
    with pytest.raises(Conflict):
        make_vip_port(client, subnet, address="10.0.0.9")


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (409, "OverQuota", Refused),
        (409, "IpAddressGenerationFailure", Refused),
        (409, "IpAddressInUse", Conflict),
        (400, "InvalidInput", Refused),
        (404, "NetworkNotFound", NotFound),
        (429, "", Unavailable),
        (500, "HTTPInternalServerError", Unavailable),
        (503, "", Unavailable),
    ],
)
def test_refusals(cloud, client, subnet, status, kind, error):
    cloud.http.inject(path="/ports", method="POST", status=status, kind=kind)
    with pytest.raises(error) as caught:
        make_vip_port(client, subnet)
    assert type(caught.value) is error
    assert ("Injected" in str(caught.value)) == bool(kind)
    assert not cloud.ports


def test_a_lost_answer_leaks_no_port(cloud, client, subnet):
    cloud.http.inject(path="/ports", method="POST", served=True, count=1)
    port = make_vip_port(client, subnet)
    assert list(cloud.ports) == [port.id]


def test_a_port_that_came_after_the_time_out_is_found_for_deletion(cloud, client, subnet):
    cloud.http.inject(path="/ports", method="POST", latency=2 * PATIENCE, count=1)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="Neutron did not answer POST"):
        make_vip_port(client, subnet)
    assert time.monotonic() - started < 2 * PATIENCE
    assert env.wait_until(lambda: cloud.ports, 5) is not None
    client.delete_vip_ports(LB)
    assert not cloud.ports


def test_a_second_attempt_takes_the_address_of_the_first(cloud, client, subnet):
    cloud.http.inject(path="/ports", method="POST", latency=2 * PATIENCE, count=1)
    with pytest.raises(Unavailable):
        make_vip_port(client, subnet, address="10.0.0.9")
    assert env.wait_until(lambda: cloud.ports, 5) is not None
    assert [make_vip_port(client, subnet, address="10.0.0.9").id] == list(cloud.ports)


def test_when_the_search_for_the_port_fails_too_the_first_error_counts(cloud, client, subnet):
    cloud.http.inject(path="/ports", method="POST", status=500, kind="First")
    cloud.http.inject(path="/ports", method="GET", status=503)
    with pytest.raises(Unavailable, match="500"):
        make_vip_port(client, subnet)


def test_only_ports_of_the_drivers_are_deleted(cloud, client, subnet):
    other = LB.replace("6", "7")
    kept = [
        cloud.add_port(subnet["id"], name=f"ovn-lb-vip-{LB}"),  # a server's
        cloud.create_port(subnet["network_id"], name="mine", device_id=f"lb-{LB}"),
        cloud.create_port(subnet["network_id"], name=f"octavia-lb-{LB}", device_id=f"lb-{LB}"),
        cloud.create_port(
            subnet["network_id"], name=f"ovn-lb-vip-{other}", device_id=f"lb-{other}"
        ),
        cloud.create_port(subnet["network_id"], name=f"ovn-lb-vip-{other}"),
        cloud.create_port(subnet["network_id"], name=f"ovn-lb-vip-{LB}", device_owner="mine"),
    ]
    make_vip_port(client, subnet)
    make_vip_port(client, subnet, index=1)
    for number in (1, 10):
        cloud.create_port(subnet["network_id"], name=f"ovn-lb-vip-additional-{number}-{LB}")
    cloud.create_port(
        subnet["network_id"],
        name=f"ovn-lb-vip-{LB}",
        device_id=f"lb-{LB}",
        device_owner="ovn-lb:vip",
    )
    cloud.create_port(subnet["network_id"], name=f"ovn-lb-vip-{LB}")
    for _ in range(2):
        client.delete_vip_ports(LB)
        assert set(cloud.ports) == {port["id"] for port in kept}


OURS = {"name": f"ovn-lb-vip-{LB}", "device_id": f"lb-{LB}", "device_owner": ""}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"name": f"ovn-lb-vip-additional-2-{LB}"},
        {"device_owner": "ovn-lb:vip"},
        {"device_id": ""},
    ],
)
def test_a_vip_port_that_rows_name_is_deleted_if_neutron_says_the_same(
    cloud, client, subnet, change
):
    port = cloud.create_port(subnet["network_id"], **OURS | change)
    for _ in range(2):
        client.delete_vip_port(port["id"], LB, PROJECT)
    assert not cloud.ports


@pytest.mark.parametrize(
    "change",
    [
        {"name": "web-1", "device_id": "", "device_owner": ""},
        {"name": "web-1"},
        {"name": f"ovn-lb-vip-{LB}-of-mine"},
        {"name": f"ovn-lb-vip-{LB.replace('6', '7')}"},
        {"device_id": f"lb-{LB.replace('6', '7')}"},
        {"device_owner": "compute:nova"},
        {"device_owner": "network:router_interface"},
        {"project_id": "another"},
    ],
)
def test_another_port_that_rows_name_is_kept(cloud, client, subnet, change, caplog):
    port = cloud.create_port(subnet["network_id"], **OURS | change)
    client.delete_vip_port(port["id"], LB, PROJECT)
    assert list(cloud.ports) == [port["id"]]
    assert f"Port {port['id']} is kept" in caplog.text


@pytest.mark.parametrize(("age", "reads"), [(0.9, 0), (1.1, 1)])
def test_a_port_that_was_seen_a_moment_ago_is_not_read_again(cloud, service, subnet, age, reads):
    now = [100.0]
    client = Neutron(service, clock=lambda: now[0])
    port = make_vip_port(client, subnet)
    seen = client.look_at(port.id)
    now[0] += age
    requests(cloud)

    client.delete_vip_port(port.id, LB, PROJECT, seen)

    assert not cloud.ports
    found = [request.split()[0] for request in requests(cloud)]
    assert found == ["GET"] * reads + ["DELETE"]


@pytest.mark.parametrize("change", [{"name": "web-1"}, {"project_id": "another"}])
def test_a_port_that_is_not_ours_any_more_is_kept(cloud, service, subnet, change):
    now = [100.0]
    client = Neutron(service, clock=lambda: now[0])
    port = make_vip_port(client, subnet)
    seen = client.look_at(port.id)
    cloud.ports[port.id] |= change
    now[0] += 1.1

    client.delete_vip_port(port.id, LB, PROJECT, seen)
    assert list(cloud.ports) == [port.id]

    client.delete_vip_port(port.id, LB, PROJECT, client.look_at(port.id))
    assert list(cloud.ports) == [port.id]


def test_a_vip_port_is_deleted_when_the_project_is_not_known(cloud, client, subnet):
    port = make_vip_port(client, subnet)
    client.delete_vip_port(port.id, LB)
    assert not cloud.ports


def test_a_vip_port_that_was_created_again_is_deleted_in_place_of_the_first(cloud, client, subnet):
    first = make_vip_port(client, subnet)
    cloud.delete_port(first.id)
    make_vip_port(client, subnet)
    client.delete_vip_port(first.id, LB, PROJECT)
    assert not cloud.ports


def test_a_port_is_touched_if_it_has_the_address(cloud, client, subnet):
    port = cloud.add_port(subnet["id"], "10.0.0.9", name="mine")
    requests(cloud)
    client.touch_port(port["id"], "10.0.0.8")
    assert requests(cloud) == {"GET /v2.0/ports/{id}": 1}

    client.touch_port(port["id"], "10.0.0.9")
    assert requests(cloud) == {"GET /v2.0/ports/{id}": 1, "PUT /v2.0/ports/{id}": 1}
    assert cloud.ports[port["id"]]["name"] == "mine"

    cloud.delete_port(port["id"])
    client.touch_port(port["id"], "10.0.0.9")


def test_deleting_a_port_that_is_gone(cloud, client, subnet):
    port = make_vip_port(client, subnet)
    client.delete_port(port.id)
    client.delete_port(port.id)


def test_a_lost_answer_to_a_deletion(cloud, client, subnet):
    port = make_vip_port(client, subnet)
    cloud.http.inject(method="DELETE", served=True, count=1)
    client.delete_port(port.id)
    assert not cloud.ports


def test_qos_policies(cloud, client, subnet):
    port = make_vip_port(client, subnet)
    client.set_qos_policy(port.id, "policy")
    assert cloud.ports[port.id]["qos_policy_id"] == "policy"
    client.set_qos_policy(port.id, None)
    assert cloud.ports[port.id]["qos_policy_id"] is None
    cloud.delete_port(port.id)
    with pytest.raises(NotFound):
        client.set_qos_policy(port.id, None)
