# SPDX-License-Identifier: Apache-2.0
"""Comparing and repairing load balancers."""

import dataclasses

import pytest

from octavia_ovn.controller.drift.compare import Depth, DriftState, without
from octavia_ovn.controller.drift.once import Action, sync
from octavia_ovn.core import codec
from octavia_ovn.core.request import changes, record
from octavia_ovn.errors import Unavailable
from tests.controller.drift.databases import TWO_PROTOCOLS, WEB, named, repaired, states
from tests.core.builders import balancer, member, pool, web

GROUPS = frozenset({"sg1"})


@pytest.mark.parametrize("lb", [WEB, TWO_PROTOCOLS, balancer()])
@pytest.mark.parametrize("depth", Depth)
def test_nothing_is_written_for_what_is_right(store, octavia, repair, lb, depth):
    store.put(lb)
    octavia.has(lb)
    before = store.database.all()
    assert states(repair, depth=depth) == {"lb1": DriftState.RIGHT}
    assert repaired(repair, depth=depth) == {"lb1": Action.NOTHING}
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
    assert repaired(repair, depth=depth) == {"lb1": Action.RECORDED}
    assert store.lb() == lb
    assert store.pending() is None
    assert repaired(repair, depth=depth) == {"lb1": Action.NOTHING}


def test_member_that_is_lost_is_found_by_trees(store, octavia, repair):
    store.put(web(member(1)))
    octavia.has(WEB)
    assert states(repair, depth=Depth.LISTS) == {"lb1": DriftState.RIGHT}
    (finding,) = repair.compare()
    assert finding.state is DriftState.DIFFERENT
    assert finding.detail == "pool p1 different"
    assert repaired(repair) == {"lb1": Action.RECORDED}
    assert store.lb() == WEB


def test_listener_that_is_lost_is_found_by_lists(store, octavia, repair):
    store.put(balancer([], [pool(members=[member(1), member(2)])]))
    octavia.has(WEB)
    (finding,) = repair.compare(depth=Depth.LISTS)
    assert finding.state is DriftState.DIFFERENT
    assert finding.detail == "listener l1 missing"


def test_listener_that_octavia_lacks_is_deleted(store, octavia, repair):
    store.put(TWO_PROTOCOLS)
    octavia.has(WEB)
    (finding,) = repair.compare()
    assert "listener l2 not in Octavia" in finding.detail
    repaired(repair)
    assert store.lb() == WEB


def test_row_that_is_lost_of_two(store, octavia, repair):
    store.put(TWO_PROTOCOLS)
    octavia.has(TWO_PROTOCOLS)
    tcp, udp = sorted(store.rows("lb1"), key=lambda row: row.protocol)
    del store.database[udp.uuid]
    (finding,) = repair.compare()
    assert "row for udp missing" in finding.detail
    repaired(repair)
    assert {row.protocol for row in store.rows("lb1")} == {"tcp", "udp"}
    assert store.lb() == TWO_PROTOCOLS
    assert store.database[tcp.uuid] == tcp


