# SPDX-License-Identifier: Apache-2.0
"""What comes of a request: the load balancer after it, and what Octavia waits for."""

import dataclasses

import pytest

from octavia_ovn.core import model, slots
from octavia_ovn.core.pending import Final, Kind, Pending, active, deleted
from octavia_ovn.core.request import changes
from tests.core.builders import balancer, listener, member, monitor, pool, vip, web

LB1 = {(Kind.LOAD_BALANCER, "lb1"): Final.ACTIVE}
P1 = active(Kind.POOL, ["p1"])
L1 = active(Kind.LISTENER, ["l1"])

BEFORE = web(member(1), member(2), monitor=monitor())
BARE = balancer([listener(pool_id=None)])


def with_members(*members, **fields):
    return web(*members, **{"monitor": monitor(), **fields})


def with_pool(**fields):
    return with_members(member(1), member(2), **fields)


# What is asked, of what, and what comes of it.
CASES = {
    "disable the load balancer": (
        BEFORE,
        changes.UpdateLoadBalancer(enabled=False),
        dataclasses.replace(BEFORE, enabled=False),
        {},
    ),
    "rename the load balancer": (BEFORE, changes.UpdateLoadBalancer(), BEFORE, {}),
    "failover": (BEFORE, changes.Resync("lb1"), BEFORE, {}),
    "an L7 policy goes": (
        BEFORE,
        changes.Release("lb1", deleted(Kind.L7POLICY, ["x"])),
        BEFORE,
        deleted(Kind.L7POLICY, ["x"]),
    ),
    "new listener": (balancer(), changes.PutListener(listener()), balancer([listener()]), L1),
    "changed listener": (
        BEFORE,
        changes.PutListener(listener(enabled=False)),
        balancer([listener(enabled=False)], BEFORE.pools),
        L1,
    ),
    "delete a listener": (
        BEFORE,
        changes.DeleteListener("l1"),
        balancer([], BEFORE.pools),
        deleted(Kind.LISTENER, ["l1"]),
    ),
    "delete a listener with an L7 policy": (
        BEFORE,
        changes.DeleteListener("l1", deleted(Kind.L7POLICY, ["x"])),
        balancer([], BEFORE.pools),
        deleted(Kind.LISTENER, ["l1"]) | deleted(Kind.L7POLICY, ["x"]),
    ),
    "delete an unknown listener": (
        BEFORE,
        changes.DeleteListener("l9"),
        BEFORE,
        deleted(Kind.LISTENER, ["l9"]),
    ),
    "new pool": (BARE, changes.PutPool(pool()), balancer(BARE.listeners, [pool()]), P1),
    "new pool of a listener": (BARE, changes.PutPool(pool(), "l1"), web(), P1 | L1),
    "changed pool keeps members and monitor": (
        BEFORE,
        changes.PutPool(pool(enabled=False)),
        with_pool(enabled=False),
        P1 | L1,
    ),
    "delete a pool": (
        BEFORE,
        changes.DeletePool("p1", deleted(Kind.MEMBER, ["m9"])),
        BARE,
        deleted(Kind.MEMBER, ["m1", "m2", "m9"])
        | deleted(Kind.HEALTH_MONITOR, ["hm1"])
        | deleted(Kind.POOL, ["p1"])
        | L1,
    ),
    "delete an unknown pool": (
        BEFORE,
        changes.DeletePool("p9", {}),
        BEFORE,
        deleted(Kind.POOL, ["p9"]),
    ),
    "new member": (
        BEFORE,
        changes.PutMember("p1", member(3)),
        with_members(member(1), member(2), member(3)),
        P1 | L1 | active(Kind.MEMBER, ["m3"]),
    ),
    "changed member": (
        BEFORE,
        changes.PutMember("p1", member(1, weight=0)),
        with_members(member(1, weight=0), member(2)),
        P1 | L1 | active(Kind.MEMBER, ["m1"]),
    ),
    "delete a member": (
        BEFORE,
        changes.DeleteMember("p1", "m1"),
        with_members(member(2)),
        P1 | L1 | deleted(Kind.MEMBER, ["m1"]),
    ),
    "delete an unknown member": (
        BEFORE,
        changes.DeleteMember("p1", "m9"),
        BEFORE,
        P1 | L1 | deleted(Kind.MEMBER, ["m9"]),
    ),
    "replace members": (
        BEFORE,
        changes.ReplaceMembers("p1", (member(3), member(2, weight=5))),
        with_members(member(2, weight=5), member(3)),
        P1 | L1 | active(Kind.MEMBER, ["m2", "m3"]) | deleted(Kind.MEMBER, ["m1"]),
    ),
    "remove all members": (
        BEFORE,
        changes.ReplaceMembers("p1", ()),
        with_members(),
        P1 | L1 | deleted(Kind.MEMBER, ["m1", "m2"]),
    ),
    "new monitor": (
        web(),
        changes.PutMonitor("p1", monitor()),
        web(monitor=monitor()),
        P1 | L1 | active(Kind.HEALTH_MONITOR, ["hm1"]),
    ),
    "delete a monitor": (
        BEFORE,
        changes.DeleteMonitor("p1", "hm1"),
        web(member(1), member(2)),
        P1 | L1 | deleted(Kind.HEALTH_MONITOR, ["hm1"]),
    ),
}


