"""Stories: what is there, what happens, what is there afterwards and what Octavia has heard."""

import dataclasses
import json

import pytest

from octavia_ovn.core import changes, codec, model
from octavia_ovn.core.health import Verdict
from octavia_ovn.core.pending import Final, Kind, deleted
from octavia_ovn.core.rows import HealthCheck
from octavia_ovn.core.topology import Subnet
from octavia_ovn.errors import Conflict, Refused, Unavailable
from tests.controller.agent import Agent
from tests.controller.outside import FixedIp, FloatingIp, Port, SwitchPorts
from tests.core.builders import VIP, Cloud, balancer, listener, member, monitor, pool, row, vip

KNOWN = vip(cidr="10.0.0.0/24", brought=False)
FIP = "10.73.1.171"
DOWN = Unavailable("503")


def site(*members, **fields):
    """A load balancer as the driver records it: all about its VIP is known."""
    return balancer([listener()], [pool(members=members, **fields)], vips=(KNOWN,))


SITE = site(member(1), member(2))
CHECKED = site(member(1), member(2), monitor=monitor())
VIPS = {("tcp", f"{VIP}:80"): "10.0.0.1:80,10.0.0.2:80"}


def agent_with(lb=SITE, *, ports=(1, 2), source="10.0.0.9"):
    """An agent after it has realised a load balancer."""
    agent = Agent()
    switch = agent.nb.ports["neutron-net1"]
    switch.names = {f"10.0.0.{number}": f"port{number}" for number in ports}
    switch.sources = {"sub1": source} if source else {}
    agent.created(lb)
    return agent.settle()


class TestCreate:
    def test_one_transaction_realises_it(self):
        agent = Agent()
        agent.created(SITE)
        before = agent.db.transactions

        outcome = agent.look()

        assert agent.db.transactions == before + 1
        assert agent.db.vips() == VIPS
        assert agent.row.switches == {"neutron-net1"}
        assert agent.row.routers == {"R1"}
        assert outcome.report.message["loadbalancers"][0]["provisioning_status"] == "ACTIVE"

    def test_octavia_hears_once_and_is_remembered_to_have(self):
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
        agent.settle()

        agent.assert_ended(SITE)

    def test_a_look_in_between_does_not_tell_twice(self):
        agent = Agent()
        agent.created(SITE)
        first, second = agent.look(), agent.look()

        assert first.report is not None
        assert second.report is None

    def test_goes_on_where_a_dead_agent_stopped(self):
        agent = Agent()
        agent.created(SITE)
        agent.look()

        successor = agent.successor()
        successor.queue.add("lb1")
        successor.settle()

        assert successor.history.count(VIPS) == len(successor.history)
        successor.assert_ended(SITE)

    def test_a_request_while_octavia_is_being_told(self):
        agent = Agent()
        agent.created(SITE)
        agent.look()
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

    def test_others_go_on_meanwhile(self):
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


