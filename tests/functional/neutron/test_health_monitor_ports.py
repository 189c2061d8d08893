# SPDX-License-Identifier: Apache-2.0
"""Ports that health checks come from, and which ports are ours."""

import pytest

from octavia_ovn.core.codec.neutron import HM_OWNER
from octavia_ovn.errors import Refused, Unavailable
from tests.functional.neutron.calls import LB, make_vip_port, requests
from tests.lab.networks import PROJECT, SERVICE_PROJECT


def make_source(client, subnet):
    return client.make_hm_port(subnet["id"], subnet["network_id"], SERVICE_PROJECT)


def test_a_health_monitor_port(cloud, client, subnet):
    requests(cloud)
    port = make_source(client, subnet)
    made = cloud.ports[port.id]
    assert made["name"] == made["device_id"] == f"ovn-lb-hm-{subnet['id']}"
    assert made["device_owner"] == "ovn-lb-hm:distributed"
    assert made["port_security_enabled"] is False
    assert made["security_groups"] == []
    assert port.fixed_ips[0].subnet_id == subnet["id"]
    assert requests(cloud) == {"POST /v2.0/ports": 1}
    for _ in range(2):
        client.delete_hm_ports(subnet["id"])
        assert not cloud.ports


def test_all_health_monitor_ports_of_a_subnet_are_found_by_one_request(cloud, client, subnet):
    for _ in range(2):
        make_source(client, subnet)
    requests(cloud)
    client.delete_hm_ports(subnet["id"])
    assert not cloud.ports
    assert requests(cloud) == {"GET /v2.0/ports": 1, "DELETE /v2.0/ports/{id}": 2}


def look_alike(cloud, subnet, **attributes):
    name = f"ovn-lb-hm-{subnet['id']}"
    given = {"name": name, "device_owner": HM_OWNER, "device_id": name, **attributes}
    return cloud.create_port(subnet["network_id"], **given)


def test_the_account_says_whose_ports_are_trusted(client):
    assert client.project() == SERVICE_PROJECT


@pytest.mark.parametrize("fault", [{"status": 409}, {"served": True, "count": 1}])
def test_a_tenants_port_is_no_health_monitor_port(cloud, client, subnet, fault):
    """Neither when ours cannot be made nor when the answer was lost."""
    forged = look_alike(cloud, subnet, project_id=PROJECT)["id"]
    cloud.http.inject(method="POST", path="/ports", **fault)
    if "status" in fault:
        with pytest.raises(Unavailable):
            make_source(client, subnet)
    else:
        assert make_source(client, subnet).id != forged


def test_the_health_monitor_port_that_the_service_has_is_found(cloud, client, subnet):
    old = look_alike(cloud, subnet, project_id=SERVICE_PROJECT)
    cloud.http.inject(method="POST", status=409)
    assert make_source(client, subnet).id == old["id"]


@pytest.mark.parametrize("owner", [HM_OWNER, "network:distributed"])
@pytest.mark.parametrize("device", [True, False])
def test_a_health_monitor_port_of_the_former_driver_is_deleted(
    cloud, client, subnet, owner, device
):
    """It made them in a member's project, and at first without a device."""
    name = f"ovn-lb-hm-{subnet['id']}"
    look_alike(cloud, subnet, device_owner=owner, device_id=name if device else "")
    client.delete_hm_ports(subnet["id"])
    assert not cloud.ports


@pytest.mark.parametrize(
    "change",
    [
        {"name": "mine"},
        {"device_owner": "compute:nova"},
        {"device_owner": ""},
        {"device_id": "2b0e4a5e-0000-4000-8000-000000000001"},
    ],
)
def test_a_port_whose_name_device_and_owner_disagree_is_kept(cloud, client, subnet, change):
    kept = look_alike(cloud, subnet, **change)["id"]
    client.delete_hm_ports(subnet["id"])
    assert list(cloud.ports) == [kept]


def test_a_lost_answer_makes_no_second_health_monitor_port(cloud, client, subnet):
    cloud.http.inject(method="POST", served=True, count=1)
    assert [make_source(client, subnet).id] == list(cloud.ports)


def test_no_health_monitor_port_on_a_subnet_that_is_gone(client, subnet):
    with pytest.raises(Refused):
        client.make_hm_port(
            "b3b0ac4e-0000-4000-8000-000000000000", subnet["network_id"], SERVICE_PROJECT
        )


def test_our_ports(cloud, client, subnet):
    ours = {make_vip_port(client, subnet).id, make_source(client, subnet).id}
    cloud.add_port(subnet["id"])
    cloud.create_port(subnet["network_id"], name=f"ovn-lb-vip-{LB}")
    cloud.create_port(subnet["network_id"], name="mine", device_id=f"lb-{LB}")
    cloud.create_port(subnet["network_id"], name="mine", device_owner=HM_OWNER)
    cloud.create_port(
        subnet["network_id"], name="mine", device_owner=HM_OWNER, device_id="ovn-lb-hm-mine"
    )
    found = client.list_our_ports()
    assert {each.id for each in found} == ours
    assert {each.vip_of for each in found} == {LB, None}
    assert {each.source_of for each in found} == {subnet["id"], None}


def test_our_ports_tell_those_of_the_service_from_those_of_tenants(cloud, client, subnet):
    ours, forged = make_source(client, subnet).id, look_alike(cloud, subnet)["id"]
    found = {each.id: each.of_service for each in client.list_our_ports()}
    assert found == {ours: True, forged: False}
