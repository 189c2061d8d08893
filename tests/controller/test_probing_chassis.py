# SPDX-License-Identifier: Apache-2.0
"""Stories of chassis that probe: silent and dead ones, and switching between OVN and them."""

import pytest

from octavia_ovn.core.codec.keys import PROBES_MARK
from octavia_ovn.core.request import changes
from octavia_ovn.errors import Refused, Unavailable
from octavia_ovn.observer import Observer
from tests.controller.agent import Agent
from tests.controller.chassis import Chassis, Program
from tests.controller.stories import CHECKED, SITE, VIPS, agent_with
from tests.controller.two_chassis import (
    DOWN,
    PLACES,
    SOURCE,
    UP,
    WEB,
    network,
    only,
    passes,
    successor_of,
    with_both_up,
    with_two_chassis,
)
from tests.core.builders import VIP


@pytest.fixture
def agent():
    return with_two_chassis()


@pytest.fixture
def web():
    return with_both_up()


def hypervisor_dies(web):
    """Have chassis `a` found dead: its program is silent, and ovn-controller does not follow."""
    web.chassis.numbers = {"a": 7, "b": 7}
    web.a.dies()
    for _ in range(16):
        passes(web, 1, web.b)
        web.chassis.numbers["b"] = web.nb.number
    assert (web.db.vips(), web.octavia.operating["m1"]) == (only(2), "ERROR")


class TestChassis:
    def test_a_dead_program_evicts_no_one(self, web, caplog):
        web.chassis.numbers = {"a": 7, "b": 7}
        web.a.dies()
        for _ in range(59):
            passes(web, 1, web.b)
            web.chassis.numbers = {"a": web.nb.number, "b": web.nb.number}
        assert (web.db.vips(), web.octavia.operating["m1"]) == (VIPS, "ONLINE")
        for _ in range(4):
            passes(web, 1, web.b)
        assert (web.db.vips(), web.octavia.operating["m1"]) == (VIPS, "NO_MONITOR")
        assert "octavia-ovn-chassis on chassis a is not connected" in caplog.text

        successor = successor_of(web, web.b)
        assert successor.db.vips() == VIPS
        web.a.connect(successor)
        assert (successor.db.vips(), successor.octavia.operating["m1"]) == (VIPS, "ONLINE")

    def test_a_dead_hypervisor_evicts_its_members(self, web, caplog):
        hypervisor_dies(web)
        assert "Chassis a does not answer" in caplog.text
        assert web.nb.number == 8

        web.chassis.numbers["a"] = web.nb.number
        web.a.connect(web)
        passes(web, 2, web.a, web.b)
        assert (web.db.vips(), web.octavia.operating["m1"]) == (VIPS, "ONLINE")
        assert "Chassis a answers again" in caplog.text

    def test_a_hypervisor_taken_for_dead_by_mistake_has_its_members_back(self, web):
        """ovn-controller follows again; the program is still away."""
        hypervisor_dies(web)
        web.chassis.numbers["a"] = web.nb.number
        passes(web, 2, web.b)
        assert (web.db.vips(), web.octavia.operating["m1"]) == (VIPS, "NO_MONITOR")

    def test_a_hypervisor_that_was_dead_has_its_members_back_once_they_answer(self, web):
        hypervisor_dies(web)
        # After it has started again, ovn-controller gives up what is not there any more.
        web.chassis.moves("port1", None)
        web.chassis.numbers["a"] = web.nb.number
        web.chassis.moves("port1", "a")
        passes(web, 2, web.b)
        assert (web.db.vips(), web.octavia.operating["m1"]) == (only(2), "ERROR")
        web.a.probes, web.a.states = {}, {}
        web.a.connect(web)
        passes(web, 2, web.a, web.b)
        assert web.db.vips() == only(2)
        web.a.finds()
        assert (web.db.vips(), web.octavia.operating["m1"]) == (VIPS, "ONLINE")

    def test_a_connection_without_signs_of_life_is_silence_too(self, web):
        web.chassis.numbers = {"a": 7, "b": 7}
        for _ in range(20):
            passes(web, 1, web.b)
            web.chassis.numbers["b"] = web.nb.number
        assert web.db.vips() == only(2)

    def test_when_no_hypervisor_follows_none_is_dead(self, web):
        web.chassis.numbers = {"a": 7, "b": 7}
        web.a.dies()
        passes(web, 40, web.b)
        assert web.db.vips() == VIPS

    def test_the_mark_says_whether_chassis_probe(self, agent):
        passes(agent, 2)
        assert not agent.nb.announced
        a = Program(agent, "a")
        passes(agent, 1, a)
        assert agent.nb.announced
        a.dies()
        passes(agent, 58)
        assert agent.nb.announced
        passes(agent, 4)
        assert not agent.nb.announced

    def test_an_older_connection_ends_after_the_newer_has_begun(self, web):
        old = web.a
        new = Program(web, "a", dict(old.states))
        web.probing.left(old)
        passes(web, 10, new, web.b)
        assert web.nb.number == 7
        assert set(new.probes) == {"m1"}

    def test_a_database_that_cannot_be_written_is_tried_again(self, agent, caplog):
        agent.nb.error = Unavailable("no connection")
        a = Program(agent, "a")
        passes(agent, 3, a)
        assert caplog.text.count("NB_Global cannot be written") == 1
        agent.nb.error = None
        passes(agent, 5, a)
        assert agent.nb.announced

    def test_an_observer_sees_it(self):
        class Seen(Observer):
            def __init__(self):
                self.found, self.count = {}, {}

            def probes(self, **found):
                self.found = found

            def flips(self, state, count):
                self.count[state] = self.count.get(state, 0) + count

        seen = Seen()
        agent = network(Agent(chassis=Chassis(**PLACES), observer=seen))
        agent.created(WEB)
        a = Program(agent, "a")
        a.finds()
        a.finds(DOWN)
        passes(agent, 2, a)
        assert seen.found == {"connected": 1, "silent": 1, "members": 2}
        assert seen.count == {UP: 1, DOWN: 1}


