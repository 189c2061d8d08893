# SPDX-License-Identifier: Apache-2.0
"""Octavia and the Northbound database, in memory."""

import dataclasses

from octavia_ovn.controller.drift.once import sync
from octavia_ovn.core import codec
from octavia_ovn.core.listed import Listed
from octavia_ovn.core.model import Protocol
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.request import changes, record
from tests.core.builders import balancer, listener, member, pool, web
from tests.core.database import Database

WEB = web(member(1), member(2))

TWO_PROTOCOLS = balancer(
    [listener(), listener("l2", 53, "p2", protocol=Protocol.UDP)],
    [pool(members=[member(1)]), pool("p2", [member(3)], protocol=Protocol.UDP)],
)


class Store:
    """Northbound in memory; `meanwhile` is what others do between reading and writing."""

    def __init__(self):
        self.database = Database()
        self.meanwhile = lambda: None
        self.fails = None

    def load_balancers(self):
        names = self.database.names()
        return {name: [row.uuid for row in self.database.of(name)] for name in names}

    def read(self, uuids):
        rows = (row for name in self.database.names() for row in self.database.of(name))
        return [row for row in rows if row.uuid in uuids]

    def rows(self, lb_id):
        return self.database.of(lb_id)

    def plan(self, change, rows):
        return record.record(rows, change, "")

    def record_on(self, rows, change):
        if self.fails:
            raise self.fails
        lb_id = change.lb_id if isinstance(change, changes.Abandon) else change.lb.id
        self.meanwhile()
        if self.rows(lb_id) != tuple(rows):
            return False
        return self.database.write(record.record(rows, change, "repair"))

    def put(self, lb):
        self.database.write(record.record(self.rows(lb.id), changes.Restore(lb), ""))

    def lb(self, lb_id="lb1"):
        return codec.decode(self.rows(lb_id)).lb

    def pending(self, lb_id="lb1"):
        return codec.pending(self.rows(lb_id))


class Octavia:
    def __init__(self):
        self.trees = {}
        self.listed = {}
        self.objects = {}
        self.asked = []
        self.reading = lambda _: None

    def has(self, tree, status="ACTIVE", objects=(), **fields):
        children = frozenset(each.id for each in (*tree.listeners, *tree.pools))
        self.trees[tree.id] = tree
        values = {"project_id": "project", "idle": 1000.0, **fields}
        self.listed[tree.id] = Listed(tree.id, status, children=children, **values)
        self.objects[tree.id] = dict(objects)

    def load_balancers(self):
        return list(self.listed.values())

    def load_balancer(self, lb_id):
        return self.listed.get(lb_id)

    def with_pending_children(self):
        return {
            lb_id
            for lb_id, objects in self.objects.items()
            if any(kind not in (Kind.MEMBER, Kind.L7RULE) for kind, _ in objects)
        }

    def pending(self, lb_id):
        return self.objects[lb_id]

    def tree(self, lb_id):
        self.asked.append(lb_id)
        self.reading(lb_id)
        found = self.trees.get(lb_id)
        if isinstance(found, Exception):
            raise found
        return found


def named(lb, lb_id):
    return dataclasses.replace(lb, id=lb_id)


def states(repair, **options):
    return {each.lb_id: each.state for each in repair.compare(**options)}


def repaired(repair, **options):
    return {each.finding.lb_id: each.action for each in sync(repair, **options)}
