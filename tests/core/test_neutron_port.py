# SPDX-License-Identifier: Apache-2.0
"""Which ports of Neutron belong to load balancers."""

import pytest

from octavia_ovn.core.neutron_port import FixedIp, NeutronPort

LB = "1c5b9a52-0000-4000-8000-000000000001"
SUBNET = "1c5b9a52-0000-4000-8000-000000000002"


def port(name="", device_id="", device_owner="", *addresses):
    fixed_ips = tuple(FixedIp("sub1", each) for each in addresses)
    return NeutronPort("id", name, "net1", "project", device_id, device_owner, fixed_ips, "mac")


@pytest.mark.parametrize(
    ("device_id", "device_owner", "vip_of", "is_vip_port"),
    [
        (f"lb-{LB}", "", LB, True),
        ("", "ovn-lb:vip", None, True),
        ("", "compute:nova", None, False),
        ("lb-another", "", None, False),
    ],
)
def test_a_vip_port_is_known_by_its_name_and_device(device_id, device_owner, vip_of, is_vip_port):
    found = port(f"ovn-lb-vip-{LB}", device_id, device_owner)

    assert (found.vip_of, found.is_vip_of(LB)) == (vip_of, is_vip_port)
    assert not found.is_hm_port


@pytest.mark.parametrize(
    ("device_id", "device_owner", "source_of", "is_hm_port"),
    [
        (f"ovn-lb-hm-{SUBNET}", "ovn-lb-hm:distributed", SUBNET, True),
        ("", "network:distributed", None, True),
        ("", "compute:nova", None, False),
    ],
)
def test_a_health_monitor_port_is_known_by_its_owner(
    device_id, device_owner, source_of, is_hm_port
):
    found = port(f"ovn-lb-hm-{SUBNET}", device_id, device_owner)

    assert (found.source_of, found.is_hm_port) == (source_of, is_hm_port)
    assert found.probe_source_of is None
    assert not found.is_vip_of(LB)


def test_a_port_that_chassis_probe_from_is_another():
    found = port(f"ovn-lb-probe-{SUBNET}", f"ovn-lb-hm-probe-{SUBNET}", "ovn-lb-hm:distributed")

    assert (found.source_of, found.is_hm_port) == (None, False)
    assert found.probe_source_of == SUBNET


@pytest.mark.parametrize(
    ("subnet_id", "address", "expected"),
    [
        (None, None, True),
        ("sub1", None, True),
        ("sub2", None, False),
        (None, "fd00:0::1", True),
        ("sub1", "10.0.0.2", False),
    ],
)
def test_whether_a_port_has_an_address(subnet_id, address, expected):
    found = port("", "", "", "10.0.0.1", "fd00::1").fixed_ip(subnet_id, address)

    assert (found is not None) is expected