class TestEvents:
    def test_a_floating_ip_comes_and_goes(self):
        agent = agent_with()
        agent.nb.cloud = Cloud(
            {"R1": {"neutron-net1": ("10.0.0.1/24",)}}, fips={("vip-port", VIP): FIP}
        )
        agent.changed(("port", "vip-port"))
        agent.settle()

        assert agent.db.vips() == {**VIPS, ("tcp", f"{FIP}:80"): VIPS["tcp", f"{VIP}:80"]}
        assert agent.row.external_ids["neutron:vip_fip"] == FIP

        agent.nb.cloud = Cloud({"R1": {"neutron-net1": ("10.0.0.1/24",)}})
        agent.changed(("port", "vip-port"))
        agent.settle()

        assert agent.db.vips() == VIPS
        assert "neutron:vip_fip" not in agent.row.external_ids
        assert len(agent.octavia.messages) == 1

    def test_a_router_comes_and_goes(self):
        agent = agent_with()
        agent.nb.cloud = Cloud(switches=["neutron-net1"])
        agent.changed(("router", "R1"))
        agent.settle()

        assert (agent.row.switches, agent.row.routers) == ({"neutron-net1"}, set())

        agent.nb.cloud = Cloud(
            {"R2": {"neutron-net1": ("10.0.0.1/24",), "neutron-net2": ("10.2.0.1/24",)}}
        )
        agent.changed(("switch", "neutron-net1"))
        agent.settle()

        assert agent.row.switches == {"neutron-net1", "neutron-net2"}
        assert agent.row.routers == {"R2"}
        assert agent.row.external_ids["lr_ref"] == "R2"

    def test_an_event_that_changes_nothing_writes_nothing(self):
        agent = agent_with()
        before = agent.db.transactions
        agent.changed(("switch", "neutron-net1"))
        agent.settle()

        assert agent.db.transactions == before

    def test_a_members_floating_ip_is_centralised_once(self):
        agent = agent_with()
        agent.nb.member_fips["10.0.0.1"] = [
            FloatingIp("fip1", "R1", distributed=True),
            FloatingIp("fip2", "R9", distributed=True),
        ]
        agent.changed(("member", "10.0.0.1"))
        agent.settle()
        agent.changed(("member", "10.0.0.1"))
        agent.settle()

        assert agent.neutron.touched == ["fip1"]

        agent.nb.member_fips["10.0.0.1"] = [FloatingIp("fip1", "R1", distributed=False)]
        agent.changed(("member", "10.0.0.1"))
        agent.settle()
        agent.nb.member_fips["10.0.0.1"] = [FloatingIp("fip1", "R1", distributed=True)]
        agent.changed(("member", "10.0.0.1"))
        agent.settle()

        assert agent.neutron.touched == ["fip1", "fip1"]


class TestHealth:
    def test_members_are_checked_from_an_address_of_their_own(self):
        agent = agent_with(CHECKED)

        assert agent.row.ip_port_mappings == {
            "10.0.0.1": "port1:10.0.0.9",
            "10.0.0.2": "port2:10.0.0.9",
        }
        assert [check.vip for check in agent.row.health_checks] == [f"{VIP}:80"]
        agent.assert_ended(CHECKED)

    def dies(self, agent, number, verdict=Verdict.DOWN):
        agent.sb.verdicts[(f"port{number}", f"10.0.0.{number}", 80, "tcp")] = verdict
        agent.changed(("backend", f"10.0.0.{number}"))
        agent.settle()

    def test_a_dead_member_is_told_and_nothing_else_is_touched(self):
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

        self.dies(agent, 1, Verdict.UP)

        assert set(agent.octavia.operating.values()) == {"ONLINE"}
        agent.assert_ended(CHECKED)

    def test_a_member_without_port_is_in_error_until_it_has_one(self):
        agent = agent_with(CHECKED, ports=[1])

        assert agent.octavia.operating["m2"] == "ERROR"
        assert agent.octavia.operating["hm1"] == "ONLINE"
        assert "10.0.0.2" not in agent.row.ip_port_mappings

        agent.nb.ports["neutron-net1"].names["10.0.0.2"] = "port2"
        agent.changed(("backend", "10.0.0.2"))
        agent.settle()

        assert agent.octavia.operating["m2"] == "ONLINE"
        assert agent.row.ip_port_mappings["10.0.0.2"] == "port2:10.0.0.9"
        agent.assert_ended(CHECKED)

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
        successor.queue.add("lb1")
        successor.settle()

        assert agent.octavia.operating["m1"] == "ERROR"
        assert len(agent.octavia.messages) == 2

        agent.sb.ready = True
        agent.sb.verdicts.clear()
        successor.changed(("backend", "10.0.0.1"))
        successor.settle()

        assert agent.octavia.operating["m1"] == "ONLINE"

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


GONE = changes.DeleteLoadBalancer(balancer(vips=(KNOWN,)), deleted(Kind.MEMBER, ["m9"]))


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