@pytest.mark.parametrize(("before", "change", "after", "objects"), CASES.values(), ids=CASES)
def test_applies(before, change, after, objects):
    applied = changes.apply(before, change)

    assert after == applied.lb
    assert {**objects, **LB1} == applied.objects
    assert not applied.created


@pytest.mark.parametrize(("before", "change"), [each[:2] for each in CASES.values()], ids=CASES)
def test_applies_twice_as_once(before, change):
    once = changes.apply(before, change)

    assert once.lb == changes.apply(once.lb, change).lb


def test_creates_a_whole_tree():
    applied = changes.apply(None, changes.CreateLoadBalancer(BEFORE))

    assert applied.lb == BEFORE
    assert applied.created
    assert (
        applied.objects
        == active(Kind.MEMBER, ["m1", "m2"]) | active(Kind.HEALTH_MONITOR, ["hm1"]) | P1 | L1 | LB1
    )
    assert applied.objects.keys() == changes.objects(BEFORE)


@pytest.mark.parametrize("lb", [BEFORE, None])
def test_deletes_all_that_anybody_knows(lb):
    known_to_octavia = deleted(Kind.MEMBER, ["m1", "m9"])

    applied = changes.apply(lb, changes.DeleteLoadBalancer(balancer(), known_to_octavia))

    known_to_rows = changes.objects(lb or balancer())
    assert applied.objects == {**dict.fromkeys(known_to_rows, Final.DELETED), **known_to_octavia}


UNKNOWN = {
    "no load balancer": (None, changes.UpdateLoadBalancer()),
    "no pool for a member": (balancer(), changes.PutMember("p1", member())),
    "no pool to take a member from": (balancer(), changes.DeleteMember("p1", "m1")),
    "no pool for members": (balancer(), changes.ReplaceMembers("p1", ())),
    "no pool for a monitor": (balancer(), changes.PutMonitor("p1", monitor())),
    "no pool to take a monitor from": (balancer(), changes.DeleteMonitor("p1", "hm1")),
    "no listener for a pool": (balancer(), changes.PutPool(pool(), "l1")),
}


@pytest.mark.parametrize(("before", "change"), UNKNOWN.values(), ids=UNKNOWN)
def test_names_what_is_missing(before, change):
    with pytest.raises(changes.UnknownObject, match="Northbound database"):
        changes.apply(before, change)


def test_every_change_is_applied():
    with pytest.raises(TypeError):
        changes.apply(BEFORE, object())


WITHOUT_SUBNET = [
    changes.PutMember("p1", member(1, subnet_id=None)),
    changes.ReplaceMembers("p1", (member(1, subnet_id=None), member(2, subnet_id=None))),
]


