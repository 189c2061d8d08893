# SPDX-License-Identifier: Apache-2.0
"""What tests ask of a client, and what has been asked of Neutron."""

from tests.lab.networks import PROJECT

PATIENCE = 1.0
LB = "6e0d0b5a-4c1f-4a3c-9d8e-3a0f2c6b1d11"


def make_vip_port(client, subnet, **options):
    return client.create_vip_port(LB, PROJECT, subnet["network_id"], subnet["id"], **options)


def requests(cloud):
    """Return the requests made since the last call."""
    found = dict(cloud.http.requests)
    cloud.http.requests.clear()
    return found