class TestBroughtPorts:
    BROUGHT = dataclasses.replace(SITE, vips=(vip(cidr="10.0.0.0/24", brought=True),))

    @pytest.mark.parametrize(("addresses", "cleared"), [(True, ["vip-port"]), (False, [])])
    def test_lose_their_addresses(self, addresses, cleared):
        agent = Agent()
        agent.nb.addresses["vip-port"] = addresses
        agent.created(self.BROUGHT)
        agent.look()

        assert agent.db.cleared == cleared

    def test_are_waited_for(self):
        agent = Agent()
        agent.nb.addresses["vip-port"] = None
        agent.created(self.BROUGHT)
        agent.settle()
        assert agent.octavia.messages == []

        agent.nb.addresses["vip-port"] = False
        agent.changed(("port", "vip-port"))
        agent.settle()

        agent.assert_ended(self.BROUGHT)


ANSWERS = {("lb1", "neutron-net1"): {"10.0.0.100/24"}}


class TestAVipWithoutRouter:
    """A router of ours answers for it, as long as no other leads there."""

    ISOLATED = Cloud(switches=["neutron-net1"])
    ROUTED = Cloud({"R1": {"neutron-net1": ("10.0.0.1/24",)}})

    def isolated(self):
        agent = Agent()
        agent.nb.cloud = self.ISOLATED
        agent.created(SITE)
        return agent.settle()

    def moved_to(self, agent, cloud):
        agent.nb.cloud = cloud
        before = agent.db.transactions
        agent.changed(("switch", "neutron-net1"))
        agent.settle()
        return agent.db.transactions - before

    def test_is_answered_for(self):
        agent = self.isolated()

        assert agent.db.answers == ANSWERS
        assert agent.row.switches == {"neutron-net1"}
        assert agent.row.routers == frozenset()
        assert codec.ROUTER_REF not in agent.row.external_ids
        agent.assert_ended(SITE)

    def test_is_not_when_there_is_a_router(self):
        assert agent_with().db.answers == {}

    def test_changes_hands_in_one_transaction(self):
        agent = self.isolated()

        assert self.moved_to(agent, self.ROUTED) == 1
        assert agent.db.answers == {}
        assert agent.row.routers == {"R1"}

        assert self.moved_to(agent, self.ISOLATED) == 1
        assert agent.db.answers == ANSWERS
        assert agent.row.routers == frozenset()

    def test_is_answered_for_anew_when_somebody_broke_it(self):
        agent = self.isolated()
        agent.db.answers[("lb1", "neutron-net1")] = frozenset()
        agent.queue.add("lb1")
        agent.settle()

        assert agent.db.answers == ANSWERS

    def test_is_not_when_the_load_balancer_is_being_deleted(self):
        agent = self.isolated()
        agent.asked(GONE)
        agent.look()

        assert agent.db.answers == {}
        agent.settle()
        assert agent.rows == ()

    def test_is_not_when_its_rows_are_lost(self):
        agent = self.isolated()
        for found in agent.rows:
            del agent.db[found.uuid]
        assert agent.nb.names() == {"lb1"}
        agent.queue.add("lb1")
        agent.settle()

        assert agent.db.answers == {}