class TestSwitching:
    """Health checks by chassis are switched on, or off."""

    def successor(self, agent, chassis):
        agent.nb.ports["neutron-net1"].probe_sources = {"sub1": SOURCE}
        successor = agent.successor(chassis=chassis)
        successor.controller.enqueue_all()
        return successor.settle()

    def test_ovn_checks_until_all_members_have_results(self):
        agent = agent_with(CHECKED)
        rows = agent.rows
        on = self.successor(agent, Chassis(**PLACES))
        a = Program(on, "a")
        a.finds(DOWN)
        passes(on, 3, a)
        assert on.rows == rows
        assert set(on.octavia.operating.values()) == {"ONLINE"}

        b = Program(on, "b")
        b.finds()
        assert on.row.health_checks == ()
        assert on.row.ip_port_mappings == {}
        assert on.db.vips() == only(2)
        assert on.octavia.operating["m1"] == "ERROR"
        assert on.history[-1] == only(2)
        assert VIPS not in on.history[-1:]

    def test_the_port_of_ovns_checks_is_given_back(self):
        agent = agent_with(CHECKED, source=None)
        on = self.successor(agent, Chassis(**PLACES))
        assert "ovn-lb-hm-sub1" in on.neutron.ports
        for each in ("a", "b"):
            Program(on, each).finds()
        assert on.row.health_checks == ()
        assert "ovn-lb-hm-sub1" not in on.neutron.ports

    def test_without_a_port_to_probe_from_ovn_continues(self):
        agent = agent_with(CHECKED)
        rows = agent.rows
        agent.neutron.error = Refused("the quota is used up")
        on = agent.successor(chassis=Chassis(**PLACES))
        on.controller.enqueue_all()
        on.settle()
        assert on.rows == rows
        assert on.octavia.operating["hm1"] == "ONLINE"

    def test_switching_off_makes_the_checks_of_ovn_again(self, web):
        web.asked(changes.PutMonitor("p1", CHECKED.pools[0].monitor))
        web.settle()
        web.a.finds()
        web.b.finds()
        web.nb.marks.add(PROBES_MARK)
        web.nb.ports["neutron-net1"].sources = {"sub1": "10.0.0.9"}
        off = web.successor()
        off.controller.enqueue_all()
        off.settle()
        assert [check.vip for check in off.row.health_checks] == [f"{VIP}:80"]
        assert off.row.ip_port_mappings == {
            "10.0.0.1": "port1:10.0.0.9",
            "10.0.0.2": "port2:10.0.0.9",
        }
        assert off.db.vips() == VIPS
        assert off.db.access().groups == ()
        assert not off.nb.announced

    def test_what_ovn_cannot_check_is_not_called_healthy_when_it_is_off(self, web):
        off = web.successor()
        off.controller.enqueue_all()
        off.settle()
        assert off.row.health_checks == ()
        assert off.db.vips() == VIPS
        assert {off.octavia.operating[each] for each in ("m1", "m2")} == {"NO_MONITOR"}
        assert off.octavia.operating["hm1"] == "ERROR"

    def test_without_monitors_rows_are_the_same(self):
        agent = with_two_chassis()
        agent.created(SITE)
        agent.settle()
        assert agent.rows == agent_with(SITE).rows
        assert agent.db.access().groups == ()
