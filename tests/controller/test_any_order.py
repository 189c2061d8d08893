# SPDX-License-Identifier: Apache-2.0
"""Requests, failures, other agents and forged rows in any order: nothing is deleted that stays."""

import dataclasses
import random

import pytest

from octavia_ovn.core import codec
from octavia_ovn.core.pending import Final, Kind, Pending
from octavia_ovn.core.request import changes
from octavia_ovn.errors import Refused, Unanswered
from tests.controller.agent import Agent
from tests.controller.openstack import Neutron, Octavia, Port
from tests.controller.outside import Northbound, Southbound
from tests.controller.stories import DOWN
from tests.core.builders import balancer, listener, member, pool, vip

IDS = ("lb1", "lb2")


def tree(lb_id, number):
    port = dataclasses.replace(vip(f"10.0.0.10{number}", user_port=False), port_id=f"{lb_id}-port")
    below = pool(f"{lb_id}-p", [dataclasses.replace(member(number), id=f"{lb_id}-m")])
    above = listener(f"{lb_id}-l", pool_id=below.id)
    return dataclasses.replace(balancer([above], [below], vips=(port,)), id=lb_id)


TREES = {lb_id: tree(lb_id, number) for number, lb_id in enumerate(IDS, 1)}


class Strict(Octavia):
    """Has states as the real one; nothing may be reported DELETED that a user has not deleted."""

    def __init__(self):
        super().__init__()
        self.deleted = set(IDS)
        self.in_silence = False

    def is_leaving(self, lb_id):
        super().is_leaving(lb_id)
        status = self.provisioning.get(lb_id, "DELETED")
        return None if status == "ERROR" else status in ("PENDING_DELETE", "DELETED")

    def belonging(self, lb_id, keys):
        found = self.tree(lb_id)
        own = changes.objects(found) if found else ()
        return frozenset(keys) & {(Kind.LOAD_BALANCER, lb_id), *own}

    def update_status(self, status):
        known = {key: each for key, each in self.provisioning.items() if each != "DELETED"}
        super().update_status(status)
        for records in status.values():
            for each in records:
                lb_id, end = each["id"].partition("-")[0], each.get("provisioning_status")
                assert end != "DELETED" or each["id"] not in known or lb_id in self.deleted
                if each["id"] not in known:
                    self.provisioning[each["id"]] = "DELETED"
                elif (each["id"], end) == (lb_id, "DELETED"):
                    self.trees.pop(lb_id, None)
        if self.in_silence:
            self.in_silence = False
            raise Unanswered("time-out")


class Guarded(Neutron):
    """Has ports, of which none may be deleted of a load balancer that stays."""

    def __init__(self, nb, octavia):
        super().__init__(nb)
        self._octavia = octavia
        self.wrong = []

    def delete_vip_port(self, port_id, lb_id, project_id, seen):
        super().delete_vip_port(port_id, lb_id, project_id, seen)
        if lb_id not in self._octavia.deleted:
            self.wrong.append(port_id)


class World:
    """Two load balancers, and what happens to them."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        nb, octavia = Northbound(), Strict()
        self.agent = Agent(outside=(nb, Southbound(), octavia, Guarded(nb, octavia)))
        self.octavia, self.neutron = octavia, self.agent.neutron

    def create(self, lb_id):
        if self.octavia.provisioning.get(lb_id, "DELETED") == "DELETED":
            self.octavia.deleted.discard(lb_id)
            self.state(lb_id, "PENDING_CREATE")
            self.neutron.ports[f"{lb_id}-port"] = Port(f"{lb_id}-port", f"ovn-lb-vip-{lb_id}")
            self.agent.created(TREES[lb_id])

    def state(self, lb_id, status):
        self.octavia.provisioning |= {each: status for _, each in changes.objects(TREES[lb_id])}

    def delete(self, lb_id):
        if self.octavia.provisioning.get(lb_id) in ("ACTIVE", "ERROR"):
            self.octavia.deleted.add(lb_id)
            self.state(lb_id, "PENDING_DELETE")
            objects = dict.fromkeys(changes.objects(TREES[lb_id]), Final.DELETED)
            self.agent.asked(changes.DeleteLoadBalancer(TREES[lb_id], objects), lb_id)

    def fail_over(self, lb_id):
        if self.octavia.provisioning.get(lb_id) in ("ACTIVE", "ERROR"):
            self.octavia.deleted.discard(lb_id)
            self.octavia.provisioning[lb_id] = "PENDING_UPDATE"
            self.agent.asked(changes.Resync(lb_id), lb_id)

    def forge(self, lb_id):
        rows = self.agent.db.of(lb_id)
        if rows:
            other = next(each for each in IDS if each != lb_id)
            before = codec.pending(rows)
            objects = dict.fromkeys(changes.objects(TREES[other]), Final.DELETED)
            whole = {(Kind.LOAD_BALANCER, lb_id): Final.DELETED}
            forged = Pending(
                before.requests if before and self.random.random() < 0.5 else ("forged",),
                objects | (whole if self.random.random() < 0.5 else {}),
                orphaned=self.random.random() < 0.3,
            )
            keys = {**rows[0].external_ids, codec.keys.PENDING: codec.encode_pending(forged)}
            self.agent.db.edit(rows[0].uuid, external_ids=keys)
            self.agent.enqueue(lb_id)

    def fail(self, _):
        self.neutron.error = self.random.choice([None, DOWN, Refused("in use")])
        self.octavia.error = self.random.choice([None, None, DOWN])
        self.agent.nb.error = self.random.choice([None, None, DOWN])
        self.octavia.in_silence = self.random.random() < 0.3

    def take_over(self, _):
        self.agent.work()
        self.agent = self.agent.successor()
        self.agent.controller.enqueue_all()

    def wait(self, _):
        self.agent.clock.passes(self.random.choice([1, 61, 301]))

    def recover(self):
        self.neutron.error = self.octavia.error = self.agent.nb.error = None
        self.octavia.in_silence = False
        for _ in range(15):
            self.agent.controller.resync()
            self.agent.waits(301)


def happen(world, *others):
    steps = (world.create, world.delete, world.fail_over, world.fail, world.wait, *others)
    for _ in range(40):
        world.random.choice(steps)(world.random.choice(IDS))
        if world.random.random() < 0.6:
            world.agent.settle()
    world.recover()
    assert world.neutron.wrong == []


@pytest.mark.parametrize("seed", range(60))
def test_every_request_ends(seed):
    world = World(seed)
    happen(world)
    for lb_id in IDS:
        status = world.octavia.provisioning.get(lb_id, "DELETED")
        assert status == ("DELETED" if lb_id in world.octavia.deleted else "ACTIVE")
        assert status == "ACTIVE" or f"{lb_id}-port" not in world.neutron.ports
        assert codec.pending(world.agent.db.of(lb_id)) is None
    assert world.agent.controller._tasks._tasks == {}


@pytest.mark.parametrize("seed", range(60))
def test_forged_rows_delete_nothing(seed):
    world = World(seed)
    happen(world, world.take_over, world.forge, world.forge)
