# SPDX-License-Identifier: Apache-2.0
"""Neutron's marks on rows, and the names of the drivers' ports."""

import pytest

from octavia_ovn.core.codec import neutron
from octavia_ovn.core.dependencies import Resource
from octavia_ovn.core.topology import FloatingIp, RouterPort, Subnet

INTERFACE = {
    "neutron:network_name": "neutron-net1",
    "neutron:router_name": "r1",
    "neutron:subnet_ids": "sub1",
}


def test_a_router_port():
    assert neutron.router_port("lrp-1", ["10.0.0.1/24"], INTERFACE) == RouterPort(
        "lrp-1",
        "neutron-r1",
        "neutron-net1",
        ("10.0.0.1/24",),
        subnets=(Subnet("sub1", "net1", "10.0.0.0/24"),),
    )


@pytest.mark.parametrize("value", ["True", "true"])
def test_a_gateway_port(value):
    ids = INTERFACE | {"neutron:is_ext_gw": value}
    assert neutron.router_port("lrp-1", ["10.0.0.1/24"], ids).gateway


def test_of_several_subnets_it_is_not_known_which_address_is_in_which():
    ids = INTERFACE | {"neutron:subnet_ids": "sub1 sub2"}
    port = neutron.router_port("lrp-1", ["fd00::1/64", "10.0.0.1/24"], ids)
    assert (port.networks, port.subnets) == (("10.0.0.1/24", "fd00::1/64"), ())
    assert neutron.subnet_ids(ids) == ("sub1", "sub2")


@pytest.mark.parametrize("missing", ["neutron:network_name", "neutron:router_name"])
def test_a_router_port_that_is_not_neutrons(missing):
    ids = {key: value for key, value in INTERFACE.items() if key != missing}
    assert neutron.router_port("lrp-1", ["10.0.0.1/24"], ids) is None


def test_references_to_rows_have_a_prefix_or_none():
    assert neutron.row_name("r1") == neutron.row_name("neutron-r1") == "neutron-r1"
    assert neutron.spellings(["neutron-r1"]) == {"neutron-r1", "r1"}
    assert neutron.switch({}) == ""
    assert neutron.switch({"neutron:network_name": "net1"}) == "neutron-net1"


def test_the_addresses_of_a_switch_port():
    cidrs = "FD00:0::0001/64 10.0.0.1/24 nonsense"
    assert neutron.port_addresses({"neutron:cidrs": cidrs}) == ("fd00::1", "10.0.0.1")
    assert neutron.port_addresses({}) == ()


@pytest.mark.parametrize("index", [None, 1, 12])
def test_a_vip_port_is_known_by_name_and_device(index):
    name, device = neutron.vip_port_name("lb1", index), neutron.device_id("lb1")
    assert neutron.vip_port_owner(name, device) == "lb1"
    assert neutron.is_vip_port(name, device, "", "lb1")
    assert neutron.is_vip_port(name, "", "ovn-lb:vip", "lb1")
    assert not neutron.is_vip_port(name, device, "compute:nova", "lb1")
    assert not neutron.is_vip_port(name, "lb-lb2", "", "lb1")
    assert not neutron.is_vip_port(name, device, "", "lb2")
    assert neutron.vip_port_owner(name, "") is None
    assert neutron.vip_port_owner(name, "lb-lb2") is None
    assert neutron.vip_port_owner(f"{name}-mine", device) is None
    rest = name.removeprefix("ovn-lb-vip-")
    assert neutron.is_vip_port(name, "", "", rest) is (rest == "lb1")


def test_a_health_monitor_port_is_known_by_name_device_and_owner():
    name = neutron.hm_port_name("sub1")
    assert neutron.hm_subnet(name, name, neutron.HM_OWNER) == "sub1"
    assert neutron.is_hm_port(name, "", "network:distributed")
    assert neutron.hm_subnet(name, "", "network:distributed") is None
    assert not neutron.is_hm_port(name, "other", neutron.HM_OWNER)
    assert not neutron.is_hm_port(name, name, "compute:nova")
    assert not neutron.is_hm_port("mine", "mine", neutron.HM_OWNER)


