# SPDX-License-Identifier: Apache-2.0
"""Objects in PENDING, and requests during a comparison."""

import pytest

from octavia_ovn.controller.drift.compare import Depth, DriftState
from octavia_ovn.controller.drift.once import Action
from octavia_ovn.core.pending import Final, Kind
from octavia_ovn.core.request import changes, record
from tests.controller.drift.databases import WEB, repaired, states
from tests.core.builders import member, monitor, web

ALL_PENDING = dict.fromkeys(changes.objects(WEB), Final.ACTIVE)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("depth", Depth)
def test_stuck(store, octavia, repair, there, depth):
    if there:
        store.put(WEB)
    octavia.has(WEB, "PENDING_CREATE", ALL_PENDING)
    (finding,) = repair.compare(depth=depth)
    assert finding.state is DriftState.STUCK
    assert finding.detail == "PENDING_CREATE for 1000 s"
    assert repaired(repair, depth=depth) == {"lb1": Action.RECORDED}
    assert store.lb() == WEB
    assert store.pending().objects == ALL_PENDING
    assert repaired(repair, depth=depth) == {"lb1": Action.NOTHING}


def test_objects_in_pending_delete_are_deleted(store, octavia, repair):
    store.put(WEB)
    gone = {(Kind.MEMBER, "m1"): Final.DELETED}
    octavia.has(WEB, "PENDING_UPDATE", {(Kind.LOAD_BALANCER, "lb1"): Final.ACTIVE, **gone})
    repaired(repair)
    assert store.lb() == web(member(2))
    assert store.pending().objects[Kind.MEMBER, "m1"] is Final.DELETED


@pytest.mark.parametrize("there", [True, False])
def test_stuck_in_deletion(store, octavia, repair, there):
    if there:
        store.put(WEB)
    octavia.has(WEB, "PENDING_DELETE", {(Kind.LOAD_BALANCER, "lb1"): Final.DELETED})
    assert repaired(repair) == {"lb1": Action.RECORDED}
    assert store.pending().deleting
    assert store.pending().objects == dict.fromkeys(changes.objects(WEB), Final.DELETED)


@pytest.mark.parametrize("kind", [Kind.POOL, Kind.LISTENER, Kind.HEALTH_MONITOR])
def test_child_that_is_stuck_alone(store, octavia, repair, kind):
    lb = web(member(1), monitor=monitor())
    ids = {Kind.POOL: "p1", Kind.LISTENER: "l1", Kind.HEALTH_MONITOR: "hm1"}
    stuck = {(kind, ids[kind]): Final.ACTIVE}
    store.put(lb)
    octavia.has(lb, objects=stuck)
    (finding,) = repair.compare(depth=Depth.LISTS)
    assert finding.state is DriftState.STUCK
    repair.repair(finding)
    assert store.pending().objects == stuck


def test_member_that_is_stuck_alone_is_found_by_statuses(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB, objects={(Kind.MEMBER, "m1"): Final.ACTIVE})
    assert states(repair) == {"lb1": DriftState.RIGHT}
    assert states(repair, depth=Depth.STATUSES) == {"lb1": DriftState.STUCK}


@pytest.mark.parametrize("there", [True, False])
def test_new_request_is_left_alone(store, octavia, repair, there):
    if there:
        store.put(WEB)
    octavia.has(WEB, "PENDING_CREATE", ALL_PENDING, idle=10.0)
    assert repaired(repair) == {"lb1": Action.NOTHING}


def test_the_agents_work_is_left_alone(store, octavia, repair):
    store.database.write(record.record((), changes.CreateLoadBalancer(WEB), "request"))
    octavia.has(WEB, "PENDING_CREATE", ALL_PENDING)
    assert repaired(repair) == {"lb1": Action.NOTHING}


def test_request_that_comes_while_octavia_is_read(store, octavia, repair):
    """Its member must survive, although Octavia did not have it yet."""
    store.put(WEB)
    octavia.has(web(member(1)))
    put = changes.PutMember("p1", member(3))

    def request(_):
        octavia.reading = lambda _: None
        store.database.write(record.record(store.rows("lb1"), put, "request"))

    octavia.reading = request
    assert repaired(repair) == {"lb1": Action.NOTHING}
    assert store.lb().pool("p1").member("m3")


def test_request_during_a_repair(store, octavia, repair):
    store.put(WEB)
    octavia.has(web(member(1)))
    put = changes.PutMember("p1", member(3))
    store.meanwhile = lambda: store.database.write(record.record(store.rows("lb1"), put, "request"))
    assert repaired(repair) == {"lb1": Action.CHANGED}
    assert store.lb().pool("p1").member("m3")


POLICY = {
    (Kind.L7POLICY, "policy"): Final.ACTIVE,
    (Kind.L7RULE, "rule"): Final.ACTIVE,
}


@pytest.mark.parametrize("depth", Depth)
def test_l7_policy_that_octavia_has_made_behind_our_back(store, octavia, repair, depth):
    """A populated create has it, and the driver does not hear of it."""
    store.put(WEB)
    octavia.has(WEB, objects=POLICY)
    (finding,) = repair.compare(depth=depth)
    assert (finding.state, finding.detail) == (DriftState.STUCK, "l7policy, l7rule in PENDING")
    repair.repair(finding)
    assert store.lb() == WEB
    assert store.pending().objects == POLICY
