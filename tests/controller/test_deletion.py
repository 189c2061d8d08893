"""Stories of load balancers that go, and of what goes with them."""

import dataclasses

from octavia_ovn.core import changes
from octavia_ovn.errors import Refused
from tests.controller.agent import Agent
from tests.controller.outside import Port
from tests.controller.stories import CHECKED, DOWN, GONE, SITE, agent_with
from tests.core.builders import row, vip


class TestDelete:
    def deleting(self, agent=None):
        agent = agent or agent_with(CHECKED)
        agent.neutron.ports["vip-port"] = Port("vip-port", "ovn-lb-vip-lb1")
        agent.asked(GONE)
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
        agent.look()

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

    def test_ends_in_error_when_neutron_refuses(self):
        agent = self.deleting()
        agent.neutron.error = Refused("port in use")
        agent.settle()

        assert agent.octavia.provisioning["lb1"] == "ERROR"
        assert agent.octavia.provisioning["l1"] == "ERROR"

        agent.neutron.error = None
        agent.asked(GONE)
        agent.settle()

        assert agent.rows == ()
        assert agent.neutron.ports == {}
        assert agent.octavia.provisioning["lb1"] == "DELETED"

    def test_octavia_hears_before_the_row_goes(self):
        agent = self.deleting()
        agent.octavia.error = DOWN
        agent.settle()

        assert agent.pending().deleting

        agent.octavia.error = None
        successor = agent.successor()
        successor.queue.add("lb1")
        successor.settle()

        assert agent.rows == ()
        assert agent.octavia.provisioning["lb1"] == "DELETED"

    def test_without_rows(self):
        agent = self.deleting(Agent()).settle()

        assert agent.rows == ()
        assert agent.neutron.ports == {}
        assert agent.octavia.provisioning == {"m9": "DELETED", "lb1": "DELETED"}

    def test_gives_a_brought_port_its_addresses_back(self):
        agent = agent_with(dataclasses.replace(SITE, vips=(vip(cidr="10.0.0.0/24", brought=True),)))
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
        heard = len(agent.octavia.messages)
        agent.asked(changes.Abandon("lb1"))
        agent.settle()

        assert agent.rows == ()
        assert agent.neutron.ports == {}
        assert len(agent.octavia.messages) == heard


def test_a_load_balancer_without_rows_is_nobodys():
    agent = agent_with()
    uuid = agent.row.uuid
    del agent.db[uuid]
    agent.queue.add("lb1")
    agent.settle()

    assert agent.index.of(("switch", "neutron-net1")) == frozenset()
