# SPDX-License-Identifier: Apache-2.0
"""Stories of monitored members: from where they are checked, and what is reported of them."""

import pytest

from octavia_ovn.controller.check_sources import PATIENCE
from octavia_ovn.controller.tasks import REFUSAL_AGE
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.request import changes
from octavia_ovn.errors import Conflict, NotFound, Refused
from tests.controller.agent import Agent
from tests.controller.outside import SwitchPorts
from tests.controller.stories import CHECKED, DOWN, SITE, VIPS, agent_with, site
from tests.core.builders import VIP, member, monitor


class TestHealth:
    def test_members_are_checked_from_an_address_of_their_own(self):
        agent = agent_with(CHECKED)

        assert agent.row.ip_port_mappings == {
            "10.0.0.1": "port1:10.0.0.9",
            "10.0.0.2": "port2:10.0.0.9",
        }
        assert [check.vip for check in agent.row.health_checks] == [f"{VIP}:80"]
        agent.assert_ended(CHECKED)

    def dies(self, agent, number, state=HealthState.DOWN):
        agent.sb.states[(f"port{number}", f"10.0.0.{number}", 80, "tcp")] = state
        agent.changed(("backend", f"10.0.0.{number}"))
        agent.settle()

    def test_a_dead_member_is_reported_and_nothing_else_is_touched(self):
        agent = agent_with(CHECKED)
        self.dies(agent, 1)

        assert agent.octavia.operating == {
            "m1": "ERROR",
            "m2": "ONLINE",
            "hm1": "ONLINE",
            "p1": "DEGRADED",
            "l1": "DEGRADED",
            "lb1": "DEGRADED",
        }
        assert not any(
            "provisioning_status" in record
            for records in agent.octavia.messages[-1].values()
            for record in records
        )
        assert agent.db.vips() == VIPS

        self.dies(agent, 1, HealthState.UP)

        assert set(agent.octavia.operating.values()) == {"ONLINE"}
        agent.assert_ended(CHECKED)

    def test_a_member_that_has_not_answered_yet_is_not_online(self):
        agent = agent_with(CHECKED)
        self.dies(agent, 1, HealthState.UNKNOWN)

        assert agent.octavia.operating["m1"] == "OFFLINE"
        assert agent.octavia.operating["p1"] == "ONLINE"
        assert agent.db.vips() == VIPS

        self.dies(agent, 2, HealthState.UNKNOWN)

        assert {agent.octavia.operating[each] for each in ("p1", "l1", "lb1")} == {"OFFLINE"}
        assert agent.db.vips() == VIPS

    def test_an_address_that_no_port_has_is_served_unchecked_until_one_has(self):
        agent = agent_with(CHECKED, ports=[1])

        assert agent.octavia.operating["m2"] == "NO_MONITOR"
        assert agent.octavia.operating["hm1"] == "ONLINE"
        assert agent.octavia.operating["lb1"] == "ONLINE"
        assert agent.row.ip_port_mappings["10.0.0.2"] == "hm-sub1:10.0.0.9"
        assert agent.db.vips() == VIPS
        agent.assert_ended(CHECKED)

        agent.sb.states[("port2", "10.0.0.2", 80, "tcp")] = HealthState.UP
        agent.nb.ports["neutron-net1"].names["10.0.0.2"] = "port2"
        agent.changed(("backend", "10.0.0.2"))
        agent.settle()

        assert agent.octavia.operating["m2"] == "ONLINE"
        assert agent.row.ip_port_mappings["10.0.0.2"] == "port2:10.0.0.9"
        agent.assert_ended(CHECKED)

    def test_an_address_that_several_ports_take_in_turns_is_served_unchecked(self):
        agent = Agent()
        ports = agent.nb.ports["neutron-net1"]
        ports.names = {"10.0.0.1": "port1", "10.0.0.2": "port2"}
        ports.sources = {"sub1": "10.0.0.9"}
        ports.virtual = ports.down = {"port2"}
        agent.created(CHECKED)
        agent.settle()

        assert agent.octavia.operating["m2"] == "NO_MONITOR"
        assert agent.row.ip_port_mappings["10.0.0.2"] == "hm-sub1:10.0.0.9"
        assert agent.db.vips() == VIPS
        agent.assert_ended(CHECKED)

    def test_an_address_without_port_is_checked_at_the_source_that_neutron_has_made(self):
        agent = Agent()
        ports = agent.nb.ports["neutron-net1"]
        ports.names = {"10.0.0.1": "port1"}
        agent.created(CHECKED)
        agent.settle()  # its switch port is not there yet
        assert agent.row.ip_port_mappings["10.0.0.2"] == "ovn-lb-hm-sub1:10.0.0.9"

        ports.sources = {"sub1": "10.0.0.9"}
        ports.answers = {"sub1": "ovn-lb-hm-sub1"}
        agent.changed(("monitored", "sub1"))
        agent.settle()

        assert agent.db.cleared == ["ovn-lb-hm-sub1"]
        agent.assert_ended(CHECKED)

    def test_a_member_whose_port_is_down_gets_nothing_until_it_is_up(self, caplog):
        agent = agent_with(CHECKED)
        ports = agent.nb.ports["neutron-net1"]
        ports.down = {"port1"}
        agent.changed(("backend", "10.0.0.1"))
        agent.settle()

        assert agent.octavia.operating["m1"] == "ERROR"
        assert agent.octavia.operating["lb1"] == "DEGRADED"
        assert agent.db.vips() == {("tcp", f"{VIP}:80"): "10.0.0.2:80"}
        assert caplog.text.count("while its port port1 is on no hypervisor") == 1

        ports.down = {"port1", "port2"}
        agent.changed(("backend", "10.0.0.2"))
        agent.settle()

        assert agent.octavia.operating["lb1"] == "ERROR"
        assert agent.db.vips() == {("tcp", f"{VIP}:80"): ""}
        assert agent.row.health_checks == ()

        ports.down = set()
        agent.changed(("backend", "10.0.0.1"))
        agent.changed(("backend", "10.0.0.2"))
        agent.settle()

        assert agent.octavia.operating["lb1"] == "ONLINE"
        assert agent.db.vips() == VIPS
        agent.assert_ended(CHECKED)

    def test_the_port_of_a_member_without_monitor_does_not_matter(self):
        agent = agent_with(SITE)
        agent.nb.ports["neutron-net1"].down = {"port1"}
        agent.enqueue()
        agent.settle()

        assert agent.octavia.operating["m1"] == "NO_MONITOR"
        assert agent.db.vips() == VIPS

    @pytest.mark.parametrize("lb", [SITE, CHECKED], ids=["no monitor", "monitor"])
    def test_a_member_at_the_address_of_a_router_or_vip_gets_nothing(self, lb, caplog):
        agent = agent_with(lb)
        agent.nb.occupied = {("neutron-net1", "10.0.0.1"), ("neutron-net2", "10.0.0.2")}
        agent.changed(("member", "10.0.0.1"))
        agent.settle()
        agent.enqueue()
        agent.settle()

        assert agent.octavia.operating["m1"] == "ERROR"
        assert agent.octavia.operating["lb1"] == "DEGRADED"
        assert agent.db.vips() == {("tcp", f"{VIP}:80"): "10.0.0.2:80"}
        assert caplog.text.count("OVN does not balance a connection twice") == 1

        agent.nb.occupied = set()
        agent.changed(("member", "10.0.0.1"))
        agent.settle()

        assert agent.octavia.operating["lb1"] == "ONLINE"
        assert agent.db.vips() == VIPS

    def test_a_member_in_a_subnet_that_is_gone(self):
        lb = site(member(1), member(7, address="10.2.0.7", subnet_id="sub2"), monitor=monitor())
        agent = agent_with(lb)

        assert agent.octavia.operating["m7"] == "ERROR"
        agent.assert_ended(lb)

    def test_waits_for_the_ports_of_a_switch(self):
        agent = Agent()
        agent.nb.ports.clear()
        agent.created(CHECKED)
        agent.settle()
        assert agent.octavia.messages == []

        agent.nb.ports["neutron-net1"] = SwitchPorts(
            {"10.0.0.1": "port1", "10.0.0.2": "port2"}, {"sub1": "10.0.0.9"}
        )
        agent.changed(("switch", "neutron-net1"))
        agent.settle()

        agent.assert_ended(CHECKED)

    def test_silences_the_source_of_checks_first(self):
        agent = Agent()
        agent.nb.ports["neutron-net1"] = SwitchPorts(
            {"10.0.0.1": "port1", "10.0.0.2": "port2"}, {"sub1": "10.0.0.9"}, {"sub1": "hm-port"}
        )
        agent.created(CHECKED)
        agent.settle()

        assert agent.db.cleared == ["hm-port"]
        agent.changed(("monitored", "sub1"))  # the switch port has changed
        agent.settle()

        agent.assert_ended(CHECKED)

    def test_has_neutron_make_the_address(self):
        agent = agent_with(CHECKED, source=None)

        assert "ovn-lb-hm-sub1" in agent.neutron.ports
        assert agent.row.ip_port_mappings["10.0.0.1"] == "port1:10.0.0.9"
        agent.assert_ended(CHECKED)

    def test_a_refused_address_is_the_monitors_error_alone(self):
        agent = Agent()
        agent.nb.ports["neutron-net1"].names = {"10.0.0.1": "port1", "10.0.0.2": "port2"}
        agent.neutron.error = Conflict("no address left")
        agent.created(CHECKED)
        agent.settle()

        assert agent.octavia.provisioning == {
            **dict.fromkeys(["m1", "m2", "p1", "l1", "lb1"], "ACTIVE"),
            "hm1": "ERROR",
        }
        assert agent.row.health_checks == ()
        assert agent.db.vips() == VIPS
        assert agent.pending() is None

    def test_what_southbound_does_not_say_counts_as_before(self):
        agent = agent_with(CHECKED)
        self.dies(agent, 1)
        agent.sb.ready = False
        successor = agent.successor()
        successor.enqueue()
        successor.settle()

        assert agent.octavia.operating["m1"] == "ERROR"
        assert agent.octavia.operating["m2"] == "ONLINE"
        assert len(agent.octavia.messages) == 2

        agent.sb.ready = True
        agent.sb.states.clear()
        successor.changed(("backend", "10.0.0.1"))
        successor.settle()

        assert agent.octavia.operating["m1"] == "OFFLINE"
        assert agent.octavia.operating["m2"] == "OFFLINE"

    def test_monitor_goes(self):
        agent = agent_with(CHECKED)
        agent.asked(changes.DeleteMonitor("p1", "hm1"))
        agent.settle()

        assert agent.row.health_checks == ()
        assert agent.row.ip_port_mappings == {}
        assert agent.octavia.provisioning["hm1"] == "DELETED"
        assert agent.octavia.operating["m1"] == "NO_MONITOR"
        assert agent.index.of(("monitored", "sub1")) == frozenset()
        agent.assert_ended(SITE)

    def test_the_address_is_created_again_when_another_client_has_deleted_it(self):
        agent = agent_with(CHECKED, source=None)
        ports = agent.nb.ports["neutron-net1"]
        ports.sources["sub1"] = "10.0.0.9"
        agent.changed(("monitored", "sub1"))
        agent.settle()

        agent.neutron.ports.clear()
        ports.sources.clear()
        agent.changed(("monitored", "sub1"))
        agent.settle()

        assert "ovn-lb-hm-sub1" in agent.neutron.ports
        agent.assert_ended(CHECKED)

    def refused(self, error):
        agent = Agent()
        agent.nb.ports["neutron-net1"].names = {"10.0.0.1": "port1", "10.0.0.2": "port2"}
        agent.neutron.error = error
        agent.created(CHECKED)
        agent.settle()
        assert agent.octavia.provisioning["hm1"] == agent.octavia.operating["hm1"] == "ERROR"
        assert agent.octavia.provisioning["lb1"] == "ACTIVE"
        assert agent.row.health_checks == ()
        assert agent.db.vips() == VIPS
        return agent

    def assert_checked(self, agent):
        assert [check.vip for check in agent.row.health_checks] == [f"{VIP}:80"]
        assert agent.row.ip_port_mappings["10.0.0.1"] == "port1:10.0.0.9"
        assert agent.octavia.provisioning["hm1"] == "ACTIVE"
        assert agent.octavia.operating["hm1"] == "ONLINE"
        assert "hm1" not in agent.row.external_ids["neutron:member_status"]
        agent.assert_ended(CHECKED)

    @pytest.mark.parametrize("error", [Conflict("quota"), Refused("403"), NotFound("network")])
    def test_a_monitor_recovers_once_its_address_can_be_had(self, error):
        agent = self.refused(error)
        agent.waits(REFUSAL_AGE)
        assert agent.octavia.provisioning["hm1"] == "ERROR"
        agent.neutron.error = None
        agent.waits(REFUSAL_AGE)

        self.assert_checked(agent)

    def test_a_service_that_fails_for_long_holds_up_nothing_but_the_monitor(self):
        agent = Agent()
        agent.nb.ports["neutron-net1"].names = {"10.0.0.1": "port1", "10.0.0.2": "port2"}
        agent.neutron.error = DOWN
        agent.created(CHECKED)
        agent.waits(PATIENCE / 2)
        assert agent.octavia.messages == []
        agent.waits(PATIENCE)

        assert agent.octavia.provisioning["hm1"] == "ERROR"
        assert agent.octavia.provisioning["lb1"] == "ACTIVE"
        assert agent.octavia.operating["m1"] == "NO_MONITOR"
        assert agent.db.vips() == VIPS

        agent.neutron.error = None
        agent.waits(PATIENCE)

        self.assert_checked(agent)

    def test_a_monitor_recovers_with_the_next_comparison(self):
        agent = self.refused(Conflict("quota"))
        agent.neutron.error = None
        agent.controller.resync()
        agent.enqueue()
        agent.settle()

        self.assert_checked(agent)

    def test_a_monitor_recovers_though_another_agent_has_reported_its_error(self):
        agent = self.refused(Conflict("quota")).successor()
        agent.enqueue()
        agent.settle()
        assert agent.octavia.provisioning["hm1"] == "ERROR"

        successor = agent.successor()
        successor.neutron.error = None
        successor.enqueue()
        successor.settle()

        self.assert_checked(successor)

    def test_a_monitor_that_loses_its_address_says_so_and_recovers(self):
        agent = agent_with(CHECKED)
        ports = agent.nb.ports["neutron-net1"]
        ports.sources.clear()
        agent.neutron.error = Conflict("the subnet is full")
        agent.changed(("monitored", "sub1"))
        agent.settle()
        assert agent.octavia.operating["hm1"] == "ERROR"
        assert agent.octavia.provisioning["hm1"] == "ACTIVE"
        assert agent.row.health_checks == ()

        agent.neutron.error = None
        agent.waits(REFUSAL_AGE)

        self.assert_checked(agent)
