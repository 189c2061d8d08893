# SPDX-License-Identifier: Apache-2.0
"""Subnets: asked for once."""

import pytest

from octavia_ovn.core.topology import Subnet
from octavia_ovn.errors import NotFound
from tests.functional.neutron.calls import requests


def test_nothing_is_done_before_the_first_call(cloud, keystone, client):
    assert not requests(cloud)
    assert not keystone.http.requests


def test_a_subnet_is_asked_for_once(cloud, keystone, client, subnet):
    found = client.subnet(subnet["id"])
    assert found == Subnet(subnet["id"], subnet["network_id"], "10.0.0.0/24")
    assert requests(cloud) == {"GET /v2.0/subnets/{id}": 1}
    assert keystone.http.request_count() == 2
    cloud.http.inject(status=503)
    assert client.subnet(subnet["id"]) is found


def test_a_subnet_that_is_not_there_is_asked_for_again(cloud, client):
    for _ in range(2):
        with pytest.raises(NotFound, match="could not be found"):
            client.subnet("b3b0ac4e-0000-4000-8000-000000000000")
    assert requests(cloud) == {"GET /v2.0/subnets/{id}": 2}
