# SPDX-License-Identifier: Apache-2.0
"""Load balancers, requests and events at random; all from a small world, so that they meet.

They are catalogues, made once from a fixed seed, from which hypothesis picks: building each value
from single choices would take most of the time. What stands first is simplest, so that failing
examples shrink to it.
"""

import dataclasses
import random

from hypothesis import settings
from hypothesis import strategies as st

from octavia_ovn.core import model, slots
from octavia_ovn.core.request import changes
from tests.core.builders import balancer, vip

many = settings(max_examples=60)

TCP, UDP = model.Protocol.TCP, model.Protocol.UDP
PROTOCOLS = {"l1": TCP, "l2": TCP, "l3": UDP, "p1": TCP, "p2": TCP, "p3": UDP}
POOLS, LISTENERS = ("p1", "p2", "p3"), ("l1", "l2", "l3")
PORTS = {"l1": 80, "l2": 443, "l3": 80}
V6 = "fd00::100"
FLAVORS = (
    model.Flavor(),
    model.Flavor(),
    model.Flavor(reject=False, ct_flush=True, session_persistence=model.Mechanism.AFFINITY),
    model.Flavor(hairpin_snat_ip=("10.0.0.9",), session_persistence=model.Mechanism.HASH),
)
VIPS = ((vip(),), (vip(V6, subnet_id="sub6"),), (vip(), vip(V6)))


CIDRS = ((), (), (), ("10.0.0.0/8",), ("0.0.0.0/0",), ("10.0.0.7/32", "fd00::/8"))


@dataclasses.dataclass(frozen=True)
class FloatingIp:
    """The VIP gets a floating IP, or loses it."""

    address: str | None


@dataclasses.dataclass(frozen=True)
class Interface:
    """A router gets an interface on a network, or loses it."""

    router: str
    switch: str
    there: bool


@dataclasses.dataclass(frozen=True)
class Dies:
    """A backend dies, or comes back."""

    number: int
    dead: bool


@dataclasses.dataclass(frozen=True)
class Unplugged:
    """The port of a backend goes down, or comes up again."""

    number: int
    down: bool


NETWORKS = {
    "neutron-net1": ("10.0.0.1/24", "fd00::1/64"),
    "neutron-net2": ("10.2.0.1/24",),
    "neutron-net3": ("fd03::1/64",),
}
EVENTS = [
    *map(FloatingIp, (None, "10.73.1.1", "10.73.1.2")),
    *(Dies(number, dead) for number in range(1, 5) for dead in (False, True)),
    *(Unplugged(number, down) for number in range(1, 5) for down in (False, True)),
    *(
        Interface(router, switch, there)
        for router in ("R1", "R2")
        for switch in NETWORKS
        for there in (False, True)
    ),
]


