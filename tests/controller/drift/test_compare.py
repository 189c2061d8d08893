# SPDX-License-Identifier: Apache-2.0
"""Comparing and mending, with everything around it in memory."""

import dataclasses

import pytest

from octavia_ovn.controller.drift.compare import Depth, DriftState, Repair, without
from octavia_ovn.controller.drift.once import Action, sync
from octavia_ovn.core import codec
from octavia_ovn.core.listed import Listed
from octavia_ovn.core.model import Protocol
from octavia_ovn.core.pending import Final, Kind
from octavia_ovn.core.request import changes, record
from octavia_ovn.core.request.record import rows_of
from octavia_ovn.errors import Unavailable
from tests.core.builders import balancer, listener, member, monitor, pool, web
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
        return {name: self.database.of(name) for name in self.database.names()}

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


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def octavia():
    return Octavia()


@pytest.fixture
def repair(store, octavia):
    return Repair(store, octavia, octavia, sleep=lambda _: None)


def named(lb, lb_id):
    return dataclasses.replace(lb, id=lb_id)


def states(repair, **options):
    return {each.lb_id: each.state for each in repair.compare(**options)}


def mend(repair, **options):
    return {each.finding.lb_id: each.action for each in sync(repair, **options)}


@pytest.mark.parametrize("lb", [WEB, TWO_PROTOCOLS, balancer()])
@pytest.mark.parametrize("depth", Depth)
def test_nothing_is_written_for_what_is_right(store, octavia, repair, lb, depth):
    store.put(lb)
    octavia.has(lb)
    before = store.database.all()
    assert states(repair, depth=depth) == {"lb1": DriftState.RIGHT}
    assert mend(repair, depth=depth) == {"lb1": Action.NOTHING}
    assert store.database.all() == before


