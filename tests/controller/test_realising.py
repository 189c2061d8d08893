# SPDX-License-Identifier: Apache-2.0
"""Stories of what is asked for: rows that serve it, and what is reported."""

import dataclasses
import json

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.pending import Final
from octavia_ovn.core.request import changes
from octavia_ovn.core.topology import Subnet
from tests.controller.agent import Agent
from tests.controller.stories import CHECKED, DOWN, SITE, VIPS, agent_with, site
from tests.core.builders import VIP, Cloud, listener, member, pool, vip


class TestCreate:
    def test_one_transaction_realises_it(self):
        agent = Agent()
        agent.created(SITE)
        before = agent.db.transactions

        agent.turn()

        assert agent.db.transactions == before + 1
        assert agent.db.vips() == VIPS
        assert agent.row.switches == {"neutron-net1"}
        assert agent.row.routers == {"R1"}

    def test_an_end_is_reported_once(self):
        agent = agent_with()

        (message,) = agent.octavia.messages
        assert list(message) == ["members", "pools", "listeners", "loadbalancers"]
        assert json.loads(agent.row.external_ids["neutron:member_status"]) == {
            "m1": "NO_MONITOR",
            "m2": "NO_MONITOR",
        }
        agent.assert_ended(SITE)

    def test_is_reported_before_it_is_cleared(self):
        agent = Agent()
        agent.created(SITE)
        agent.octavia.error = DOWN
        agent.settle()

        assert agent.db.vips() == VIPS
        assert agent.pending() is not None

        agent.octavia.error = None
        agent.waits(1)

        agent.assert_ended(SITE)

    def test_reconciling_in_between_does_not_report_twice(self):
        agent = Agent()
        agent.created(SITE)
        agent.turn()
        agent.enqueue()
        agent.settle()

        assert len(agent.octavia.messages) == 1

    def test_running_where_a_dead_agent_stopped(self):
        agent = Agent()
        agent.created(SITE)
        agent.turn()

        successor = agent.successor()
        successor.enqueue()
        successor.settle()

        assert successor.history.count(VIPS) == len(successor.history)
        successor.assert_ended(SITE)

    def test_a_request_while_a_report_is_being_sent(self):
        agent = Agent()
        agent.created(SITE)
        agent.turn()
        agent.asked(changes.DeleteMember("p1", "m2"))
        agent.settle()

        assert agent.octavia.provisioning["m2"] == "DELETED"
        assert agent.octavia.messages[-1]["loadbalancers"][0]["provisioning_status"] == "ACTIVE"
        agent.assert_ended(site(member(1)))


class TestFacts:
    def test_waits_for_a_subnet_that_only_neutron_knows(self):
        agent = Agent()
        agent.neutron.subnets["sub2"] = Subnet("sub2", "net2", "10.2.0.0/24")
        agent.nb.cloud = Cloud(switches=["neutron-net1", "neutron-net2"])
        agent.neutron.error = DOWN
        agent.created(site(member(7, address="10.2.0.7", subnet_id="sub2")))
        agent.settle()

        assert agent.db.vips() == {}
        assert agent.pending() is not None
        assert agent.octavia.messages == []

        agent.neutron.error = None
        agent.waits(1)

        assert agent.row.switches == {"neutron-net1", "neutron-net2"}
        agent.assert_ended(agent.octavia.trees["lb1"])

    def test_a_subnet_that_is_gone_holds_up_nothing(self):
        agent = Agent()
        lb = site(member(7, address="10.2.0.7", subnet_id="sub2"))
        agent.created(lb)
        agent.settle()

        assert agent.row.switches == {"neutron-net1"}
        assert agent.db.vips() == {("tcp", f"{VIP}:80"): "10.2.0.7:80"}
        agent.assert_ended(lb)

    def test_others_continue_meanwhile(self):
        agent = Agent()
        agent.neutron.error = DOWN
        agent.created(site(member(7, address="10.2.0.7", subnet_id="sub2")))
        agent.created(dataclasses.replace(SITE, id="lb2"))
        agent.settle()

        assert agent.octavia.provisioning["lb2"] == "ACTIVE"
        assert "lb1" not in agent.octavia.provisioning

    def test_says_what_it_depends_on(self):
        agent = agent_with(CHECKED)

        for thing in [
            ("switch", "neutron-net1"),
            ("router", "R1"),
            ("port", "vip-port"),
            ("backend", "10.0.0.1"),
            ("monitored", "sub1"),
            ("member", "10.0.0.1"),
        ]:
            assert agent.index.of(thing) == {"lb1"}


class TestBroughtPorts:
    USER_PORT = dataclasses.replace(SITE, vips=(vip(cidr="10.0.0.0/24", user_port=True),))

    @pytest.mark.parametrize(("addresses", "cleared"), [(True, ["vip-port"]), (False, [])])
    def test_lose_their_addresses(self, addresses, cleared):
        agent = Agent()
        agent.nb.addresses["vip-port"] = addresses
        agent.created(self.USER_PORT)
        agent.turn()

        assert agent.db.cleared == cleared

    def test_are_waited_for(self):
        agent = Agent()
        agent.nb.addresses["vip-port"] = None
        agent.created(self.USER_PORT)
        agent.settle()
        assert agent.octavia.messages == []

        agent.nb.addresses["vip-port"] = False
        agent.changed(("port", "vip-port"))
        agent.settle()

        agent.assert_ended(self.USER_PORT)


def test_pools_of_different_algorithms_move_apart_without_interruption():
    lb = dataclasses.replace(
        SITE,
        listeners=(listener(), listener("l2", 81, "p2")),
        pools=(*SITE.pools, pool("p2", [member(3)])),
    )
    agent = agent_with(lb)
    before = agent.db.vips()
    agent.asked(changes.PutPool(pool("p2", algorithm=model.Algorithm.SOURCE_IP)))
    agent.settle()

    assert len(agent.rows) == 2
    assert all(each == before for each in agent.history[-2:])
    agent.assert_ended(lb)


def test_switching_off_and_on_again():
    agent = agent_with(CHECKED)
    agent.asked(changes.UpdateLoadBalancer(enabled=False))
    agent.settle()

    assert agent.db.vips() == {}
    assert agent.octavia.operating["lb1"] == "OFFLINE"

    agent.asked(changes.UpdateLoadBalancer(enabled=True))
    agent.settle()

    assert agent.db.vips() == VIPS
    assert agent.octavia.operating["lb1"] == "ONLINE"
    assert agent.octavia.provisioning["lb1"] == Final.ACTIVE.value
