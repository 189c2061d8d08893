# SPDX-License-Identifier: Apache-2.0
"""A load balancer with a flavor that drains, as time passes, for tests."""

import dataclasses

from octavia_ovn.core import codec, model
from octavia_ovn.core.desired import draining
from octavia_ovn.core.diff import diff
from octavia_ovn.core.rows import Flow
from octavia_ovn.core.topology import Attachments
from tests.core.builders import VIP, render, settle, web
from tests.core.desired.lbs import ONE

KEY = f"{VIP}:80"
NOW = 1_000_000.0
DRAIN = model.Flavor(drain_timeout=60)
PLACES = Attachments(frozenset({"neutron-net1"}), frozenset({"neutron-r1"}), {}, "neutron-r1")


def lb(*members, flavor=DRAIN, **fields):
    return dataclasses.replace(web(*members, **fields), flavor=flavor)


class Story:
    """The rows of a load balancer as time passes."""

    def __init__(self, *members, **fields):
        self.now, self.rows = NOW, ()
        self.fields = fields
        self.given = {}
        self.becomes(lb(*members, **fields))

    def becomes(self, balancer, **given):
        """Reconcile; once more changes nothing."""
        self.lb, self.given = balancer, {**self.given, **given}
        self.rows = self._settled()
        assert not diff(self.rows, self._settled())
        return self

    def has(self, *members, **given):
        return self.becomes(lb(*members, **self.fields), **given)

    def passes(self, seconds):
        self.now += seconds
        return self.becomes(self.lb)

    def _settled(self):
        given = {"attachments": PLACES, **self.given}
        rows = render(self.lb, self.rows, now=self.now, **given)
        # A new row gets a uuid that no other has had.
        taken = {each.uuid for each in (*self.rows, *rows)}
        fresh = iter(f"row{number}" for number in range(99) if f"row{number}" not in taken)
        return settle(dataclasses.replace(each, uuid=each.uuid or next(fresh)) for each in rows)

    @property
    def serves(self):
        return {k: v for each in draining.separate(self.rows)[0] for k, v in each.vips.items()}

    def of(self, kind):
        """The `vips` of rows of drains of a kind."""
        found = [
            each.vips
            for each in draining.separate(self.rows)[1]
            if each.external_ids["octavia:drain_row"] == kind
        ]
        return {key: value for vips in found for key, value in vips.items()}

    @property
    def deadlines(self):
        return codec.read_draining(self.rows)

    @property
    def due(self):
        return draining.due(self.rows, self.lb.flavor, self.now)


def flow(backend=ONE, vip=KEY, protocol="tcp"):
    return Flow(protocol, vip, backend)
