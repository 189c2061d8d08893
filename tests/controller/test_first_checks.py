# SPDX-License-Identifier: Apache-2.0
"""Stories of members that serve already when they are to be checked."""

import dataclasses
import json

import pytest

from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing import first_checks, plan
from octavia_ovn.core.request import changes
from octavia_ovn.errors import Refused
from tests.controller.agent import Agent
from tests.controller.chassis import Chassis, Program
from tests.controller.stories import SITE, VIPS, site
from tests.controller.two_chassis import (
    DOWN,
    HTTP,
    UP,
    WEB,
    network,
    only,
    passes,
    successor_of,
    with_both_up,
    with_programs,
    with_two_chassis,
)
from tests.core.builders import VIP, member
from tests.core.probing.examples import SOURCE as ORIGIN

LIMIT = int(
    first_checks.time_limit(plan.probe(WEB.pools[0], member(1, address="10.0.0.1"), ORIGIN))
)


@pytest.fixture
def agent():
    """Two members that serve, without a monitor."""
    found = with_programs(SITE)
    assert found.db.vips() == VIPS
    return found


def monitored(agent, monitor=HTTP):
    agent.asked(changes.PutMonitor("p1", monitor))
    return agent.settle()


def shown(agent):
    return [agent.octavia.operating[each] for each in ("m1", "m2")]


def marked(agent):
    return json.loads(agent.row.external_ids.get(k.FIRST_CHECKS, "[]"))


def test_a_new_monitor_leaves_no_member_alone(agent):
    monitored(agent)
    assert (agent.db.vips(), shown(agent)) == (VIPS, ["NO_MONITOR"] * 2)
    assert agent.octavia.operating["lb1"] == "ONLINE"
    agent.a.finds()
    assert (agent.db.vips(), shown(agent)) == (VIPS, ["ONLINE", "NO_MONITOR"])
    agent.b.finds(DOWN)
    assert (agent.db.vips(), shown(agent)) == (only(1), ["ONLINE", "ERROR"])
    assert all(vips in (VIPS, only(1)) for vips in agent.history[1:])
    assert marked(agent) == []


def test_one_that_fails_first_leaves_at_once(agent):
    monitored(agent)
    agent.a.finds(DOWN)
    assert (agent.db.vips(), shown(agent)) == (only(2), ["ERROR", "NO_MONITOR"])


def test_no_member_serves_for_ever_without_a_result(agent):
    monitored(agent)
    agent.a.finds()
    passes(agent, LIMIT - 1, agent.a, agent.b)
    assert agent.db.vips() == VIPS
    passes(agent, 4, agent.a, agent.b)
    assert (agent.db.vips(), shown(agent)) == (only(1), ["ONLINE", "OFFLINE"])
    assert marked(agent) == []
    agent.b.finds()
    assert agent.db.vips() == VIPS


def test_while_none_has_a_result_all_serve(agent):
    monitored(agent)
    passes(agent, LIMIT + 3, agent.a, agent.b)
    assert (agent.db.vips(), shown(agent)) == (VIPS, ["OFFLINE"] * 2)


def test_a_member_that_is_new_in_a_checked_pool_serves_once_it_is_online():
    agent = with_both_up()
    agent.nb.ports["neutron-net1"].names["10.0.0.3"] = "port3"
    agent.chassis.places["port3"] = "a"
    agent.asked(changes.PutMember("p1", member(3)))
    agent.settle()
    assert (agent.db.vips(), agent.octavia.operating["m3"]) == (VIPS, "OFFLINE")
    passes(agent, 1, agent.a, agent.b)  # to learn where it is
    agent.a.finds()
    assert agent.db.vips() == {("tcp", f"{VIP}:80"): "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80"}


def test_a_new_pool_serves_who_is_online():
    agent = with_two_chassis()
    a = Program(agent, "a")
    agent.created(WEB)
    agent.settle()
    a.finds()
    assert (agent.db.vips(), marked(agent)) == (only(1), [])


@pytest.mark.parametrize("state", ["monitored", "one found"])
def test_another_agent_continues(agent, state):
    monitored(agent)
    if state == "one found":
        agent.a.finds()
    assert marked(agent) == ["m1", "m2"] if state == "monitored" else ["m2"]
    before = agent.db.transactions
    found = successor_of(agent, agent.a, agent.b)
    assert (found.db.vips(), found.db.transactions) == (VIPS, before)
    agent.a.finds()
    assert found.db.vips() == VIPS
    passes(found, LIMIT + 3, agent.a, agent.b)
    assert found.db.vips() == only(1)


