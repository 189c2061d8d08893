# SPDX-License-Identifier: Apache-2.0
"""Which VIPs the load balancer rows have."""

import uuid

from octavia_ovn.adapters.northbound.vip_index import VipIndex
from tests.core.builders import balancer, recorded, vip

ROW, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)
LB = balancer(vips=(vip("10.0.0.5"), vip("fd00::5"), vip("10.2.0.5", network_id="net2")))
IDS = recorded(LB)[0].external_ids
PLACES = {
    ("neutron-net1", "10.0.0.5"),
    ("neutron-net1", "fd00::5"),
    ("neutron-net2", "10.2.0.5"),
}


def test_vips_are_found_by_network_and_address():
    index = VipIndex()

    assert index.update(ROW, IDS) == PLACES
    assert index.update(ROW, IDS) == frozenset()
    assert all(place in index for place in PLACES)
    assert ("neutron-net2", "10.0.0.5") not in index

    assert index.update(OTHER, IDS) == PLACES  # the other row of the load balancer
    assert index.update(ROW, None) == PLACES
    assert ("neutron-net1", "10.0.0.5") in index

    assert index.update(OTHER, None) == PLACES
    assert ("neutron-net1", "10.0.0.5") not in index


def test_a_missing_or_unreadable_value_is_no_vip():
    index = VipIndex()

    assert index.update(ROW, {}) == frozenset()
    assert index.update(ROW, {**IDS, "octavia:loadbalancer": "{"}) == frozenset()
    assert index.update(ROW, {"neutron:vip": "10.0.0.5"}) == frozenset()
    assert index.update(ROW, {**IDS, "neutron:vip": "nonsense"}) == frozenset()
