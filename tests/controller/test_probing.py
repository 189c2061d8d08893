# SPDX-License-Identifier: Apache-2.0
"""Stories of members that are probed by the chassis where they are."""

import dataclasses

import pytest

from octavia_ovn.controller.probing import FLIPS
from octavia_ovn.core.model import Flavor, MonitorType
from octavia_ovn.core.request import changes
from octavia_ovn.errors import Refused, Unavailable
from tests.controller.chassis import Program
from tests.controller.stories import GONE, VIPS, site
from tests.controller.two_chassis import (
    DOWN,
    HTTP,
    SOURCE,
    UP,
    WEB,
    only,
    passes,
    successor_of,
    with_both_up,
    with_two_chassis,
)
from tests.core.builders import VIP, member


@pytest.fixture
def agent():
    return with_two_chassis()


@pytest.fixture
def web():
    return with_both_up()


class TestPlans:
    def test_each_chassis_is_told_what_is_there(self, web):
        (one,), (two,) = web.a.probes.values(), web.b.probes.values()
        assert (one.id, two.id) == ("m1", "m2")
        assert (one.type, one.url_path, one.port) == (MonitorType.HTTP, "/up", 80)
        assert (one.rise, one.fall, one.delay, one.timeout) == (2, 3, 5, 3)
        assert one.source.address == "10.0.0.7/24"
        web.assert_ended(WEB)

    def test_ovn_checks_nothing_and_lets_probes_in(self, web):
        assert web.row.health_checks == ()
        assert web.row.ip_port_mappings == {}
        (group,) = web.db.access().groups
        assert group.ports == {"port1", "port2"}
        (acl,) = group.acls
        assert acl.match == (
            "outport == @octavia_lb_lb1_probes && eth.src == fa:16:3e:00:00:07"
            " && ip4.src == 10.0.0.7 && tcp.dst == {80}"
        )

    @pytest.mark.parametrize(
        "change",
        [
            changes.DeleteMonitor("p1", "hm1"),
            changes.DeleteMember("p1", "m1"),
            GONE,
        ],
        ids=["monitor", "member", "load balancer"],
    )
    def test_what_is_gone_is_not_probed(self, web, change):
        web.asked(change)
        web.settle()
        assert web.a.probes == {}
        web.clock.passes(5)
        web.settle()
        assert web.chassis.probing.registry.ports() <= {"port2"}

    def test_a_changed_monitor_changes_the_probes_and_no_traffic(self, web):
        before = len(web.history)
        (old,) = web.a.probes.values()
        web.asked(changes.PutMonitor("p1", dataclasses.replace(HTTP, url_path="/other")))
        web.settle()
        (new,) = web.a.probes.values()
        assert (old.url_path, new.url_path) == ("/up", "/other")
        assert all(vips == VIPS for vips in web.history[before:])

    def test_a_member_that_moves_is_probed_there_and_serves_meanwhile(self, web):
        web.chassis.moves("port1", "b")
        web.settle()
        assert (set(web.a.probes), set(web.b.probes)) == (set(), {"m1", "m2"})
        assert web.db.vips() == VIPS
        web.a.probes = {"m1": web.b.probes["m1"]}
        web.a.finds(m1=DOWN)
        assert web.db.vips() == VIPS
        web.b.finds(m1=DOWN)
        assert web.db.vips() == only(2)

    def test_disabled_members_are_not_probed(self, web):
        web.asked(changes.PutMember("p1", member(1, enabled=False)))
        web.settle()
        assert web.a.probes == {}
        assert web.octavia.operating["m1"] == "OFFLINE"

    def test_another_address_is_probed_where_it_is(self, agent):
        agent.nb.ports["neutron-net1"].names["10.0.0.99"] = "port2"
        b = Program(agent, "b")
        agent.created(site(member(1, monitor_address="10.0.0.99", monitor_port=8080), monitor=HTTP))
        agent.settle()
        (found,) = b.probes.values()
        assert (found.address, found.port) == ("10.0.0.99", 8080)

    def test_members_without_a_port_of_their_own_are_served_unchecked(self, agent):
        agent.nb.ports["neutron-net1"].virtual = {"port1"}
        b = Program(agent, "b")
        agent.created(site(member(1), member(2), member(3), monitor=HTTP))
        agent.settle()
        b.finds()
        assert set(b.probes) == {"m2"}
        assert [agent.octavia.operating[each] for each in ("m1", "m2", "m3")] == [
            "NO_MONITOR",
            "ONLINE",
            "NO_MONITOR",
        ]
        assert agent.db.vips() == {("tcp", f"{VIP}:80"): "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80"}


