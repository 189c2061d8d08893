# SPDX-License-Identifier: Apache-2.0
"""A load balancer, its networks, and changes to validate."""

import dataclasses

from octavia_ovn.core.request import changes, validation
from octavia_ovn.core.topology import Subnet
from tests.core.builders import balancer, member, pool, vip

LB = balancer(pools=[pool(members=[member(1)])], vips=(vip(cidr="10.0.0.0/24"),))
AROUND = (Subnet("sub2", "net2", "10.2.0.0/24"), Subnet("sub6", "net6", "fd00::/64"))
SUBNETS = {each.id: each for each in AROUND}
HOMELESS = {"subnet_id": None}


def complete(change, lb=LB):
    return validation.complete(change, lb, validation.Networks(lambda _: AROUND, SUBNETS.get))


def whole(*members, **fields):
    return changes.CreateLoadBalancer(
        dataclasses.replace(LB, pools=(pool(members=members, **fields),))
    )


def put(given):
    return changes.PutMember("p1", given)
