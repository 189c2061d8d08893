# SPDX-License-Identifier: Apache-2.0
"""Stories of members that leave and keep their connections for some time."""

import dataclasses

import pytest

from octavia_ovn.core import codec, model
from octavia_ovn.core.desired import draining
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.request import changes
from octavia_ovn.core.rows import Flow
from tests.controller.openstack import Port
from tests.controller.stories import CHECKED, DOWN, GONE, SITE, VIPS, agent_with
from tests.core.builders import VIP, member

ONE, TWO = "10.0.0.1:80", "10.0.0.2:80"
DRAIN = model.Flavor(drain_timeout=60)
SLOW = dataclasses.replace(SITE, flavor=DRAIN)
FLOW = Flow("tcp", f"{VIP}:80", ONE)
START = 1_000_000


def rows_of_drains(agent):
    """Kind → vips."""
    return {
        row.external_ids["octavia:drain_row"]: dict(row.vips)
        for row in draining.separate(agent.rows)[1]
    }


def deadlines(agent):
    return codec.read_draining(agent.rows)


def left(agent=None, change=None):
    """An agent whose load balancer a member has just left."""
    agent = agent or agent_with(SLOW)
    agent.asked(change or changes.DeleteMember("p1", "m1"))
    return agent.settle()


KEPT, FLUSHED = {"keep": {f"{VIP}:80": ONE}}, {"flush": {f"{VIP}:80": ONE}}


def test_a_deletion_is_reported_at_once_and_ends_later():
    agent = left()

    assert agent.octavia.provisioning["m1"] == "DELETED"
    assert agent.pending() is None
    assert agent.db.vips() == {("tcp", f"{VIP}:80"): TWO}
    assert rows_of_drains(agent) == KEPT
    assert deadlines(agent) == {FLOW: START + 60}
    # Nothing waits for it, and nothing is done meanwhile.
    before, told = agent.db.transactions, list(agent.octavia.messages)
    assert (len(agent.controller.queue), agent.turn()) == (0, 55)
    assert agent.waits(54).db.transactions == before

    assert rows_of_drains(agent.waits(1)) == KEPT | FLUSHED
    assert rows_of_drains(agent.waits(5)) == {}
    assert agent.turn() is None
    assert agent.octavia.messages == told


def test_a_member_with_weight_zero_is_shown_as_draining():
    agent = left(change=changes.PutMember("p1", member(1, weight=0)))

    assert agent.octavia.operating["m1"] == "DRAINING"
    assert agent.octavia.operating["p1"] == "ONLINE"
    assert rows_of_drains(agent) == KEPT

    agent.asked(changes.PutMember("p1", member(1, weight=1)))
    agent.settle()
    assert agent.octavia.operating["m1"] == "NO_MONITOR"
    assert (agent.db.vips(), rows_of_drains(agent)) == (VIPS, {})
    assert agent.turn() is None


def test_its_address_can_be_used_again_meanwhile():
    agent = left().waits(20)
    agent.asked(changes.PutMember("p1", member(7, address="10.0.0.1")))
    agent.settle()

    assert agent.octavia.provisioning["m7"] == "ACTIVE"
    assert agent.db.vips() == {("tcp", f"{VIP}:80"): f"{TWO},{ONE}"}
    assert rows_of_drains(agent) == {}


def test_another_agent_ends_it_at_the_same_moment():
    agent = left().waits(20).successor()
    agent.controller.enqueue_all()
    agent.settle()

    assert deadlines(agent) == {FLOW: START + 60}
    assert agent.turn() == 35
    assert rows_of_drains(agent.waits(35)) == KEPT | FLUSHED

    agent = agent.waits(3).successor()
    agent.controller.enqueue_all()
    agent.settle()

    assert rows_of_drains(agent) == KEPT | FLUSHED
    assert agent.turn() == 2
    assert rows_of_drains(agent.waits(2)) == {}


def test_after_a_long_pause_it_ends_when_all_hypervisors_can_have_followed():
    first = left()
    agent = first.successor(since=first.wall() + 3600)
    agent.controller.enqueue_all()

    assert rows_of_drains(agent.settle()) == KEPT | FLUSHED
    assert rows_of_drains(agent.waits(5)) == {}


def test_it_is_tried_again_when_the_database_was_away():
    agent = left().waits(55)
    agent.nb.error = DOWN
    agent.waits(5)
    assert rows_of_drains(agent) == KEPT | FLUSHED

    agent.nb.error = None
    assert rows_of_drains(agent.waits(1)) == {}


@pytest.mark.parametrize("seconds", [0, 56], ids=["early", "late"])
def test_a_load_balancer_that_goes_does_not_wait(seconds):
    agent = left().waits(seconds)
    agent.neutron.ports["vip-port"] = Port("vip-port", "ovn-lb-vip-lb1")
    agent.asked(GONE)
    agent.settle()

    assert agent.rows == ()
    assert agent.octavia.provisioning["lb1"] == "DELETED"
    assert agent.turn() is None


def test_the_rows_of_a_drain_hold_no_request():
    agent = left().waits(55)
    # Whatever the order in which the database returns the rows.
    for each in agent.rows:
        uuid = {"": "z", "keep": "a", "flush": "b"}[each.external_ids.get("octavia:drain_row", "")]
        agent.db.rename(each.uuid, uuid)
    agent.asked(GONE)

    assert agent.rows[0].uuid == "a"
    assert agent.db["z"].external_ids.keys() >= {"octavia:pending"}


def test_a_failover_ends_no_drain():
    agent = left().waits(10)
    agent.octavia.trees["lb1"] = changes.apply(SLOW, changes.DeleteMember("p1", "m1")).lb
    agent.asked(changes.Resync("lb1"))
    agent.settle()

    assert agent.pending() is None
    assert deadlines(agent) == {FLOW: START + 60}
    assert rows_of_drains(agent) == KEPT


def test_one_that_fails_drains_once_if_the_flavor_says_so():
    flavor = dataclasses.replace(DRAIN, drain_failed=True)
    agent = agent_with(dataclasses.replace(CHECKED, flavor=flavor))
    agent.sb.states["port1", "10.0.0.1", 80, "tcp"] = HealthState.DOWN
    agent.enqueue()
    agent.settle()

    assert agent.octavia.operating["m1"] == "ERROR"
    assert agent.db.vips() == VIPS
    assert deadlines(agent) == {FLOW: START + 60}
    assert rows_of_drains(agent.waits(55)) == FLUSHED
    assert (rows_of_drains(agent.waits(5)), deadlines(agent)) == ({}, {})
    assert deadlines(agent.waits(600)) == {}


def test_while_ovn_samples_drops_nothing_drains():
    agent = agent_with(SLOW)
    agent.nb.sampled = True

    assert rows_of_drains(left(agent)) == {}
    assert agent.turn() is None


def test_a_member_of_an_ordinary_load_balancer_just_leaves():
    agent = left(agent_with(SITE))

    assert len(agent.rows) == 1
    assert agent.turn() is None