class TestSources:
    def test_neutron_makes_the_port_and_it_is_given_back(self, agent):
        a = Program(agent, "a")
        ports = agent.nb.ports["neutron-net1"]
        ports.probe_sources = {}
        agent.created(WEB)
        agent.settle()
        assert list(agent.neutron.ports) == ["ovn-lb-probe-sub1"]
        assert a.probes == {}

        ports.probe_sources = {"sub1": SOURCE}
        agent.changed(("probed", "sub1"))
        agent.settle()
        assert set(a.probes) == {"m1"}
        agent.assert_ended(WEB)

        agent.asked(changes.DeleteMonitor("p1", "hm1"))
        agent.settle()
        assert agent.neutron.ports == {}

    def test_without_a_port_members_are_served_unchecked(self, agent):
        agent.nb.ports["neutron-net1"].probe_sources = {}
        agent.neutron.error = Refused("the subnet is used up")
        agent.created(WEB)
        agent.settle()
        assert agent.db.vips() == VIPS
        assert agent.octavia.provisioning["hm1"] == "ERROR"
        assert {agent.octavia.operating[each] for each in ("m1", "m2")} == {"NO_MONITOR"}

    def test_a_load_balancer_does_not_wait_for_neutron_too_long(self, agent):
        agent.nb.ports["neutron-net1"].probe_sources = {}
        agent.neutron.error = Unavailable("503")
        agent.created(WEB)
        agent.settle()
        assert agent.db.vips() == {}
        agent.until(agent.db.vips)
        assert agent.db.vips() == VIPS
        assert agent.octavia.provisioning["hm1"] == "ERROR"

    def test_while_the_port_is_made_again_probes_continue(self, web):
        web.neutron.error = Unavailable("503")
        web.nb.ports["neutron-net1"].probe_sources = {}
        web.changed(("probed", "sub1"))
        web.settle()
        assert set(web.a.probes) == {"m1"}
        web.a.finds(DOWN)
        assert web.db.vips() == only(2)