@pytest.mark.parametrize("change", WITHOUT_SUBNET)
def test_keeps_subnets_found_earlier(change):
    assert changes.apply(BEFORE, change).lb.pools[0].members[0].subnet_id == "sub1"


def test_a_member_with_another_address_may_be_elsewhere():
    moved = member(1, address="10.9.9.9", subnet_id=None)

    assert changes.apply(BEFORE, changes.PutMember("p1", moved)).lb.pools[0].members[0] == moved


BY_CLIENT = {"algorithm": model.Algorithm.SOURCE_IP}


def test_members_of_a_pool_that_hashes_by_client_keep_their_places():
    lb = web(member(1), member(2), member(3), **BY_CLIENT)

    gone = changes.apply(lb, changes.DeleteMember("p1", "m1")).lb
    back = changes.apply(gone, changes.PutMember("p1", member(4))).lb

    assert slots.places(gone.pools[0]) == ("", "m2", "m3")
    assert slots.places(back.pools[0]) == ("m4", "m2", "m3")


def test_places_go_when_the_client_does_not_decide_any_more():
    lb = web(member(2), member(3), **BY_CLIENT, slots=("", "m2", "m3"))

    after = changes.apply(lb, changes.PutPool(pool())).lb

    assert after.pools[0].slots == ()


class TestRestore:
    def test_makes_what_is_missing(self):
        applied = changes.apply(None, changes.Restore(BEFORE, LB1))

        assert applied.lb == BEFORE
        assert applied.objects == LB1

    def test_nothing_is_pending_by_default(self):
        assert changes.apply(BEFORE, changes.Restore(BEFORE)).objects == {}

    def test_keeps_what_octavia_does_not_know(self):
        before = balancer(
            [listener()],
            [pool(members=[member(2), member(3)], **BY_CLIENT, slots=("", "m2", "m3"))],
            vips=(vip(cidr="10.0.0.0/24", user_port=True), vip("10.1.0.5")),
        )
        octavia = balancer(
            [listener(port=81)],
            [
                pool(members=[member(3, subnet_id=None), member(4), member(2)], **BY_CLIENT),
                pool("p2"),
            ],
            vips=(
                dataclasses.replace(vip(), subnet_id=None, network_id=None),
                vip("10.1.0.6", user_port=False),
            ),
        )

        after = changes.apply(before, changes.Restore(octavia)).lb

        assert after.vips == (before.vips[0], octavia.vips[1])
        assert after.listeners == octavia.listeners
        assert after.pools[0].members == (member(2), member(3), member(4))
        assert after.pools[0].slots == ("m4", "m2", "m3")
        assert after.pools[1] == octavia.pools[1]

    def test_octavia_knows_best_who_made_a_port(self):
        before = balancer(vips=(vip(user_port=True),))
        octavia = balancer(vips=(vip(user_port=False),))

        assert changes.apply(before, changes.Restore(octavia)).lb.vips == octavia.vips


class TestPending:
    ONE = Pending(("r1",), P1 | L1)

    def test_merges_what_came_later(self):
        later = Pending(("r1", "r2"), deleted(Kind.POOL, ["p1"]), created=True, resync=True)

        merged = self.ONE.merge(later)

        assert merged == Pending(
            ("r1", "r2"), L1 | deleted(Kind.POOL, ["p1"]), created=True, resync=True
        )

    @pytest.mark.parametrize(
        ("pending", "deleting"),
        [
            (ONE, False),
            (Pending((), LB1), False),
            (Pending((), deleted(Kind.POOL, ["p1"])), False),
            (Pending((), deleted(Kind.LOAD_BALANCER, ["lb1"])), True),
            (Pending((), {}, orphaned=True), True),
        ],
    )
    def test_deletion_of_the_load_balancer_is_recognised(self, pending, deleting):
        assert deleting is pending.deleting

    def test_once_an_orphan_always_an_orphan(self):
        assert Pending(("r0",), {}, orphaned=True).merge(self.ONE) == Pending(
            ("r0", "r1"), {}, orphaned=True
        )
