# SPDX-License-Identifier: Apache-2.0
"""The ports that health checks come from."""

from octavia_ovn.core.request import changes
from tests.controller.agent import Agent
from tests.controller.outside import SERVICE, TENANT, SwitchPorts
from tests.controller.stories import CHECKED, DOWN, GONE, SITE, agent_with, site
from tests.core.builders import member, monitor


class TestWhereChecksComeFrom:
    """Only from a port that the service or the member's owner has made."""

    def checked(self, **switch):
        agent = Agent()
        agent.nb.ports["neutron-net1"] = SwitchPorts(
            {"10.0.0.1": "port1", "10.0.0.2": "port2"}, **switch
        )
        agent.created(CHECKED)
        return agent.settle()

    def sources(self, agent):
        return {each.partition(":")[2] for each in agent.row.ip_port_mappings.values()}

    def sees(self, agent, **switch):
        ports = agent.nb.ports["neutron-net1"]
        for name, value in switch.items():
            setattr(ports, name, value)
        agent.changed(("monitored", "sub1"))
        agent.settle()

    def test_not_from_the_port_of_another_tenant(self):
        agent = self.checked(sources={"sub1": "10.0.0.66"}, owners={"sub1": "attacker"})

        assert self.sources(agent) == {"10.0.0.9"}
        assert agent.neutron.ports["ovn-lb-hm-sub1"].project_id == SERVICE
        agent.assert_ended(CHECKED)

    def test_from_the_port_that_the_former_driver_made_for_the_members_owner(self):
        agent = self.checked(sources={"sub1": "10.0.0.8"}, owners={"sub1": TENANT})

        assert self.sources(agent) == {"10.0.0.8"}
        assert agent.neutron.ports == {}
        agent.assert_ended(CHECKED)

    def test_from_where_they_came_while_keystone_is_away(self):
        agent = self.checked(sources={"sub1": "10.0.0.9"})
        agent.neutron.error = DOWN
        successor = agent.successor()
        successor.asked(changes.DeleteMember("p1", "m2"))
        successor.settle()

        assert successor.row.ip_port_mappings == {"10.0.0.1": "port1:10.0.0.9"}
        successor.assert_ended(site(member(1), monitor=monitor()))

    def test_its_addresses_are_cleared_again_whenever_neutron_restores_them(self):
        """Any update of the port does that."""
        agent = self.checked(sources={"sub1": "10.0.0.9"})
        for count in (1, 2):
            agent.db.cleared.clear()
            self.sees(agent, answers={"sub1": f"hm-{count}"})

            assert agent.db.cleared == [f"hm-{count}"]
            assert self.sources(agent) == {"10.0.0.9"}
        agent.assert_ended(CHECKED)

    def test_they_follow_when_its_address_changes(self):
        agent = self.checked(sources={"sub1": "10.0.0.9"})
        self.sees(agent, sources={"sub1": "10.0.0.19"}, answers={"sub1": "hm"})
        assert agent.db.cleared == ["hm"]
        agent.changed(("monitored", "sub1"))  # the switch port has changed
        agent.settle()

        assert self.sources(agent) == {"10.0.0.19"}
        agent.assert_ended(CHECKED)

    def test_they_follow_when_it_is_deleted_and_created_again(self):
        agent = self.checked(sources={"sub1": "10.0.0.19"})
        self.sees(agent, sources={})
        assert "ovn-lb-hm-sub1" in agent.neutron.ports
        self.sees(agent, sources={"sub1": "10.0.0.9"}, answers={"sub1": "hm"})
        agent.changed(("monitored", "sub1"))
        agent.settle()

        assert self.sources(agent) == {"10.0.0.9"}
        agent.assert_ended(CHECKED)

    def test_from_one_that_neutron_does_not_delete(self):
        """It is needed again; nothing waits until Neutron recovers."""
        agent = self.checked(sources={"sub1": "10.0.0.9"})

        def fails(*_):
            raise DOWN

        agent.neutron.delete_hm_ports = fails
        agent.asked(changes.DeleteMonitor("p1", "hm1"))
        agent.waits(120)
        agent.asked(changes.PutMonitor("p1", monitor()))
        agent.settle()

        assert self.sources(agent) == {"10.0.0.9"}
        agent.assert_ended(CHECKED)
        assert agent.controller._tasks._tasks == {}


class TestPortThatIsNotNeededAnyMore:
    """Octavia is told of the end of a request first, which need not wait for Neutron."""

    def unmonitored(self):
        agent = agent_with(CHECKED, source="")
        agent.octavia.error = DOWN
        agent.asked(changes.DeleteMonitor("p1", "hm1"))
        return agent.settle()

    def test_stays_until_octavia_knows_that_the_monitor_is_gone(self):
        agent = self.unmonitored()

        assert "ovn-lb-hm-sub1" in agent.neutron.ports

        agent.octavia.error = None
        agent.waits(1)

        assert agent.neutron.ports == {}
        agent.assert_ended(SITE)

    def test_stays_if_it_is_needed_again_meanwhile(self):
        agent = self.unmonitored()
        port = agent.neutron.ports["ovn-lb-hm-sub1"]
        agent.asked(changes.PutMonitor("p1", monitor()))
        agent.settle()
        agent.octavia.error = None
        agent.waits(1)

        assert agent.neutron.ports["ovn-lb-hm-sub1"] is port
        agent.assert_ended(CHECKED)

    def test_of_a_load_balancer_that_is_deleted_goes_before_that_is_reported(self):
        agent = self.unmonitored()
        agent.asked(GONE)
        agent.settle()

        assert agent.neutron.ports == {}
