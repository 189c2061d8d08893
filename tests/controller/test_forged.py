# SPDX-License-Identifier: Apache-2.0
"""Writing rows of one load balancer cannot have Octavia delete parts of another."""

import dataclasses

import pytest

from octavia_ovn.core import codec
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.pending import Final, Kind, Pending
from octavia_ovn.core.request import changes
from octavia_ovn.core.request import record as intent
from octavia_ovn.errors import Refused, Unavailable
from tests.controller.agent import Agent
from tests.controller.openstack import Port
from tests.controller.stories import CHECKED, agent_with
from tests.core.builders import member, vip, web

LB = dataclasses.replace(web(member(1), member(2)), vips=(vip(user_port=False),))
VICTIMS = {
    (kind, f"victim-{kind.value}"): Final.DELETED for kind in Kind if kind is not Kind.LOAD_BALANCER
}
OWN = dict.fromkeys(changes.objects(LB), Final.DELETED)


@pytest.fixture
def agent():
    agent = Agent()
    agent.created(LB)
    agent.neutron.ports["vip-port"] = Port("vip-port", "ovn-lb-vip-lb1")
    agent.settle()
    agent.assert_ended(LB)
    agent.octavia.messages.clear()
    return agent


def forge(agent, objects, requests=("forged",), **flags):
    """Write pending objects into a row, as any client can that may write the database."""
    pending = Pending(requests, objects, **flags)
    agent.db.edit(
        agent.row.uuid,
        external_ids={
            **agent.row.external_ids,
            codec.keys.PENDING: codec.encode_pending(pending),
        },
    )
    agent.enqueue()


def deleted(agent):
    return {
        record["id"]
        for message in agent.octavia.messages
        for records in message.values()
        for record in records
        if record.get("provisioning_status") == "DELETED"
    }


def assert_nothing_is_deleted(agent):
    """As long as Octavia is asked, and longer."""
    for _ in range(12):
        agent.waits(61)
    assert deleted(agent) == set()
    assert "vip-port" in agent.neutron.ports


LAYER7 = {(Kind.L7POLICY, "victim"): Final.ACTIVE, (Kind.L7RULE, "victim"): Final.ACTIVE}


@pytest.mark.parametrize("objects", [VICTIMS, OWN, {**VICTIMS, **OWN}, LAYER7])
def test_nothing_is_deleted_that_is_not_the_load_balancers_own(agent, objects, caplog):
    caplog.set_level("INFO")
    agent.octavia.kept = frozenset(objects)
    agent.octavia.leaving = False
    vips = agent.row.vips
    forge(agent, objects)
    for _ in range(12):
        agent.waits(61)
    assert deleted(agent) == set()
    assert "ERROR" not in agent.octavia.provisioning.values()
    assert "vip-port" in agent.neutron.ports
    assert agent.row.vips == vips
    assert agent.pending() is None
    assert caplog.text.count("Octavia has no such part of it") == 1


def test_a_load_balancer_is_deleted_only_if_octavia_is_deleting_it(agent):
    agent.octavia.leaving = False
    vips = agent.row.vips
    forge(agent, OWN)
    assert_nothing_is_deleted(agent)
    assert agent.row.vips == vips
    assert agent.pending() is None


def test_a_load_balancer_in_error_is_not_deleted(agent):
    agent.octavia.provisioning["lb1"] = "ERROR"
    forge(agent, OWN)
    assert_nothing_is_deleted(agent)


def test_a_request_that_octavia_commits_late_is_waited_for(agent):
    agent.octavia.leaving = False
    agent.asked(changes.DeleteLoadBalancer(LB, OWN))
    agent.waits(30)
    assert deleted(agent) == set()
    agent.octavia.leaving = True
    agent.waits(120)
    assert deleted(agent) == {each for _, each in OWN}
    assert agent.rows == ()


def test_what_octavia_wants_deleted_is(agent):
    """A pool that is deleted takes its members along; rows can name those of others, too."""
    victim = (Kind.MEMBER, "victim")
    agent.octavia.kept = frozenset({victim})
    pool = dict.fromkeys(((Kind.MEMBER, "m1"), (Kind.MEMBER, "m2"), victim), Final.DELETED)
    agent.octavia.trees["lb1"] = dataclasses.replace(
        LB,
        pools=(),
        listeners=tuple(dataclasses.replace(each, pool_id=None) for each in LB.listeners),
    )
    agent.asked(changes.DeletePool("p1", pool))
    agent.settle()
    assert deleted(agent) == {"p1", "m1", "m2"}
    assert agent.pending() is None