def test_a_port_of_a_live_trace_is_none_that_load_balancers_have():
    device = neutron.live_device("chassis-1")
    assert device == "ovn-lb-live-chassis-1"
    assert neutron.vip_port_owner(device, device) is None
    assert not neutron.is_hm_port(device, device, neutron.LIVE_OWNER)
    assert neutron.hm_subnet(device, device, neutron.LIVE_OWNER, Resource.PROBED) is None
    assert neutron.LIVE_OWNER not in neutron.VIP_OWNERS


def test_a_port_that_chassis_probe_from_has_marks_of_its_own():
    name = neutron.hm_port_name("sub1", Resource.PROBED)
    device = neutron.hm_device("sub1", Resource.PROBED)
    assert device.startswith("ovn-lb-hm")  # so that it is bound on each chassis
    assert neutron.hm_subnet(name, device, neutron.HM_OWNER, Resource.PROBED) == "sub1"
    assert neutron.hm_subnet(name, device, neutron.HM_OWNER) is None
    assert not neutron.is_hm_port(name, device, neutron.HM_OWNER)
    for wrong in (
        (name, name, neutron.HM_OWNER),
        (name, device, "compute:nova"),
        ("mine", device, neutron.HM_OWNER),
    ):
        assert neutron.hm_subnet(*wrong, Resource.PROBED) is None
    row = {
        "neutron:port_name": name,
        "neutron:device_id": device,
        "neutron:device_owner": neutron.HM_OWNER,
    }
    assert neutron.probed_subnet(row) == "sub1"
    assert neutron.monitored_subnet(row) is None


@pytest.mark.parametrize(
    ("addresses", "mac"),
    [
        (["unknown", "fa:16:3e:00:00:07 10.0.0.7"], "fa:16:3e:00:00:07"),
        (["unknown"], ""),
        ([], ""),
    ],
)
def test_the_mac_of_a_switch_port(addresses, mac):
    assert neutron.port_mac(addresses) == mac


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8d7e9b52-0000-4000-8000-000000000001", True), ("web", False), ("8d7e9b52", False)],
)
def test_ids_are_distinguished_from_names(text, expected):
    assert neutron.is_uuid(text) is expected


def test_the_ids_of_rows_that_neutron_owns():
    assert neutron.security_group({"neutron:security_group_id": "sg1"}) == "sg1"
    assert neutron.security_group({}) == ""


NAT = {
    "neutron:fip_id": "fip1",
    "neutron:fip_port_id": "port1",
    "neutron:router_name": "neutron-r1",
}


@pytest.mark.parametrize(("mac", "distributed"), [([], False), (["fa:16:3e:00:00:01"], True)])
def test_the_floating_ip_of_a_nat_row(mac, distributed):
    found = neutron.floating_ip("dnat_and_snat", "192.0.2.9", "10.0.0.5", mac, NAT)
    assert found == FloatingIp("192.0.2.9", "10.0.0.5", "port1", "neutron-r1", "fip1", distributed)


@pytest.mark.parametrize(("kind", "ids"), [("snat", NAT), ("dnat_and_snat", {})])
def test_other_nat_rows_are_no_floating_ip(kind, ids):
    assert neutron.floating_ip(kind, "192.0.2.9", "10.0.0.5", [], ids) is None


@pytest.mark.parametrize(
    ("owner", "device", "subnet"),
    [
        ("ovn-lb-hm:distributed", "ovn-lb-hm-sub1", "sub1"),
        ("network:distributed", "ovn-lb-hm-sub1", "sub1"),
        ("compute:nova", "ovn-lb-hm-sub1", None),
        ("ovn-lb-hm:distributed", "a-server", None),
    ],
)
def test_a_port_for_health_checks_names_its_subnet(owner, device, subnet):
    external_ids = {
        "neutron:port_name": "ovn-lb-hm-sub1",
        "neutron:device_owner": owner,
        "neutron:device_id": device,
        "neutron:project_id": "service",
    }
    assert neutron.monitored_subnet(external_ids) == subnet
    assert neutron.port_project(external_ids) == "service"
