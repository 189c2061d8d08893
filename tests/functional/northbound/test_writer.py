# SPDX-License-Identifier: Apache-2.0
"""The stories' database in memory and the real writer do the same with every operation."""

import dataclasses
import typing
from operator import attrgetter

import pytest

from octavia_ovn.adapters.northbound import replica
from octavia_ovn.adapters.ovsdb.replica import fetch_schema
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.core import model, rows
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.request import changes
from tests.controller.agent import Agent
from tests.controller.openstack import Neutron, Octavia
from tests.controller.outside import Northbound, Southbound, SwitchPorts
from tests.controller.stories import CHECKED, GONE, SITE
from tests.core.builders import Cloud, listener, member, monitor, pool
from tests.core.database import Database
from tests.functional.ovsdb.server import DATABASE, endpoint, wait_for

PORTS = ("vip-port", "R1-neutron-net1", "ovn-lb-hm-sub1")
ROUTED = Cloud({"R1": {"neutron-net1": ("10.0.0.1/24",)}}, switches=["neutron-net1"])
MOVED = Cloud({"R2": {"neutron-net1": ("10.0.0.1/24",)}}, switches=["neutron-net1"])
ISOLATED = Cloud(switches=["neutron-net1"])
HTTP = listener()
DNS = listener("l2", 53, "p2", protocol=model.Protocol.UDP)
OTHER = pool("p2", [member(3)], protocol=model.Protocol.UDP)


class Server:
    """A real Northbound database, with what the stories' database has in memory."""

    def __init__(self, server):
        self._session = OvsdbSession(endpoint(server.unix), DATABASE, 5)
        self._session.transact([*self._ports(), *self._topology()])
        self._nb = replica.Northbound(
            endpoint(server.unix),
            fetch_schema(endpoint(server.unix), DATABASE, 5),
            changed=lambda _: None,
            row_changed=lambda _: None,
            lock="test",
            timeout=5.0,
            probe_interval=0,
            max_backoff=7000,
        )
        self.transactions = 0
        self.written = set()
        self._until(lambda: self._nb.replica.has_lock and self._nb.replica.synced)

    @staticmethod
    def _ports():
        for number, name in enumerate(PORTS):
            row = {"name": name, "addresses": f"fa:16:3e:00:00:0{number} 10.0.0.{50 + number}"}
            yield {
                "op": "insert",
                "table": "Logical_Switch_Port",
                "row": row,
                "uuid-name": f"p{number}",
            }

    @staticmethod
    def _topology():
        ports = ["set", [["named-uuid", f"p{number}"] for number in range(len(PORTS))]]
        switch = {"name": "neutron-net1", "ports": ports}
        yield {"op": "insert", "table": "Logical_Switch", "row": switch}
        for name in ("R1", "R2"):
            yield {"op": "insert", "table": "Logical_Router", "row": {"name": name}}

    def _until(self, condition):
        def turn():
            self._nb.run()
            return condition()

        wait_for(turn)

    def close(self):
        self._nb.close()
        self._session.close()

    def write(self, operations):
        operations = tuple(operations)
        self.written.update(map(type, operations))
        self.transactions += bool(operations)
        # Ports are replicated once they have been asked for.
        self._until(lambda: self._nb.existing_ports(PORTS) == frozenset(PORTS))
        self._until(lambda: None not in map(self._nb.has_addresses, PORTS))
        return bool(operations) and self._nb.commit(lambda: operations)

    def all(self):
        return tuple(row for name in sorted(self.names()) for row in self.of(name))

    def of(self, name):
        self._nb.run()
        return tuple(self._nb.rows(name))

    def names(self):
        self._nb.run()
        return set(self._nb.names())

    def access(self, name="lb1"):
        return self._nb.access(name)

    @property
    def answers(self):
        found = {(lb, each) for lb in self._nb.names() for each in self._nb.answers(lb)}
        return {(lb, each): self._nb.answers(lb)[each] for lb, each in found}

    @property
    def cleared(self):
        """The ports that have lost their addresses."""
        query = {"op": "select", "table": "Logical_Switch_Port", "where": []}
        (answer,) = self._session.transact([query | {"columns": ["name", "addresses"]}])
        found = [row["name"] for row in answer["rows"] if row["addresses"] == ["set", []]]
        return sorted(set(found) & set(PORTS))

    vips = Database.vips


