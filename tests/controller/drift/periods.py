# SPDX-License-Identifier: Apache-2.0
"""A clock, Neutron's ports and a drift check."""

import dataclasses

from octavia_ovn.controller.drift.compare import Repair
from octavia_ovn.controller.drift.periodic import (
    DriftCheck,
)
from octavia_ovn.observer import SILENT
from tests.controller.drift.databases import Octavia, Store

GRACE = 300.0


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@dataclasses.dataclass(frozen=True)
class Port:
    id: str
    vip_of: str | None = None
    source_of: str | None = None
    probe_source_of: str | None = None
    of_service: bool = True


class Ports:
    def __init__(self):
        self.ports = []
        self.deleted = []
        self.fails = None

    def list_our_ports(self):
        if self.fails:
            raise self.fails
        return self.ports

    def delete_port(self, port_id):
        self.deleted.append(port_id)


class World:
    def __init__(self, observer=SILENT):
        self.clock = Clock()
        self.store = Store()
        self.octavia = Octavia()
        self.ports = Ports()
        self.released = []
        self.acting = True
        repair = Repair(self.store, self.octavia, self.octavia, grace=GRACE, patience=0.0)
        self.rounds = DriftCheck(
            repair,
            self.octavia,
            self.ports,
            self.released.append,
            grace=GRACE,
            clock=self.clock,
            observer=observer,
        )

    def round(self, after=600.0):
        self.clock.sleep(after)
        return self.rounds.round(lambda: self.acting)
