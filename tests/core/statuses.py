# SPDX-License-Identifier: Apache-2.0
"""Load balancers for the tests of statuses."""

import dataclasses

from octavia_ovn.core import status
from octavia_ovn.core.pending import Kind
from tests.core.builders import health, member, monitor, web

MONITORED = {"monitor": monitor()}

TWO = (member(1), member(2))


def off(lb, *parts):
    """Switch parts of a load balancer off."""
    for part in parts:
        each = [dataclasses.replace(each, enabled=False) for each in getattr(lb, part)]
        lb = dataclasses.replace(lb, **{part: tuple(each)})
    return lb


def words(lb, **given):
    """The statuses in the order members, monitors, pools, listeners, load balancer."""
    found = status.tree(lb, health(**given))
    order = list(Kind)
    keys = sorted(found, key=lambda key: (order.index(key[0]), key[1]))
    return " ".join(found[key].value for key in keys)


CHECKED = web(*TWO, **MONITORED)

BOTH = ["10.0.0.1", "10.0.0.2"]