class Maker:
    """Makes values at random."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.one = self._random.choice

    def mostly(self):
        return self.one([True, True, True, False])

    def some(self, values, most=4):
        return sorted(self._random.sample(values, self._random.randint(0, min(most, len(values)))))

    def member(self, pool_id, number=None):
        number = number or self.one([1, 2, 3, 4])
        ipv6 = self.one([False, False, True])
        return model.Member(
            id=f"{pool_id}-m{number}",
            address=f"fd00::{number}" if ipv6 else f"10.0.0.{number}",
            port=8000 + number,
            subnet_id="sub6" if ipv6 else "sub1",
            weight=self.one([1, 1, 2, 6, 0]),
            backup=not self.mostly(),
            enabled=self.mostly(),
            monitor_port=self.one([None, None, None, 8080]),
            monitor_address=self.one([None, None, None, "fd00::9" if ipv6 else "10.0.0.9"]),
        )

    def members(self, pool_id):
        return tuple(self.member(pool_id, each) for each in self.some([1, 2, 3, 4]))

    def monitor(self, pool_id):
        by_ovn = "UDP_CONNECT" if PROTOCOLS[pool_id] is UDP else "TCP"
        return model.HealthMonitor(
            id=f"{pool_id}-hm",
            type=model.MonitorType[self.one([by_ovn, by_ovn, by_ovn, "HTTP", "PING"])],
            delay=self.one([1, 5]),
            timeout=3,
            max_retries=3,
            enabled=self.mostly(),
            url_path=self.one([None, None, "/up"]),
            expected_codes=self.one([None, None, "200-204"]),
        )

    def persistence(self):
        mechanism = self.one([None, None, *model.Mechanism])
        return mechanism and model.SessionPersistence(mechanism, self.one([None, 90]))

    def application(self, protocol):
        return self.one([None, None, *model.Application]) if protocol is TCP else None

    def bare_pool(self, pool_id):
        return model.Pool(
            id=pool_id,
            protocol=PROTOCOLS[pool_id],
            application=self.application(PROTOCOLS[pool_id]),
            algorithm=self.one([*model.Algorithm]),
            persistence=self.persistence(),
            enabled=self.mostly(),
        )

    def pool(self, pool_id):
        return dataclasses.replace(
            self.bare_pool(pool_id),
            members=self.members(pool_id),
            monitor=self.one([None, self.monitor(pool_id)]),
        )

    def listener(self, listener_id, pool_ids=POOLS):
        protocol = PROTOCOLS[listener_id]
        fitting = [each for each in pool_ids if PROTOCOLS[each] is protocol]
        return model.Listener(
            id=listener_id,
            protocol=protocol,
            application=self.application(protocol),
            port=PORTS[listener_id],
            pool_id=self.one([None, *fitting, *fitting]),
            enabled=self.mostly(),
            allowed_cidrs=self.one(CIDRS),
            connection_limit=self.one([None, None, 1, 1000]),
        )

    def load_balancer(self):
        pool_ids = self.some(POOLS)
        return model.LoadBalancer(
            id="lb1",
            vips=self.one(VIPS),
            project_id=self.one([None, "project1"]),
            enabled=self.mostly(),
            listeners=tuple(self.listener(each, pool_ids) for each in self.some(LISTENERS)),
            pools=tuple(map(self.pool, pool_ids)),
            flavor=self.one(FLAVORS),
        )

    def aged(self):
        """A load balancer whose pools have lost members: with vacant places."""
        lb = self.load_balancer()
        pools = []
        for pool in lb.pools:
            left = tuple(each for each in pool.members if self.mostly())
            now = dataclasses.replace(pool, members=left)
            pools.append(slots.arrange(now, slots.places(pool)))
        return dataclasses.replace(lb, pools=tuple(pools))

    def request(self):
        pool_id, listener_id = self.one(POOLS), self.one(LISTENERS)
        fitting = [each for each in LISTENERS if PROTOCOLS[each] is PROTOCOLS[pool_id]]
        return self.one(
            [
                changes.UpdateLoadBalancer(self.one([None, True, False])),
                changes.PutListener(self.listener(listener_id)),
                changes.DeleteListener(listener_id),
                changes.PutPool(self.bare_pool(pool_id), self.one([None, *fitting])),
                changes.DeletePool(pool_id, {}),
                changes.PutMember(pool_id, self.member(pool_id)),
                changes.PutMember(pool_id, self.member(pool_id)),
                changes.DeleteMember(pool_id, f"{pool_id}-m{self.one([1, 2, 3, 4])}"),
                changes.ReplaceMembers(pool_id, self.members(pool_id)),
                changes.PutMonitor(pool_id, self.monitor(pool_id)),
                changes.DeleteMonitor(pool_id, f"{pool_id}-hm"),
            ]
        )


_maker = Maker(1)


def _catalogue(make, count):
    return st.sampled_from(sorted({make() for _ in range(count)}, key=lambda each: len(repr(each))))


load_balancers = st.just(balancer()) | _catalogue(_maker.load_balancer, 500)
aged = _catalogue(_maker.aged, 500)
requests = st.sampled_from(
    sorted((_maker.request() for _ in range(1000)), key=lambda each: len(repr(each)))
)
events = st.sampled_from(EVENTS)