class TestResync:
    def test_makes_the_rows_what_octavia_says(self):
        agent = agent_with()
        agent.octavia.trees["lb1"] = site(member(1), member(3))
        agent.asked(changes.Resync("lb1"))
        agent.settle()

        assert agent.db.vips() == {("tcp", f"{VIP}:80"): "10.0.0.1:80,10.0.0.3:80"}
        agent.assert_ended(agent.octavia.trees["lb1"])

    def test_makes_rows_that_are_lost(self):
        agent = Agent()
        agent.octavia.trees["lb1"] = SITE
        agent.asked(changes.Resync("lb1"))
        agent.settle()

        assert agent.db.vips() == VIPS
        agent.assert_ended(SITE)

    def test_changes_nothing_that_is_right(self):
        agent = agent_with()
        agent.asked(changes.Resync("lb1"))
        before = len(agent.history)
        agent.settle()

        assert agent.history[before:].count(VIPS) == len(agent.history[before:])
        agent.assert_ended(SITE)

    def test_waits_for_octavia(self):
        agent = agent_with()
        agent.octavia.error = DOWN
        agent.asked(changes.Resync("lb1"))
        agent.settle()
        assert agent.pending().resync

        agent.octavia.error = None
        agent.waits(1)

        agent.assert_ended(SITE)

    def test_of_what_octavia_does_not_know_leaves_the_rows(self):
        agent = agent_with()
        agent.octavia.trees.clear()
        agent.asked(changes.Resync("lb1"))
        agent.settle()

        assert agent.db.vips() == VIPS
        agent.assert_ended(SITE)

    def test_of_what_nobody_knows_comes_to_an_end(self):
        agent = Agent()
        agent.asked(changes.Resync("lb1"))
        agent.settle()

        assert agent.db.vips() == {}


class TestDamage:
    def damaged(self, **keys):
        agent = agent_with()
        agent.db.edit(agent.row.uuid, external_ids={**agent.row.external_ids, **keys})
        agent.queue.add("lb1")
        return agent

    def test_is_mended_from_octavia_and_interrupts_nothing(self):
        agent = self.damaged(**{"octavia:attributes_p1": "{", "pool_p1": "rubbish"})
        before = len(agent.history)
        agent.settle()

        assert set(map(str, agent.history[before:])) <= {str(VIPS)}
        assert codec.decode(agent.rows).problems == ()
        agent.assert_ended(SITE)

    def test_waits_for_octavia(self):
        agent = self.damaged(pool_p1="rubbish")
        agent.octavia.error = DOWN
        agent.settle()

        assert agent.db.vips() == VIPS

        agent.octavia.error = None
        agent.waits(1)

        agent.assert_ended(SITE)

    def test_what_octavia_does_not_know_is_realised_as_far_as_it_can_be_read(self):
        agent = self.damaged(listener_l2="rubbish")
        agent.octavia.trees.clear()
        agent.settle()

        assert agent.db.vips() == VIPS
        agent.assert_ended(SITE)

    def test_rows_without_vip_are_made_whole(self):
        agent = agent_with()
        keys = {key: each for key, each in agent.row.external_ids.items() if key != "neutron:vip"}
        agent.db.edit(agent.row.uuid, external_ids=keys)
        agent.queue.add("lb1")
        agent.settle()

        assert agent.db.vips() == VIPS
        agent.assert_ended(SITE)


def legacy(**fields):
    """A row as the existing driver writes it, with two members of which one is checked away."""
    given = {
        "external_ids": {
            "enabled": "True",
            "neutron:vip": VIP,
            "neutron:vip_port_id": "vip-port",
            "listener_l1": "80:pool_p1",
            "pool_p1": "member_m1_10.0.0.1:80_sub1,member_m2_10.0.0.2:80_sub1",
            "ls_refs": '{"neutron-net1": 3}',
            "lr_ref": "R1",
            "neutron:member_status": '{"m1": "NO_MONITOR", "m2": "NO_MONITOR"}',
        },
        "vips": {f"{VIP}:80": "10.0.0.1:80,10.0.0.2:80"},
        "selection_fields": frozenset({"ip_src", "ip_dst", "tp_src", "tp_dst"}),
        "switches": frozenset({"neutron-net1"}),
        "routers": frozenset({"R1"}),
    }
    return row(**{**given, **fields})