def test_what_was_proven_once_proves_nothing_that_is_added_later(agent):
    """A deletion that Neutron refuses ends in ERROR first, and is reported again at the end."""
    agent.asked(changes.DeleteLoadBalancer(LB, OWN))
    agent.neutron.error = Refused("port in use")
    agent.settle()
    assert agent.octavia.provisioning["lb1"] == "ERROR"
    agent.octavia.kept = frozenset(VICTIMS)
    pending = agent.pending()
    forged = dataclasses.replace(pending, objects={**pending.objects, **VICTIMS})
    keys = {**agent.row.external_ids, codec.keys.PENDING: codec.encode_pending(forged)}
    agent.db.edit(agent.row.uuid, external_ids=keys)
    agent.neutron.error = None
    agent.controller.resync()
    agent.enqueue()
    agent.waits(600)
    assert deleted(agent) == {each for _, each in OWN}


@pytest.mark.parametrize("answer", [LB, Refused("a TERMINATED_HTTPS listener")])
def test_what_octavia_knows_is_no_orphan(agent, answer):
    tree = agent.octavia.tree

    def known(lb_id):
        if isinstance(answer, Exception):
            raise answer
        return tree(lb_id)

    agent.octavia.tree = known
    forge(agent, {}, orphaned=True)
    agent.settle()
    assert agent.row.vips
    assert "vip-port" in agent.neutron.ports


def test_that_octavia_knows_a_load_balancer_does_not_say_that_it_is_deleting_it(agent):
    """Both are asked about a request, whose name the writer of a row chooses."""
    agent.octavia.leaving = False
    forge(agent, {}, orphaned=True)
    agent.settle()
    forge(agent, OWN)
    assert_nothing_is_deleted(agent)


def test_that_octavia_was_deleting_a_load_balancer_does_not_say_that_it_is(agent):
    agent.neutron.error = Refused("port in use")
    agent.asked(changes.DeleteLoadBalancer(LB, OWN))
    agent.settle()
    requests = agent.pending().requests
    agent.neutron.error = None
    agent.asked(changes.Resync("lb1"))
    agent.settle()
    agent.asked(changes.UpdateLoadBalancer(enabled=True))
    agent.settle()
    agent.assert_ended(LB)
    agent.octavia.leaving = False
    forge(agent, OWN, requests=requests)
    assert_nothing_is_deleted(agent)


def test_that_a_request_has_ended_does_not_say_that_its_load_balancer_is_deleted(agent):
    agent.asked(changes.UpdateLoadBalancer(enabled=True))
    agent.settle()
    agent.octavia.leaving = False
    forge(agent, OWN, requests=(f"r{agent.count}",))
    for _ in range(12):
        agent.waits(61)
    assert agent.row.vips
    assert "vip-port" in agent.neutron.ports


def test_what_octavia_is_not_deleting_is_not_asked_for_ever(agent):
    agent.octavia.provisioning["lb1"] = "ERROR"
    agent.asked(changes.DeleteLoadBalancer(LB, OWN))
    agent.octavia.provisioning["lb1"] = "ERROR"
    agent.settle()
    agent.asked(changes.Resync("lb1"))
    agent.waits(61)
    agent.octavia.is_leaving = lambda _: pytest.fail("it stays")
    for _ in range(3):
        agent.waits(61)
    agent.assert_ended(LB)
    assert agent.controller._tasks._tasks == {}


@pytest.mark.parametrize("objects", [LAYER7, dict.fromkeys(OWN, Final.ACTIVE), {**VICTIMS, **OWN}])
def test_one_write_does_not_keep_the_agent_busy(agent, objects):
    agent.octavia.kept = frozenset({*VICTIMS, *LAYER7})
    forge(agent, objects, orphaned=True)
    agent.settle()
    assert agent.row.vips
    assert agent.pending() is None


def test_nothing_is_deleted_while_octavia_does_not_answer(agent):
    agent.asked(changes.DeleteLoadBalancer(LB, OWN))
    agent.octavia.error = Unavailable("Octavia is away")
    agent.settle()
    assert "vip-port" in agent.neutron.ports
    assert agent.rows
    agent.octavia.error = None
    agent.waits(120)
    assert deleted(agent) == {each for _, each in OWN}
    assert agent.rows == ()


def test_what_was_not_reported_because_of_a_forged_deletion_is_reported_later():
    agent = agent_with(CHECKED)
    agent.octavia.leaving = False
    apply = agent.octavia.update_status
    problem = [Unavailable("Octavia is away")]

    def away(status):
        if problem:
            raise problem[0]
        apply(status)

    agent.octavia.update_status = away
    agent.sb.states[("port1", "10.0.0.1", 80, "tcp")] = HealthState.DOWN
    agent.changed(("backend", "10.0.0.1"))
    agent.settle()
    forge(agent, dict.fromkeys(changes.objects(CHECKED), Final.DELETED))
    agent.waits(11)
    problem.clear()
    for _ in range(12):
        agent.waits(61)
    assert agent.octavia.operating["m1"] == "ERROR"
    agent.assert_ended(CHECKED)


def test_requests_that_delete_nothing_ask_nothing(agent):
    agent.octavia.owned = lambda *_: pytest.fail("it costs a request")
    agent.asked(changes.PutMember("p1", member(3)))
    agent.settle()
    assert agent.pending() is None
    assert intent.read(agent.rows).lb.pool("p1").member("m3")
