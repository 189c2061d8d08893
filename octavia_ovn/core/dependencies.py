# SPDX-License-Identifier: Apache-2.0
"""What the rows of a load balancer depend on in OVN and Neutron: what events are about."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Resource(str, enum.Enum):
    """A kind of resource, and what its name is."""

    SWITCH = "switch"
    """A Logical_Switch, by name."""
    ROUTER = "router"
    """A Logical_Router, by name."""
    PORT = "port"
    """A Neutron port or Logical_Switch_Port, by id."""
    BACKEND = "backend"
    """The port and the health of a monitored member, by IP address."""
    MONITORED = "monitored"
    """A subnet with a port that health checks are sent from, by id."""
    PROBED = "probed"
    """A subnet with a port that chassis probe members from, by id."""
    MEMBER = "member"
    """Anything at the IP address of a member."""
    MEMBER_FIP = "member-fip"
    """The floating IP of a member, by id."""
    GROUP = "group"
    """A security group of a VIP, by id."""
    ADDRESS_SET = "address-set"
    """An Address_Set of the Southbound database, by name."""

    __hash__ = str.__hash__  # that of an Enum is written in Python, and shows in profiles


class Dependency(NamedTuple):
    """One resource."""

    resource: Resource
    name: str