def test_lists_alone_do_not_ask_for_trees(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    states(repair, depth=Depth.LISTS)
    assert octavia.asked == []


@pytest.mark.parametrize("depth", Depth)
@pytest.mark.parametrize("lb", [WEB, TWO_PROTOCOLS])
def test_missing(store, octavia, repair, lb, depth):
    octavia.has(lb)
    assert states(repair, depth=depth) == {"lb1": DriftState.MISSING}
    assert store.rows("lb1") == ()
    assert mend(repair, depth=depth) == {"lb1": Action.RECORDED}
    assert store.lb() == lb
    assert store.pending() is None
    assert mend(repair, depth=depth) == {"lb1": Action.NOTHING}


def test_member_that_is_lost_is_found_by_trees(store, octavia, repair):
    store.put(web(member(1)))
    octavia.has(WEB)
    assert states(repair, depth=Depth.LISTS) == {"lb1": DriftState.RIGHT}
    (finding,) = repair.compare()
    assert finding.state is DriftState.DIFFERENT
    assert finding.detail == "pool p1 different"
    assert mend(repair) == {"lb1": Action.RECORDED}
    assert store.lb() == WEB


def test_listener_that_is_lost_is_found_by_lists(store, octavia, repair):
    store.put(balancer([], [pool(members=[member(1), member(2)])]))
    octavia.has(WEB)
    (finding,) = repair.compare(depth=Depth.LISTS)
    assert finding.state is DriftState.DIFFERENT
    assert finding.detail == "listener l1 missing"


def test_listener_that_octavia_lacks_goes(store, octavia, repair):
    store.put(TWO_PROTOCOLS)
    octavia.has(WEB)
    (finding,) = repair.compare()
    assert "listener l2 not in Octavia" in finding.detail
    mend(repair)
    assert store.lb() == WEB


def test_row_that_is_lost_of_two(store, octavia, repair):
    store.put(TWO_PROTOCOLS)
    octavia.has(TWO_PROTOCOLS)
    tcp, udp = sorted(store.rows("lb1"), key=lambda row: row.protocol)
    del store.database[udp.uuid]
    (finding,) = repair.compare()
    assert "row for udp missing" in finding.detail
    mend(repair)
    assert {row.protocol for row in store.rows("lb1")} == {"tcp", "udp"}
    assert store.lb() == TWO_PROTOCOLS
    assert store.database[tcp.uuid] == tcp


def test_garbage_in_our_keys(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    (row,) = store.rows("lb1")
    keys = {**row.external_ids, "listener_x": "garbage", "pool_p1": "member_?"}
    store.database.edit(row.uuid, external_ids=keys)
    mend(repair)
    assert store.rows("lb1") == (row,)


def test_vip_that_cannot_be_read(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    (row,) = store.rows("lb1")
    store.database.edit(row.uuid, external_ids={**row.external_ids, "neutron:vip": "nowhere"})
    assert mend(repair) == {"lb1": Action.RECORDED}
    assert store.rows("lb1") == (row,)


def test_empty_row(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    (row,) = store.rows("lb1")
    store.database.edit(row.uuid, external_ids={})
    assert mend(repair) == {"lb1": Action.RECORDED}
    assert store.rows("lb1") == (row,)


def test_duplicate_row(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    (row,) = store.rows("lb1")
    store.database.insert(dataclasses.replace(row, uuid="another"))
    assert states(repair) == {"lb1": DriftState.DIFFERENT}
    mend(repair)
    assert sum("pool_p1" in row.external_ids for row in store.rows("lb1")) == 1
    assert states(repair) == {"lb1": DriftState.RIGHT}


def test_what_the_rows_know_better_is_kept(store, octavia, repair):
    """Octavia does not know the subnet that was found for a member, nor whose a port is."""
    lb = web(member(1), member(2))
    lb = dataclasses.replace(lb, vips=(dataclasses.replace(lb.vips[0], user_port=True),))
    store.put(lb)
    octavia.has(web(member(1, subnet_id=None), member(2, subnet_id=None)))
    assert states(repair) == {"lb1": DriftState.RIGHT}


@pytest.mark.parametrize("depth", [Depth.LISTS, Depth.TREES])
def test_a_vip_that_is_not_served_is_told(store, octavia, repair, depth):
    store.put(WEB)
    octavia.has(WEB)
    (row,) = store.rows("lb1")
    lost = {**row.external_ids, "octavia:lost_vips": '{"10.0.0.100":"it was deleted"}'}
    store.database.edit(row.uuid, external_ids=lost)
    (found,) = repair.compare(depth=depth)
    assert found.state is DriftState.VIP_LOST
    assert found.detail == "VIP 10.0.0.100 is not served: it was deleted"
    assert mend(repair, depth=depth) == {"lb1": Action.NOTHING}


def test_a_port_that_stands_in_for_one_that_octavia_shows_is_kept(store, octavia, repair):
    stand_in = dataclasses.replace(WEB.vips[0], port_id="new-port", replaces="vip-port")
    store.put(dataclasses.replace(WEB, vips=(stand_in,)))
    octavia.has(WEB)
    assert states(repair) == {"lb1": DriftState.RIGHT}


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
    assert mend(repair, depth=depth) == {"lb1": Action.RECORDED}
    assert store.lb() == WEB
    assert store.pending().objects == ALL_PENDING
    assert mend(repair, depth=depth) == {"lb1": Action.NOTHING}


def test_what_is_to_be_deleted_goes(store, octavia, repair):
    store.put(WEB)
    gone = {(Kind.MEMBER, "m1"): Final.DELETED}
    octavia.has(WEB, "PENDING_UPDATE", {(Kind.LOAD_BALANCER, "lb1"): Final.ACTIVE, **gone})
    mend(repair)
    assert store.lb() == web(member(2))
    assert store.pending().objects[Kind.MEMBER, "m1"] is Final.DELETED


@pytest.mark.parametrize("there", [True, False])
def test_stuck_in_deletion(store, octavia, repair, there):
    if there:
        store.put(WEB)
    octavia.has(WEB, "PENDING_DELETE", {(Kind.LOAD_BALANCER, "lb1"): Final.DELETED})
    assert mend(repair) == {"lb1": Action.RECORDED}
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
    assert mend(repair) == {"lb1": Action.NOTHING}


def test_the_agents_work_is_left_alone(store, octavia, repair):
    store.database.write(record.record((), changes.CreateLoadBalancer(WEB), "request"))
    octavia.has(WEB, "PENDING_CREATE", ALL_PENDING)
    assert mend(repair) == {"lb1": Action.NOTHING}


def test_request_that_comes_while_octavia_is_read(store, octavia, repair):
    """Its member must survive, although Octavia did not have it yet."""
    store.put(WEB)
    octavia.has(web(member(1)))
    put = changes.PutMember("p1", member(3))

    def request(_):
        octavia.reading = lambda _: None
        store.database.write(record.record(store.rows("lb1"), put, "request"))

    octavia.reading = request
    assert mend(repair) == {"lb1": Action.NOTHING}
    assert store.lb().pool("p1").member("m3")


def test_request_that_comes_while_it_is_mended(store, octavia, repair):
    store.put(WEB)
    octavia.has(web(member(1)))
    put = changes.PutMember("p1", member(3))
    store.meanwhile = lambda: store.database.write(record.record(store.rows("lb1"), put, "request"))
    assert mend(repair) == {"lb1": Action.CHANGED}
    assert store.lb().pool("p1").member("m3")


def test_orphan(store, octavia, repair):
    store.put(WEB)
    assert states(repair) == {"lb1": DriftState.ORPHANED}
    assert mend(repair) == {"lb1": Action.RECORDED}
    assert store.pending().orphaned


def test_orphan_that_somebody_waits_for_is_left_to_the_agent(store, octavia, repair):
    store.database.write(record.record((), changes.CreateLoadBalancer(WEB), "request"))
    assert mend(repair) == {"lb1": Action.LEFT}


def test_empty_row_of_somebody_is_no_orphan(store, octavia, repair):
    (row,) = rows_of(WEB, ())
    store.database.insert(dataclasses.replace(row, external_ids={}, uuid="1"))
    assert states(repair) == {}


def test_load_balancer_that_the_account_may_not_see_is_no_orphan(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    octavia.listed.clear()
    assert states(repair) == {"lb1": DriftState.RIGHT}


def test_orphans_are_not_looked_for_in_a_selection(store, octavia, repair):
    store.put(WEB)
    store.put(named(WEB, "lb2"))
    octavia.has(WEB)
    octavia.has(named(WEB, "lb3"))
    assert states(repair, wanted=lambda each: each.id == "lb1") == {"lb1": DriftState.RIGHT}


def test_orphans_are_looked_at_again_later(store, octavia):
    """Octavia's API may just be committing it."""
    store.put(WEB)
    repair = Repair(store, octavia, octavia, patience=7.0, sleep=lambda _: octavia.has(WEB))
    assert states(repair) == {"lb1": DriftState.RIGHT}


def test_incomplete_list_finds_nothing(store, octavia, repair):
    def fail():
        raise Unavailable("Octavia answered 503")

    store.put(WEB)
    octavia.load_balancers = fail
    with pytest.raises(Unavailable):
        mend(repair)
    assert store.pending() is None


@pytest.mark.parametrize(
    "error", [Unavailable("gone"), ValueError("strange"), KeyError("vip_address"), TypeError("x")]
)
def test_one_that_cannot_be_compared_does_not_stop_the_others(store, octavia, repair, error):
    for number in range(5):
        octavia.has(named(WEB, f"lb{number}"))
    octavia.trees["lb2"] = error
    found = mend(repair)
    assert found.pop("lb2") is Action.FAILED
    assert set(found.values()) == {Action.RECORDED}


def test_one_that_cannot_be_mended_says_why(store, octavia, repair):
    octavia.has(WEB)
    store.fails = Unavailable("the database is gone")
    (result,) = sync(repair)
    assert (result.action, result.reason) == (Action.FAILED, "the database is gone")


def test_progress(store, octavia, repair):
    store.put(named(WEB, "lb0"))
    for number in range(1, 4):
        octavia.has(named(WEB, f"lb{number}"))
    counts = []
    assert len(list(repair.compare(started=counts.append))) == counts[0] == 4


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


def test_security_groups_that_an_update_has_set(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB, security_groups=("sg1", "sg2"))
    before = store.database.all()
    (finding,) = repair.compare(depth=Depth.LISTS)
    assert (finding.state, finding.change) == (DriftState.UNENFORCED, None)
    assert "vip_sg_ids (sg1, sg2)" in finding.detail
    assert mend(repair) == {"lb1": Action.OWNER}
    assert store.database.all() == before


def test_what_can_be_repaired_comes_before_what_cannot(store, octavia, repair):
    octavia.has(WEB, security_groups=("sg1",))
    assert mend(repair) == {"lb1": Action.RECORDED}
    assert mend(repair) == {"lb1": Action.OWNER}


def test_what_is_under_way_is_not_judged(store, octavia, repair):
    store.database.write(record.record((), changes.CreateLoadBalancer(WEB), "request"))
    octavia.has(WEB, "PENDING_UPDATE", security_groups=("sg1",), idle=1.0)
    assert states(repair) == {"lb1": DriftState.RIGHT}


# --- one alone


@pytest.mark.parametrize("lb", [WEB, TWO_PROTOCOLS])
def test_one_whose_rows_are_lost(store, octavia, repair, lb):
    octavia.has(lb)
    octavia.has(named(WEB, "lb2"))
    finding = repair.compare_one("lb1")
    assert finding.state is DriftState.MISSING
    assert repair.repair(finding)
    assert store.lb() == lb
    assert store.rows("lb2") == ()
    assert octavia.asked == ["lb1"]


def test_one_row_of_two_that_is_lost(store, octavia, repair):
    store.put(TWO_PROTOCOLS)
    octavia.has(TWO_PROTOCOLS)
    udp = next(row for row in store.rows("lb1") if row.protocol == "udp")
    del store.database[udp.uuid]
    repair.repair(repair.compare_one("lb1"))
    assert store.lb() == TWO_PROTOCOLS


def test_one_that_is_right_costs_no_tree(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    assert repair.compare_one("lb1").state is DriftState.RIGHT
    assert octavia.asked == []


def test_one_that_octavia_does_not_know_is_left_to_comparisons(store, octavia, repair):
    store.put(WEB)
    finding = repair.compare_one("lb1")
    assert (finding.state, finding.change) == (DriftState.RIGHT, None)


def test_one_that_cannot_be_compared_is_unclear(store, octavia, repair):
    octavia.has(WEB)
    octavia.trees["lb1"] = Unavailable("gone")
    assert repair.compare_one("lb1").state is DriftState.UNCLEAR


def test_without():
    lb = without(TWO_PROTOCOLS, {"p2", "m1"})
    assert [each.id for each in lb.pools] == ["p1"]
    assert lb.pools[0].members == ()
    assert lb.listener("l2").pool_id is None
