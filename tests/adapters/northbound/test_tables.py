# SPDX-License-Identifier: Apache-2.0
"""Where the VIPs of load balancer rows are."""

import pytest

from octavia_ovn.adapters.northbound.tables import vip_places
from tests.core.builders import balancer, recorded, vip

LB = balancer(vips=(vip("10.0.0.5"), vip("fd00::5"), vip("10.2.0.5", network_id="net2")))
IDS = recorded(LB)[0].external_ids


def test_vips_are_found_by_network_and_address():
    assert set(vip_places(IDS)) == {
        ("neutron-net1", "10.0.0.5"),
        ("neutron-net1", "fd00::5"),
        ("neutron-net2", "10.2.0.5"),
    }


@pytest.mark.parametrize(
    "external_ids",
    [
        {},
        {**IDS, "octavia:loadbalancer": "{"},
        {"neutron:vip": "10.0.0.5"},
        {**IDS, "neutron:vip": "nonsense"},
    ],
)
def test_a_missing_or_unreadable_value_is_no_vip(external_ids):
    assert vip_places(external_ids) == ()