def content(db):
    """All that a database says, in an order that uuids have no part in."""
    access = db.access()
    lbs = (
        dataclasses.replace(row, health_checks=sorted(row.health_checks, key=attrgetter("vip")))
        for row in db.all()
    )
    groups = (
        dataclasses.replace(group, acls=sorted(group.acls, key=attrgetter("match")))
        for group in access.groups
    )
    return (
        sorted(lbs, key=_order),
        sorted(groups, key=attrgetter("name")),
        sorted(access.sets, key=attrgetter("name")),
        db.answers,
        sorted(db.cleared),
    )


def _order(row):
    return row.name, row.protocol, row.external_ids.get(k.DRAIN_ROW, "")


def story(agent):
    """Yield after each step of a story in which every operation occurs."""

    def asked(change):
        agent.asked(change)
        return agent.settle()

    ports = agent.nb.ports["neutron-net1"]
    ports.names = {f"10.0.0.{number}": f"port{number}" for number in (1, 2)}
    ports.sources = {"sub1": "10.0.0.52"}
    agent.nb.cloud = ROUTED
    agent.created(CHECKED)
    yield agent.settle()
    ports.answers = {"sub1": "ovn-lb-hm-sub1"}
    agent.changed(("monitored", "sub1"))
    yield agent.settle()
    yield asked(changes.PutMonitor("p1", dataclasses.replace(monitor(), delay=9)))
    yield asked(changes.DeleteMonitor("p1", "hm1"))
    yield asked(changes.PutMember("p1", member(3)))
    yield asked(changes.PutListener(dataclasses.replace(HTTP, allowed_cidrs=("10.0.0.0/8",))))
    yield asked(changes.PutListener(dataclasses.replace(HTTP, allowed_cidrs=("10.1.0.0/16",))))
    yield asked(changes.PutListener(HTTP))
    yield asked(
        changes.PutPool(dataclasses.replace(SITE.pools[0], algorithm=model.Algorithm.SOURCE_IP))
    )
    yield asked(changes.PutPool(OTHER))
    yield asked(changes.PutListener(DNS))
    for cloud in (MOVED, ISOLATED, ROUTED):
        agent.nb.cloud = cloud
        agent.changed(("switch", "neutron-net1"))
        yield agent.settle()
    yield asked(changes.UpdateLoadBalancer(enabled=False))
    yield asked(changes.DeleteListener("l2"))
    yield asked(changes.DeleteMonitor("p1", "hm1"))
    yield asked(GONE)


def agent_on(db):
    nb = Northbound()
    nb.db = db
    nb.ports = {"neutron-net1": SwitchPorts()}
    return Agent(outside=(nb, Southbound(), Octavia(), Neutron(nb)))


@pytest.fixture
def real(server):
    made = Server(server)
    yield made
    made.close()


def test_every_operation_does_the_same_in_memory_and_in_the_database(real):
    memory = Database()
    steps = zip(story(agent_on(memory)), story(agent_on(real)), strict=True)
    for step, _ in enumerate(steps):
        assert content(real) == content(memory), f"after step {step}"
    assert memory.all() == ()
    of_no_load_balancer = {rows.Announce, rows.IncrementNumber}
    assert real.written == set(typing.get_args(rows.Operation)) - of_no_load_balancer


def drain(agent):
    """A member that leaves keeps its connections for a minute: yields after each step."""
    lb = dataclasses.replace(SITE, flavor=model.Flavor(drain_timeout=60))
    agent.created(lb)
    yield agent.settle()
    agent.asked(changes.DeleteMember("p1", "m1"))
    yield agent.settle()
    agent.asked(changes.DeleteMember("p1", "m2"))
    yield agent.waits(2)
    for seconds in (53, 2, 3, 2):
        yield agent.waits(seconds)


def test_a_drain_does_the_same_in_memory_and_in_the_database(real):
    memory = Database()
    rows_there = []
    for _ in zip(drain(agent_on(memory)), drain(agent_on(real)), strict=True):
        assert content(real) == content(memory)
        rows_there.append(len(memory.all()))
    assert rows_there == [1, 2, 2, 3, 3, 3, 1]
