# SPDX-License-Identifier: Apache-2.0
"""Clouds of load balancers: made once, multiplied, and known to Octavia."""

from __future__ import annotations

import json
import time
from pathlib import Path

from bench import clones
from bench.measures.base import SETTLED, Figure, Measures
from tests.lab.ovn_mirror import ovn_name
from tests.lab.store import TABLES
from tests.lab.tenant import Tenant

CLONED_LBS = 10
OCTAVIA = ".octavia.json"  # behind the name of a template: what Octavia has of it


class Clouds(Measures):
    """Fill a database, and have Octavia know what is in one."""

    def fill(self, lbs: int, members: int, template: str) -> list[Figure]:
        """Have the driver make load balancers, multiply them, and keep the database."""
        tenant = Tenant(self._lab, "existing")
        tenant.create_lbs(CLONED_LBS, listeners=1, pools=1, members=members)
        time.sleep(SETTLED)
        self._quiesce()
        self._lab.stop_workers()
        self._lab.stop_agent()
        octet = int(tenant.subnet["cidr"].split(".")[1])
        switch, router = ovn_name(tenant.network["id"]), ovn_name(tenant.router["id"])
        store = self._lab.octavia.store
        tables = {table: store.find(table) for table in TABLES}
        project = clones.Project(self._lab.nb, switch, router, octet, tables)
        for clone in project.multiply(lbs // CLONED_LBS - 1):
            for table, rows in clone.items():
                tables[table] += rows
        Path(f"{template}{OCTAVIA}").write_text(json.dumps(tables), encoding="utf-8")
        self._lab.env.nb.stop()
        self._lab.env.nb.path.replace(Path(template))
        self._lab.env.nb.path.touch()
        return []

    def know(self, template: str) -> list[Figure]:
        """Have Octavia know the load balancers of a template."""
        text = Path(f"{template}{OCTAVIA}").read_text(encoding="utf-8")
        self._lab.octavia.store.load(json.loads(text))
        return []
