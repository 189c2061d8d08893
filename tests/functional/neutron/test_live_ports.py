# SPDX-License-Identifier: Apache-2.0
"""Ports that live traces send packets from."""

from tests.functional.neutron.calls import requests
from tests.lab.networks import PROJECT, SERVICE_PROJECT


def make(client, subnet, chassis="chassis-1"):
    network_id = subnet["network_id"]
    return client.make_live_port(chassis, subnet["id"], network_id, SERVICE_PROJECT)


def test_a_port_of_a_live_trace(cloud, client, subnet):
    port = make(client, subnet)
    made = cloud.ports[port.id]
    assert made["name"] == made["device_id"] == "ovn-lb-live-chassis-1"
    assert made["device_owner"] == "ovn-lb-live:client"
    assert made["project_id"] == SERVICE_PROJECT
    assert made["port_security_enabled"] is False
    assert made["security_groups"] == []
    assert port.fixed_ips[0].subnet_id == subnet["id"]


def test_only_those_of_this_chassis_and_of_the_service_are_found(cloud, client, subnet):
    ours = make(client, subnet)
    make(client, subnet, "chassis-10")
    marks = {"device_id": "ovn-lb-live-chassis-1", "device_owner": "ovn-lb-live:client"}
    cloud.create_port(subnet["network_id"], project_id=PROJECT, **marks)
    marks["device_owner"] = "compute:nova"
    cloud.create_port(subnet["network_id"], project_id=SERVICE_PROJECT, **marks)
    requests(cloud)
    assert client.live_ports("chassis-1", SERVICE_PROJECT) == (ours,)
    assert requests(cloud) == {"GET /v2.0/ports": 1}


def test_they_are_none_of_the_ports_that_comparisons_delete(client, subnet):
    make(client, subnet)
    assert client.list_our_ports() == ()
