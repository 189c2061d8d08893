# SPDX-License-Identifier: Apache-2.0
"""A database, its surroundings and an agent that looks when told, for tests of histories."""

import dataclasses

from octavia_ovn.core import codec
from octavia_ovn.core.desired import access_control, draining
from octavia_ovn.core.desired.load_balancer import Facts, desired
from octavia_ovn.core.diff import diff
from octavia_ovn.core.health import Health, HealthState
from octavia_ovn.core.request import changes, record
from octavia_ovn.core.topology import Subnet, attachments, ingress_ports
from tests.core import strategies as some
from tests.core.builders import VIP, Cloud, balancer, row, vip
from tests.core.database import Database

FOREIGN = row(name="pf-floatingip-1", uuid="pf", external_ids={"neutron:device_owner": "x"})
SUBNETS = {
    "sub1": Subnet("sub1", "net1", "10.0.0.0/24"),
    "sub6": Subnet("sub6", "net1", "fd00::/64"),
}


class World:
    """A database, its surroundings, and an agent that looks when told."""

    def __init__(self, lb=None):
        self.db = Database([FOREIGN])
        self.lb = lb or balancer(vips=(vip(),))
        self.fip, self.interfaces = None, frozenset()
        self.dead, self.unplugged = frozenset(), frozenset()
        self.now = 0.0
        self.count = 0
        self.waiting = {}
        self.db.write(self._record(changes.CreateLoadBalancer(self.lb)))

    # --- what happens

    def happens(self, step):
        match step:
            case some.FloatingIp(address):
                self.fip = address
            case some.Interface(router, switch, there):
                one = {(router, switch)}
                self.interfaces = self.interfaces | one if there else self.interfaces - one
            case some.Dies(number, dead):
                self.dead = self.dead | {number} if dead else self.dead - {number}
            case some.Unplugged(number, down):
                one = {number}
                self.unplugged = self.unplugged | one if down else self.unplugged - one
            case _:
                self.asked(step)

    def asked(self, change):
        try:
            operations = self._record(change)
        except changes.UnknownObject:
            return
        self.db.write(operations)
        self.lb = changes.apply(self.lb, change).lb

    def _record(self, change):
        self.count += 1
        before = self.lb if self.count > 1 else None
        operations = record.record(self.rows, change, f"r{self.count}")
        self.waiting |= changes.apply(before, change).objects
        return operations

    def look(self):
        """What the agent does; return whether there was anything to do."""
        kept_out = access_control.difference(self.db.access(), self.kept_out())
        return self.db.write(diff(self.rows, self.wanted(self.rows)) + kept_out)

    def rests(self):
        """Look until nothing drains any more."""
        for _ in range(3):
            self.look()
            self.now += 1000.0

    def answered(self):
        """Octavia has been told and has accepted."""
        self.db.write(diff(self.rows, record.with_pending(self.rows, None)))
        self.waiting = {}

    # --- what there is

    @property
    def rows(self):
        return self.db.of("lb1")

    @property
    def serving(self):
        return draining.separate(self.rows)[0]

    def wanted(self, existing):
        decoded = codec.decode(self.rows)
        assert decoded.problems == ()
        wanted = desired(decoded.lb, existing, self.facts(decoded.lb))
        return record.with_pending(wanted, decoded.pending)

    def kept_out(self):
        lb = codec.decode(self.rows).lb
        return access_control.wanted(lb, self.facts(lb))

    def facts(self, lb):
        routers = {}
        for router, switch in sorted(self.interfaces):
            routers.setdefault(router, {})[switch] = some.NETWORKS[switch]
        cloud = Cloud(routers, switches=some.NETWORKS)
        addresses = {f"10.0.0.{each}": each for each in range(5)}
        places = attachments(lb, cloud, SUBNETS)
        return Facts(
            now=self.now,
            attachments=places,
            ingress_ports=ingress_ports(lb, places, cloud),
            floating_ips={VIP: self.fip} if self.fip else {},
            mappings={address: f"port{number}:10.0.0.9" for address, number in addresses.items()},
            health=Health(
                {
                    (f"10.0.0.{each}", 8000 + each, protocol): HealthState.DOWN
                    for each in self.dead
                    for protocol in ("tcp", "udp")
                },
                {
                    each.id: HealthState.UNREACHABLE
                    for pool, each in lb.members()
                    if self.is_unreachable(pool, each)
                },
            ),
        )

    def is_unreachable(self, pool, member):
        return pool.monitored and member.port - 8000 in self.unplugged


def bare(rows):
    """Rows without what makes them individuals, in an order of their own."""
    return sorted(
        (dataclasses.replace(each, uuid="") for each in rows),
        key=lambda each: sorted(each.external_ids.items()),
    )


def normal(lb):
    """A load balancer as the rows give it back: in the order of ids."""

    def ordered(objects):
        return tuple(sorted(objects, key=lambda each: each.id))

    return dataclasses.replace(lb, listeners=ordered(lb.listeners), pools=ordered(lb.pools))