class TestTakingOver:
    def taken(self, *rows, port=None):
        agent = Agent(rows)
        ports = agent.nb.ports["neutron-net1"]
        ports.names = {"10.0.0.1": "port1", "10.0.0.2": "port2"}
        ports.sources = {"sub1": "10.0.0.9"}
        agent.neutron.ports["vip-port"] = port or Port(
            "vip-port", "ovn-lb-vip-lb1", "ovn-lb:vip", fixed_ips=(FixedIp(VIP, "sub1"),)
        )
        agent.queue.add("lb1")
        return agent.settle()

    def test_changes_no_vip_and_says_nothing(self):
        agent = self.taken(legacy())

        assert agent.history == [VIPS]
        assert codec.decode(agent.rows).adopted
        assert agent.row.uuid == "u1"
        assert (agent.row.switches, agent.row.routers) == ({"neutron-net1"}, {"R1"})
        assert agent.octavia.messages == []
        agent.assert_ended(SITE)

    def test_adopts_the_port(self):
        agent = self.taken(legacy())

        assert agent.neutron.ports["vip-port"].device_owner == ""
        assert agent.neutron.ports["vip-port"].device_id == "lb-lb1"
        (found,) = codec.decode(agent.rows).lb.vips
        assert found == dataclasses.replace(KNOWN, brought=False)

    def test_leaves_a_brought_port_alone(self):
        agent = self.taken(legacy(), port=Port("vip-port", "mine", "compute:nova"))

        assert agent.neutron.ports["vip-port"].device_owner == "compute:nova"
        assert codec.decode(agent.rows).lb.vips[0].brought

    def test_waits_for_neutron_and_serves(self):
        agent = Agent([legacy()])
        agent.neutron.error = DOWN
        agent.queue.add("lb1")
        agent.settle()

        assert agent.db.all() == (legacy(),)

    def test_a_port_that_is_gone_changes_nothing_either(self):
        agent = Agent([legacy()])
        agent.queue.add("lb1")
        agent.settle()

        assert agent.db.vips() == VIPS
        agent.assert_ended(SITE)

    def test_keeps_checks_and_mappings(self):
        options = {"interval": "5", "timeout": "3", "success_count": "4", "failure_count": "2"}
        ids = {"octavia:healthmonitor": "hm1", "octavia:pool_id": "p1", "octavia:vip": VIP}
        check = HealthCheck(f"{VIP}:80", options, ids, uuid="c1")
        before = legacy(
            health_checks=(check,),
            ip_port_mappings={"10.0.0.1": "port1:10.0.0.9", "10.0.0.2": "port2:10.0.0.9"},
        )
        agent = self.taken(before)

        assert agent.row.health_checks == (check,)
        assert agent.row.health_checks[0].uuid == "c1"
        assert agent.row.ip_port_mappings == before.ip_port_mappings
        assert codec.decode(agent.rows).lb.pools[0].monitor == monitor()
        agent.assert_ended(CHECKED)

    def test_of_two_rows_that_share_a_name(self):
        udp = legacy(
            uuid="u2",
            protocol="udp",
            vips={f"{VIP}:53": "10.0.0.1:53"},
            external_ids={
                **legacy().external_ids,
                "neutron:member_status": '{"m3": "NO_MONITOR"}',
                "listener_l2": "53:pool_p2",
                "pool_p2": "member_m3_10.0.0.1:53_sub1",
            },
        )
        ids = {
            key: udp.external_ids[key] for key in udp.external_ids if key[-3:] not in ("_l1", "_p1")
        }
        agent = self.taken(legacy(), dataclasses.replace(udp, external_ids=ids))

        assert agent.history == [{**VIPS, ("udp", f"{VIP}:53"): "10.0.0.1:53"}]
        assert {each.uuid for each in agent.rows} == {"u1", "u2"}
        agent.assert_ended(SITE)


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


def test_a_load_balancer_without_rows_is_nobodys():
    agent = agent_with()
    uuid = agent.row.uuid
    del agent.db[uuid]
    agent.queue.add("lb1")
    agent.settle()

    assert agent.index.of(("switch", "neutron-net1")) == frozenset()


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
