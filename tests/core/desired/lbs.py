# SPDX-License-Identifier: Apache-2.0
"""Load balancers for the tests of rows."""

import dataclasses

from octavia_ovn.core import model
from tests.core.builders import (
    member,
    web,
)

FIP = "10.73.1.171"

V6 = "fd00::5"

ONE, TWO = "10.0.0.1:80", "10.0.0.2:80"

BOTH = f"{ONE},{TWO}"

SOURCE_IP = model.Algorithm.SOURCE_IP

UDP = {"protocol": model.Protocol.UDP}


def of(**fields):
    """A member of weight 1 beside one with these fields."""
    return web(member(1), member(2, **fields))


def without(part):
    """A load balancer with one member and one thing that is switched off."""
    lb = web(member(1))
    if part == "load balancer":
        return dataclasses.replace(lb, enabled=False)
    off = {part: tuple(dataclasses.replace(each, enabled=False) for each in getattr(lb, part))}
    return dataclasses.replace(lb, **off)


FOUR = {"ip_src", "ip_dst", "tp_src", "tp_dst"}

TWO_FIELDS = {"ip_src", "ip_dst"}
