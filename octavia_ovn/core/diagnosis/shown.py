# SPDX-License-Identifier: Apache-2.0
"""What is shown of a load balancer: its objects, its addresses, and what refers to it."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from octavia_ovn.core.pending import Kind


class State(str, enum.Enum):
    """The state of an object, for colours."""

    GOOD = "good"
    BAD = "bad"
    OFF = "off"
    """Switched off, drained, or waiting as a backup."""
    ATTENTION = "attention"
    """Degraded, or not known yet."""


@dataclass(frozen=True, slots=True)
class Node:
    """An object of the tree.

    :param details: its fields, in short words
    :param octavia: provisioning and operating status that Octavia shows, empty if not known
    :param ovn: what OVN does with it
    :param differences: differences between Octavia and the rows
    """

    kind: Kind
    id: str
    name: str
    details: str
    octavia: str
    ovn: str
    state: State
    differences: tuple[str, ...] = ()
    children: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """A VIP: its port, its floating IP and the network it is on."""

    address: str
    floating_ip: str
    port: str
    network: str
    switch: str


@dataclass(frozen=True, slots=True)
class Place:
    """A switch or router that refers to the load balancer, or should.

    :param purpose: why it is attached there
    :param attached: whether it does
    :param routers: of a switch: the load balancer's routers that have an interface there
    """

    table: str
    name: str
    label: str
    purpose: str
    attached: bool
    wanted: bool
    routers: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """Good if it is as it should be."""
        return State.GOOD if self.attached == self.wanted else State.BAD


@dataclass(frozen=True, slots=True)
class Overview:
    """The tree, the addresses, and the attachments."""

    root: Node
    addresses: tuple[Address, ...]
    places: tuple[Place, ...]
    notes: tuple[str, ...]

    def nodes(self) -> Iterator[Node]:
        """Yield all objects, parents first."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop(0)
            yield node
            waiting.extend(node.children)

    @property
    def is_right(self) -> bool:
        """Whether nothing differs and nothing is bad."""
        return all(
            node.state is not State.BAD and not node.differences for node in self.nodes()
        ) and all(place.state is State.GOOD for place in self.places)