def test_garbage_in_our_keys(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    (row,) = store.rows("lb1")
    keys = {**row.external_ids, "listener_x": "garbage", "pool_p1": "member_?"}
    store.database.edit(row.uuid, external_ids=keys)
    repaired(repair)
    assert store.rows("lb1") == (row,)


def test_vip_that_cannot_be_read(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    (row,) = store.rows("lb1")
    store.database.edit(row.uuid, external_ids={**row.external_ids, "neutron:vip": "nowhere"})
    assert repaired(repair) == {"lb1": Action.RECORDED}
    assert store.rows("lb1") == (row,)


def test_empty_row(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    (row,) = store.rows("lb1")
    store.database.edit(row.uuid, external_ids={})
    assert repaired(repair) == {"lb1": Action.RECORDED}
    assert store.rows("lb1") == (row,)


def test_duplicate_row(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    (row,) = store.rows("lb1")
    store.database.insert(dataclasses.replace(row, uuid="another"))
    assert states(repair) == {"lb1": DriftState.DIFFERENT}
    repaired(repair)
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
def test_a_vip_that_is_not_served_is_found(store, octavia, repair, depth):
    store.put(WEB)
    octavia.has(WEB)
    (row,) = store.rows("lb1")
    lost = {**row.external_ids, "octavia:lost_vips": '{"10.0.0.100":"it was deleted"}'}
    store.database.edit(row.uuid, external_ids=lost)
    (found,) = repair.compare(depth=depth)
    assert found.state is DriftState.VIP_LOST
    assert found.detail == "VIP 10.0.0.100 is not served: it was deleted"
    assert repaired(repair, depth=depth) == {"lb1": Action.NOTHING}


def test_a_replacement_of_a_port_that_octavia_shows_is_kept(store, octavia, repair):
    stand_in = dataclasses.replace(WEB.vips[0], port_id="new-port", replaces="vip-port")
    store.put(dataclasses.replace(WEB, vips=(stand_in,)))
    octavia.has(WEB)
    assert states(repair) == {"lb1": DriftState.RIGHT}


@pytest.mark.parametrize(
    "error", [Unavailable("gone"), ValueError("strange"), KeyError("vip_address"), TypeError("x")]
)
def test_one_that_cannot_be_compared_does_not_stop_the_others(store, octavia, repair, error):
    for number in range(5):
        octavia.has(named(WEB, f"lb{number}"))
    octavia.trees["lb2"] = error
    found = repaired(repair)
    assert found.pop("lb2") is Action.FAILED
    assert set(found.values()) == {Action.RECORDED}


def test_rows_that_cannot_be_read_do_not_stop_the_others(store, octavia, repair):
    for number in range(30):
        lb = named(WEB, f"lb{number:02}")
        store.put(lb)
        octavia.has(lb)
    read, bad = store.read, store.rows("lb00")[0].uuid

    def fail(uuids):
        if bad in uuids:
            raise Unavailable("no answer")
        return read(uuids)

    store.read = fail

    found = states(repair)

    assert found["lb00"] is DriftState.UNCLEAR
    assert found["lb29"] is DriftState.RIGHT


def test_one_that_cannot_be_repaired_has_a_reason(store, octavia, repair):
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


def test_security_groups_that_an_update_has_set(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB, security_groups=("sg1", "sg2"))
    before = store.database.all()
    (finding,) = repair.compare(depth=Depth.LISTS)
    assert (finding.state, finding.change) == (DriftState.UNENFORCED, None)
    assert "vip_sg_ids (sg1, sg2)" in finding.detail
    assert repaired(repair) == {"lb1": Action.OWNER}
    assert store.database.all() == before


def test_security_groups_that_are_permitted(store, octavia, repair):
    store.put(WEB)
    octavia.has(dataclasses.replace(WEB, security_groups=GROUPS), security_groups=("sg1",))
    (finding,) = repair.compare(depth=Depth.LISTS)
    assert finding.state is DriftState.DIFFERENT
    assert repaired(repair) == {"lb1": Action.RECORDED}
    assert codec.vip_groups(store.database.all()) == GROUPS
    assert states(repair) == {"lb1": DriftState.RIGHT}


def test_security_groups_that_octavia_has_not_any_more(store, octavia, repair):
    store.put(dataclasses.replace(WEB, security_groups=GROUPS))
    octavia.has(WEB)
    assert [each.state for each in repair.compare(depth=Depth.LISTS)] == [DriftState.DIFFERENT]
    assert repaired(repair) == {"lb1": Action.RECORDED}
    assert codec.vip_groups(store.database.all()) == set()


def test_security_groups_from_a_time_when_they_were_permitted(store, octavia, repair):
    """They stay in force, and what was added since is not."""
    store.put(dataclasses.replace(WEB, security_groups=GROUPS))
    unknown = dataclasses.replace(WEB, security_groups=None)
    octavia.has(unknown, security_groups=("sg1",))
    assert states(repair) == {"lb1": DriftState.RIGHT}
    octavia.has(unknown, security_groups=("sg1", "sg2"))
    assert states(repair) == {"lb1": DriftState.UNENFORCED}
    assert codec.vip_groups(store.database.all()) == GROUPS


def test_what_can_be_repaired_comes_before_what_cannot(store, octavia, repair):
    octavia.has(WEB, security_groups=("sg1",))
    assert repaired(repair) == {"lb1": Action.RECORDED}
    assert repaired(repair) == {"lb1": Action.OWNER}


def test_what_is_under_way_is_not_judged(store, octavia, repair):
    store.database.write(record.record((), changes.CreateLoadBalancer(WEB), "request"))
    octavia.has(WEB, "PENDING_UPDATE", security_groups=("sg1",), idle=1.0)
    assert states(repair) == {"lb1": DriftState.RIGHT}


def test_without():
    lb = without(TWO_PROTOCOLS, {"p2", "m1"})
    assert [each.id for each in lb.pools] == ["p1"]
    assert lb.pools[0].members == ()
    assert lb.listener("l2").pool_id is None
