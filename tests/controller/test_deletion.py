# SPDX-License-Identifier: Apache-2.0
"""Stories of load balancers that go, and of what goes with them."""

import dataclasses

import pytest

from octavia_ovn.controller.tasks import REFUSAL_AGE
from octavia_ovn.core.request import changes
from octavia_ovn.errors import Conflict, NotFound, Refused
from tests.controller.agent import Agent
from tests.controller.openstack import Port
from tests.controller.stories import CHECKED, DOWN, GONE, SITE, VIPS, agent_with
from tests.core.builders import row, vip

DAY = 86400


def fails(*_):
    raise DOWN


class TestDelete:
    def deleting(self, agent=None, change=GONE):
        agent = agent or agent_with(CHECKED)
        agent.neutron.ports["vip-port"] = Port("vip-port", "ovn-lb-vip-lb1")
        agent.asked(change)
        return agent

    def test_leaves_nothing(self):
        agent = self.deleting().settle()

        assert agent.rows == ()
        assert agent.neutron.ports == {}
        assert set(agent.octavia.provisioning.values()) == {"DELETED"}
        assert agent.octavia.provisioning.keys() == {"m1", "m2", "m9", "hm1", "p1", "l1", "lb1"}
        assert list(agent.octavia.messages[-1])[-1] == "loadbalancers"
        assert agent.index.of(("switch", "neutron-net1")) == frozenset()

    def test_first_stops_serving(self):
        agent = self.deleting()
        agent.turn()

        assert agent.db.vips() == {}
        assert agent.row.switches == frozenset()
        assert agent.neutron.ports != {}

    def test_waits_for_neutron(self):
        agent = self.deleting()
        agent.neutron.error = DOWN
        agent.settle()

        assert agent.db.vips() == {}
        assert "DELETED" not in agent.octavia.provisioning.values()

        agent.neutron.error = None
        agent.waits(1)

        assert agent.rows == ()
        assert agent.octavia.provisioning["lb1"] == "DELETED"

    def test_waits_for_octavia_to_delete_it(self):
        agent = self.deleting()
        agent.octavia.is_leaving = fails
        agent.settle()

        assert agent.neutron.ports != {}
        assert "DELETED" not in agent.octavia.provisioning.values()

    def test_its_ports_do_not_wait_until_octavia_shows_its_parts(self):
        agent = self.deleting()
        belonging, problem = agent.octavia.belonging, [DOWN]

        def ask(*question):
            return fails() if problem else belonging(*question)

        agent.octavia.belonging = ask
        agent.settle()

        assert agent.neutron.ports == {}
        assert "DELETED" not in agent.octavia.provisioning.values()

        problem.clear()
        self.assert_gone(agent.waits(1))

    def test_its_ports_are_read_while_octavia_is_asked(self):
        agent = self.deleting()
        read, leaving = agent.neutron.look_at, agent.octavia.is_leaving
        events, seen = [], []
        agent.neutron.look_at = lambda *port: events.append("read") or read(*port)
        agent.octavia.is_leaving = lambda *lb: events.append("asked") or leaving(*lb)
        delete = agent.neutron.delete_vip_port
        agent.neutron.delete_vip_port = lambda *port: seen.append(port[-1]) or delete(*port)
        self.assert_gone(agent.settle())

        assert sorted(events) == ["asked", "read"]
        assert [each.port.id for each in seen] == ["vip-port"]

    @pytest.mark.parametrize("error", [DOWN, Refused("no"), NotFound("gone")])
    def test_ports_that_cannot_be_read_are_deleted_all_the_same(self, error):
        agent = self.deleting()

        def fail(_):
            raise error

        agent.neutron.look_at = fail
        self.assert_gone(agent.settle())

    @pytest.mark.parametrize("error", [DOWN, Refused("in use")])
    def test_its_ports_do_not_wait_for_each_other(self, error):
        first = vip(user_port=False)
        second = dataclasses.replace(vip("10.0.0.6", user_port=False), port_id="port2")
        lb = dataclasses.replace(SITE, vips=(first, second))
        agent = agent_with(lb)
        agent.neutron.ports["port2"] = Port("port2", "ovn-lb-vip-additional-1-lb1")
        delete, problem = agent.neutron.delete_vip_port, [error]

        def delete_second_only(port_id, *others):
            if problem and port_id == "vip-port":
                raise error
            return delete(port_id, *others)

        agent.neutron.delete_vip_port = delete_second_only
        self.deleting(agent, changes.DeleteLoadBalancer(lb, {})).settle()

        assert agent.neutron.ports.keys() == {"vip-port"}
        assert "DELETED" not in agent.octavia.provisioning.values()

        problem.clear()
        self.assert_gone(agent.waits(REFUSAL_AGE))

    def refused(self, error):
        agent = self.deleting()
        agent.neutron.error = error
        agent.settle()

        assert agent.octavia.provisioning["lb1"] == "ERROR"
        assert agent.octavia.provisioning["l1"] == "ERROR"
        return agent

    def assert_gone(self, agent):
        assert agent.rows == ()
        assert agent.neutron.ports == {}
        assert set(agent.octavia.provisioning.values()) == {"DELETED"}

    REFUSALS = pytest.mark.parametrize("error", [Refused("in use"), Conflict("c"), NotFound("n")])

    @REFUSALS
    def test_ends_in_error_while_neutron_refuses(self, error):
        """The row stays, so that no comparison has it served again."""
        agent = self.refused(error)
        before = len(agent.octavia.messages)
        agent.waits(REFUSAL_AGE)

        assert len(agent.octavia.messages) == before
        assert agent.db.vips() == {}
        assert agent.pending().deleting

    @REFUSALS
    def test_ends_well_once_neutron_does_not_refuse_any_more(self, error):
        agent = self.refused(error)
        agent.neutron.error = None
        agent.waits(REFUSAL_AGE)

        self.assert_gone(agent)

    @REFUSALS
    def test_ends_well_when_it_is_asked_for_once_more(self, error):
        agent = self.refused(error)
        agent.neutron.error = None
        agent.asked(GONE)
        agent.settle()

        self.assert_gone(agent)

    def test_gives_way_to_a_failover(self):
        """Nothing that Octavia still has is reported DELETED."""
        agent = self.refused(Refused("port in use"))
        agent.octavia.trees["lb1"] = CHECKED
        agent.neutron.error = None
        agent.asked(changes.Resync("lb1"))
        agent.settle()

        assert agent.db.vips() == VIPS
        assert set(agent.octavia.provisioning.values()) == {"ACTIVE"}
        agent.assert_ended(CHECKED)

    def test_gives_way_to_a_failover_also_while_neutron_is_asked_again(self):
        """Neutron is asked until it answers: it must not be, once the load balancer serves."""
        agent = self.refused(Refused("port in use"))
        agent.octavia.trees["lb1"] = CHECKED
        agent.neutron.error = DOWN
        agent.waits(REFUSAL_AGE)
        agent.asked(changes.Resync("lb1"))
        agent.settle()
        agent.neutron.error = None
        for _ in range(3):
            agent.waits(61)

        assert agent.db.vips() == VIPS
        assert agent.neutron.ports.keys() == {"vip-port"}
        assert agent.controller._tasks._tasks == {}

    def test_gives_way_to_a_failover_also_when_octavia_was_about_to_be_told_of_it(self):
        agent = self.refused(Refused("port in use"))
        agent.neutron.error = None
        agent.octavia.error = DOWN
        agent.waits(REFUSAL_AGE)
        agent.octavia.trees["lb1"] = CHECKED
        agent.asked(changes.Resync("lb1"))
        agent.settle()
        agent.octavia.error = None
        agent.clock.passes(61)
        agent.controller._reporter.run()  # before it has answered what it has
        agent.settle()

        assert agent.db.vips() == VIPS
        assert set(agent.octavia.provisioning.values()) == {"ACTIVE"}
        assert "DELETED" not in str(agent.octavia.messages)

    @REFUSALS
    def test_is_not_given_up_in_a_day(self, error):
        agent = self.refused(error)
        for _ in range(DAY // int(REFUSAL_AGE)):
            agent.waits(REFUSAL_AGE)

        assert agent.db.vips() == {}

        agent.neutron.error = None
        agent.waits(REFUSAL_AGE)

        self.assert_gone(agent)

    @REFUSALS
    def test_another_agent_waits_until_it_is_asked_for_once_more(self, error):
        """Octavia shows ERROR: the rows alone, which others may write, do not suffice."""
        agent = self.refused(error).successor()
        agent.neutron.error = None
        agent.enqueue()
        for _ in range(DAY // int(REFUSAL_AGE)):
            agent.waits(REFUSAL_AGE)

        assert agent.db.vips() == {}
        assert "DELETED" not in agent.octavia.provisioning.values()

        agent.asked(GONE)
        agent.settle()

        self.assert_gone(agent)

    @pytest.mark.parametrize("busy", [False, True], ids=["is to be made", "is being made"])
    def test_no_port_is_made_again_afterwards(self, busy):
        known = dataclasses.replace(vip(user_port=False), network_id="net1")
        agent = agent_with(dataclasses.replace(SITE, vips=(known,)))
        make, problem = agent.neutron.create_vip_port, [DOWN]

        def create(*args, **options):
            if problem:
                raise problem[0]
            return make(*args, **options)

        agent.neutron.create_vip_port = create
        agent.nb.held["vip-port"] = False  # it was deleted
        agent.enqueue()
        agent.settle()
        problem.clear()
        if busy:
            agent.clock.passes(61)
            agent.turn()
            agent.executor.begin()
            under_way = agent.executor._work.popleft()
        agent.asked(GONE)
        agent.settle()
        if busy:
            agent.executor._work.append(under_way)
        for _ in range(3):
            agent.waits(61)

        self.assert_gone(agent)

    def test_octavia_gets_the_report_before_the_row_is_deleted(self):
        agent = self.deleting()
        agent.octavia.error = DOWN
        agent.settle()

        assert agent.pending().deleting

        agent.octavia.error = None
        successor = agent.successor()
        successor.enqueue()
        successor.settle()

        assert agent.rows == ()
        assert agent.octavia.provisioning["lb1"] == "DELETED"

    def test_without_rows(self):
        agent = self.deleting(Agent()).settle()

        assert agent.rows == ()
        assert agent.neutron.ports == {}
        assert agent.octavia.provisioning == {"m9": "DELETED", "lb1": "DELETED"}

    @pytest.mark.parametrize("name", ["web-1", "ovn-lb-vip-lb2", "ovn-lb-vip-additional-1-lb2"])
    def test_leaves_a_port_that_only_the_rows_say_is_ours(self, name):
        """Others may write the Northbound database, too."""
        agent = agent_with(SITE)
        agent.neutron.ports["vip-port"] = Port("vip-port", name)
        agent.asked(GONE)
        agent.settle()

        assert agent.neutron.ports.keys() == {"vip-port"}
        assert agent.rows == ()
        assert agent.octavia.provisioning["lb1"] == "DELETED"

    def test_gives_a_user_provided_port_its_addresses_back(self):
        agent = agent_with(
            dataclasses.replace(SITE, vips=(vip(cidr="10.0.0.0/24", user_port=True),))
        )
        agent.neutron.ports["vip-port"] = Port("vip-port", "mine")
        agent.asked(GONE)
        agent.settle()

        assert agent.neutron.touched == ["vip-port"]
        assert agent.neutron.ports.keys() == {"vip-port"}

    def test_of_rows_that_say_nothing(self):
        agent = Agent([row(external_ids={})])
        agent.asked(GONE)
        agent.settle()

        assert agent.rows == ()
        assert agent.octavia.provisioning["lb1"] == "DELETED"

    def test_orphans_go_in_silence(self):
        agent = agent_with()
        agent.neutron.ports["vip-port"] = Port("vip-port", "ovn-lb-vip-lb1")
        before = len(agent.octavia.messages)
        agent.asked(changes.Abandon("lb1"))
        agent.settle()

        assert agent.rows == ()
        assert agent.neutron.ports == {}
        assert len(agent.octavia.messages) == before


def test_octavia_is_asked_whose_a_member_is_beside_the_commit():
    agent = agent_with(CHECKED)
    agent.settle()
    started, committed = [], agent.nb.committed

    def note(lb_ids):
        started.append(len(agent.executor))
        committed(lb_ids)

    agent.nb.committed = note
    agent.asked(changes.DeleteMember("p1", "m1"))
    agent.turn()

    assert started == [1]


def test_a_load_balancer_without_rows_is_not_reported():
    agent = agent_with()
    uuid = agent.row.uuid
    del agent.db[uuid]
    agent.enqueue()
    agent.settle()

    assert agent.index.of(("switch", "neutron-net1")) == frozenset()
