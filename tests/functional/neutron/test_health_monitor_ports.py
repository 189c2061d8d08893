"""Ports that health checks come from, and which ports are ours."""

import pytest

from octavia_ovn.adapters import neutron
from octavia_ovn.adapters.neutron import HM_OWNER
from octavia_ovn.errors import Refused
from tests.functional.neutron.calls import LB, make_vip_port, requests
from tests.lab.networks import PROJECT


def make_source(client, subnet):
    return client.make_hm_port(subnet["id"], subnet["network_id"], PROJECT)


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


def test_known_health_monitor_ports_are_not_looked_for(cloud, client, subnet):
    known = [make_source(client, subnet).id for _ in range(2)]
    requests(cloud)
    client.delete_hm_ports(subnet["id"], known)
    assert not cloud.ports
    assert requests(cloud) == {"DELETE /v2.0/ports/{id}": 2}


def test_the_health_monitor_port_of_the_former_driver_is_found(cloud, client, subnet):
    old = cloud.create_port(
        subnet["network_id"],
        name=f"ovn-lb-hm-{subnet['id']}",
        device_owner="network:distributed",
    )
    cloud.http.inject(method="POST", status=409)
    assert make_source(client, subnet).id == old["id"]
    client.delete_hm_ports(subnet["id"])
    assert not cloud.ports


def test_a_lost_answer_makes_no_second_health_monitor_port(cloud, client, subnet):
    cloud.http.inject(method="POST", served=True, count=1)
    assert [make_source(client, subnet).id] == list(cloud.ports)


def test_no_health_monitor_port_on_a_subnet_that_is_gone(client, subnet):
    with pytest.raises(Refused):
        client.make_hm_port("b3b0ac4e-0000-4000-8000-000000000000", subnet["network_id"], PROJECT)


def test_our_ports(cloud, client, subnet):
    ours = {make_vip_port(client, subnet).id, make_source(client, subnet).id}
    cloud.add_port(subnet["id"])
    cloud.create_port(subnet["network_id"], name=f"ovn-lb-vip-{LB}")
    cloud.create_port(subnet["network_id"], name="mine", device_id=f"lb-{LB}")
    cloud.create_port(subnet["network_id"], name="mine", device_owner=HM_OWNER)
    found = client.list_our_ports()
    assert {each.id for each in found} == ours
    assert {neutron.vip_owner(each) for each in found} == {LB, None}
    assert {neutron.hm_subnet(each) for each in found} == {subnet["id"], None}