class TestResults:
    def test_who_serves(self, agent):
        a, b = Program(agent, "a"), Program(agent, "b")
        agent.created(WEB)
        agent.settle()
        assert agent.db.vips() == VIPS
        assert agent.octavia.operating["m1"] == "OFFLINE"
        a.finds()
        assert agent.db.vips() == only(1)
        b.finds()
        assert agent.db.vips() == VIPS
        assert {agent.octavia.operating[each] for each in ("m1", "m2", "lb1")} == {"ONLINE"}
        a.finds(DOWN)
        assert agent.db.vips() == only(2)
        assert agent.octavia.operating["m1"] == "ERROR"
        assert agent.octavia.operating["lb1"] == "DEGRADED"
        b.finds(DOWN)
        assert agent.db.vips() == only(0)
        assert agent.octavia.operating["lb1"] == "ERROR"
        a.finds()
        assert agent.db.vips() == only(1)

    def test_when_all_fail_all_serve_if_the_flavor_says_so(self, agent):
        a, b = Program(agent, "a"), Program(agent, "b")
        agent.created(dataclasses.replace(WEB, flavor=Flavor(fail_open=True)))
        agent.settle()
        a.finds(DOWN)
        assert agent.db.vips() == only(2)
        b.finds(DOWN)
        assert agent.db.vips() == VIPS
        assert {agent.octavia.operating[each] for each in ("m1", "m2", "lb1")} == {"ERROR"}
        a.finds()
        assert (agent.db.vips(), agent.octavia.operating["m2"]) == (only(1), "ERROR")

    def test_a_load_balancer_that_flips_all_the_time_changes_once_a_second(self, web):
        burst, interval, _ = FLIPS
        before = len(web.history)
        for number in range(400):
            web.a.finds(DOWN if number % 2 else UP)
            web.clock.passes(0.1)
            web.settle()
        changed = [vips for vips in web.history[before:] if vips != VIPS]
        assert len(changed) <= burst + 40 / interval + 40 + 1
        web.a.finds(DOWN)
        passes(web, 2, web.a, web.b)
        assert web.db.vips() == only(2)

    def test_others_do_not_wait_for_one_that_flips(self, web):
        for _ in range(100):
            web.probing._flips.admit({f"lb{number}" for number in range(3, 300)}, web.clock.now)
        web.a.finds(DOWN)
        assert web.db.vips() == only(2)

    def test_the_log_says_why_a_member_is_down(self, web, caplog):
        web.a.finds(DOWN)
        web.a.finds(DOWN)
        assert caplog.text.count("Member m1 of load balancer lb1 fails its check") == 1

    def test_a_defect_in_one_message_loses_no_other(self, web, caplog):
        web.a.states = {"m1": DOWN}
        web.a._say(web.a.probes.values())
        web.probing.received(web.b, None)
        web.controller.turn()
        web.defects.met.clear()
        web.settle()
        assert "could not be followed" in caplog.text
        assert web.db.vips() == only(2)

    def test_a_defect_about_connections_loses_no_result(self, web, monkeypatch):
        def fails():
            raise KeyError

        web.a.states = {"m1": DOWN}
        web.a._say(web.a.probes.values())
        with monkeypatch.context() as patch:
            patch.setattr(web.limits, "turn", fails)
            web.controller.turn()
        web.defects.met.clear()
        web.settle()
        assert web.db.vips() == only(2)

    def test_members_on_no_hypervisor_get_nothing_and_begin_again(self, web):
        ports = web.nb.ports["neutron-net1"]
        ports.down = {"port1"}
        web.chassis.moves("port1")
        web.changed(("backend", "10.0.0.1"))
        passes(web, 6, web.a, web.b)
        assert web.db.vips() == only(2)
        assert web.a.probes == {}

        ports.down = set()
        web.chassis.moves("port1", "a")
        web.changed(("backend", "10.0.0.1"))
        web.settle()
        assert web.db.vips() == only(2)
        web.a.finds()
        assert web.db.vips() == VIPS

    def test_a_port_that_is_on_no_chassis_for_a_moment_keeps_its_member(self, web):
        """As at the end of a live migration."""
        before = web.db.transactions
        ports = web.nb.ports["neutron-net1"]
        for places, down in (
            ((), {"port1"}),
            ((), {"port1"}),
            (("b",), {"port1"}),
            (("b",), set()),
        ):
            ports.down = down
            web.chassis.moves("port1", *places)
            web.changed(("backend", "10.0.0.1"))
            passes(web, 2, web.a, web.b)
            assert (web.db.vips(), web.db.transactions) == (VIPS, before)
        passes(web, 10, web.a, web.b)
        assert web.db.vips() == VIPS

    def test_a_port_that_ovn_calls_down_while_a_chassis_has_it_is_judged_by_its_check(self, web):
        """As at the end of a live migration, until it works on the new hypervisor."""
        before = web.db.transactions
        web.chassis.moves("port1", "b")
        web.nb.ports["neutron-net1"].down = {"port1"}
        web.changed(("backend", "10.0.0.1"))
        web.settle()
        assert (web.db.vips(), web.db.transactions) == (VIPS, before)
        web.b.finds(m1=DOWN)
        assert web.db.vips() == only(2)


class TestTakeOver:
    def test_nothing_changes_when_another_agent_takes_over(self, web):
        web.a.finds(DOWN)
        web.settle()
        before = web.db.transactions
        probes = dict(web.a.probes)
        successor = successor_of(web)
        assert successor.db.vips() == only(2)

        for program in (web.a, web.b):
            program.connect(successor)
        assert web.a.probes == probes
        assert (successor.db.vips(), successor.db.transactions) == (only(2), before)

        web.a.finds()
        assert successor.db.vips() == VIPS

    def test_what_has_changed_meanwhile_is_followed(self, web):
        web.a.states["m1"] = DOWN
        stale = dataclasses.replace(web.a.probes["m1"], id="m9")
        web.a.probes["m9"] = stale
        successor = successor_of(web, web.a, web.b)
        passes(successor, 2, web.a, web.b)
        assert successor.db.vips() == only(2)
        assert set(web.a.probes) == {"m1"}

    def test_the_mark_is_kept_for_the_successor(self, web):
        passes(web, 2, web.a, web.b)
        assert web.nb.announced
        successor = successor_of(web)
        passes(successor, 30)
        assert web.nb.announced
        passes(successor, 40)
        assert not web.nb.announced
