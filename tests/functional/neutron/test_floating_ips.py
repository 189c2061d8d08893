# SPDX-License-Identifier: Apache-2.0
"""Floating IPs are touched and not changed."""

from tests.functional.neutron.calls import requests


def test_touching_a_floating_ip_changes_nothing(cloud, client):
    cloud.floatingips["0b8e7a5e-0000-4000-8000-000000000001"] = fip = {
        "description": "mine",
        "port_id": None,
    }
    client.touch_floating_ip("0b8e7a5e-0000-4000-8000-000000000001")
    assert requests(cloud) == {
        "GET /v2.0/floatingips/{id}": 1,
        "PUT /v2.0/floatingips/{id}": 1,
    }
    assert fip == {"description": "mine", "port_id": None}


def test_touching_a_floating_ip_that_is_gone(client):
    client.touch_floating_ip("0b8e7a5e-0000-4000-8000-000000000002")