def test_a_monitor_that_no_agent_has_seen_yet(agent):
    agent.asked(changes.PutMonitor("p1", HTTP))
    found = successor_of(agent, agent.a)
    agent.a.finds()
    assert (found.db.vips(), shown(found)) == (VIPS, ["ONLINE", "NO_MONITOR"])
    passes(found, LIMIT + 3, agent.a)
    assert found.db.vips() == only(1)


def test_a_monitor_that_could_not_be_made_until_now(agent):
    ports = agent.nb.ports["neutron-net1"]
    ports.probe_sources = {}
    agent.neutron.error = Refused("the subnet is used up")
    monitored(agent)
    assert (agent.db.vips(), agent.octavia.provisioning["hm1"]) == (VIPS, "ERROR")

    found = successor_of(agent, agent.a)  # now there is a port to probe from
    agent.a.finds()
    assert (found.db.vips(), shown(found)) == (VIPS, ["ONLINE", "NO_MONITOR"])
    passes(found, LIMIT + 3, agent.a)
    assert found.db.vips() == only(1)


def test_members_of_a_silent_chassis_are_not_taken_for_new(agent):
    """Their last results have been lost with the agent; a dead program evicts no member."""
    monitored(agent)
    agent.a.finds()
    agent.b.finds()
    agent.chassis.numbers = {"a": 7, "b": 7}
    agent.a.dies()
    for _ in range(66):
        passes(agent, 1, agent.b)
        agent.chassis.numbers = dict.fromkeys("ab", agent.nb.number)
    assert shown(agent) == ["NO_MONITOR", "ONLINE"]
    found = successor_of(agent, agent.b)
    found.chassis.numbers = dict.fromkeys("ab", found.nb.number)
    for _ in range(LIMIT + 10):
        passes(found, 1, agent.b)
        found.chassis.numbers = dict.fromkeys("ab", found.nb.number)
    assert found.db.vips() == VIPS


@pytest.mark.parametrize("way", ["another", "disabled meanwhile", "another type"])
def test_a_monitor_that_comes_again(agent, way):
    monitored(agent)
    agent.a.finds()
    agent.b.finds()
    before = len(agent.history)
    if way == "another":
        agent.asked(changes.DeleteMonitor("p1", "hm1"))
        agent.settle()
        monitored(agent, dataclasses.replace(HTTP, id="hm2"))
    elif way == "disabled meanwhile":
        monitored(agent, dataclasses.replace(HTTP, enabled=False))
        monitored(agent)
    else:
        monitored(agent, dataclasses.replace(HTTP, type=MonitorType.TLS_HELLO))
    agent.a.finds()
    agent.b.finds()
    assert all(vips == VIPS for vips in agent.history[before:])
    assert (agent.db.vips(), shown(agent)) == (VIPS, ["ONLINE"] * 2)


def test_a_chassis_that_begins_to_report_has_no_member_serve_alone():
    agent = network(Agent(chassis=Chassis(port1="a", port2="a")))
    agent.created(WEB)
    agent.settle()
    passes(agent, 30)
    assert (agent.db.vips(), shown(agent)) == (VIPS, ["OFFLINE"] * 2)
    a = Program(agent, "a")
    a.finds(m1=UP)
    assert (agent.db.vips(), shown(agent)) == (VIPS, ["ONLINE", "NO_MONITOR"])
    passes(agent, LIMIT + 3, a)
    assert (agent.db.vips(), shown(agent)) == (only(1), ["ONLINE", "OFFLINE"])


def test_members_without_a_result_are_not_taken_in_when_a_chassis_begins():
    """One that does not serve because others do is new, whenever its chassis begins."""
    agent = with_two_chassis()
    a = Program(agent, "a")
    agent.created(WEB)
    agent.settle()
    a.finds()
    assert agent.db.vips() == only(1)
    Program(agent, "b")
    assert agent.db.vips() == only(1)


def test_members_that_could_not_be_checked_until_now_continue():
    """The port of an address becomes one that can be checked."""
    agent = with_two_chassis()
    ports = agent.nb.ports["neutron-net1"]
    ports.virtual = {"port2"}
    a, b = Program(agent, "a"), Program(agent, "b")
    agent.created(site(member(1), member(2), monitor=HTTP))
    agent.settle()
    a.finds()
    assert (agent.db.vips(), shown(agent)) == (VIPS, ["ONLINE", "NO_MONITOR"])
    ports.virtual = set()
    agent.changed(("backend", "10.0.0.2"))
    agent.settle()
    assert (agent.db.vips(), marked(agent)) == (VIPS, ["m2"])
    passes(agent, 1, a, b)  # to learn where it is
    b.finds(DOWN)
    assert agent.db.vips() == only(1)
