# SPDX-License-Identifier: Apache-2.0
"""Rows of ports and chassis that are replaced: the end of the old may come after the new."""

import dataclasses
from typing import Any
from uuid import UUID, uuid4

import pytest

from octavia_ovn.adapters.ovsdb.idl import DELETE
from octavia_ovn.adapters.southbound.chassis import PORTS, PRIVATE, ChassisRows


@dataclasses.dataclass
class Row:
    name: str = "one"
    logical_port: str = "port1"
    nb_cfg: int = 7
    chassis: Any = None
    uuid: UUID = dataclasses.field(default_factory=uuid4)


class World:
    def __init__(self, monkeypatch):
        self.places = {}
        self.rows = ChassisRows(self.locate)
        monkeypatch.setattr(self.rows, "_chassis", lambda row: (row.chassis,))

    def locate(self, port, *chassis):
        self.places[port] = chassis


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def test_a_port_whose_row_is_replaced_stays_where_it_is(world):
    old, new = Row(chassis="a"), Row(chassis="a")
    for event, row in (("create", old), ("create", new), (DELETE, old)):
        world.rows.update(PORTS, event, row)
    assert world.places == {"port1": ("a",)}
    world.rows.update(PORTS, DELETE, new)
    assert world.places == {"port1": ()}


def test_a_chassis_whose_row_is_replaced_is_still_there(world):
    old, new = Row(), Row(nb_cfg=8)
    for event, row in (("create", old), ("create", new), (DELETE, old)):
        world.rows.update(PRIVATE, event, row)
    assert world.rows.reached() == {"one": 8}
    world.rows.update(PRIVATE, DELETE, new)
    assert world.rows.reached() == {}
