# SPDX-License-Identifier: Apache-2.0
"""The loop: one transaction for many load balancers, and no failure of one is another's."""

import dataclasses

import pytest

from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.desired.load_balancer import deleting
from octavia_ovn.core.diff import diff
from octavia_ovn.core.request import changes, record
from octavia_ovn.core.rows import DeleteRow
from octavia_ovn.errors import Refused, Unavailable
from octavia_ovn.observer import SILENT
from tests.controller.agent import Agent
from tests.controller.outside import SERVICE, member_fip
from tests.core.builders import VIP, balancer, listener, member, monitor, pool, vip

SITE = balancer(
    [listener()], [pool(members=[member(1)])], vips=(vip(cidr="10.0.0.0/24", user_port=False),)
)
CHECKED = dataclasses.replace(SITE, pools=(pool(members=[member(1)], monitor=monitor()),))


@pytest.fixture
def bench():
    return Agent()


def test_many_in_one_transaction(bench):
    names = [f"lb{number}" for number in range(1, 20)]
    bench.created(SITE, *names)
    before = bench.db.transactions
    bench.controller.turn()

    assert bench.db.transactions == before + 1
    assert all(bench.db.vips(each) for each in names)

    for each in names:
        bench.controller.enqueue(each)
    bench.until(lambda: all(map(bench.octavia.provisioning.get, names)))


def test_rests_when_all_is_done(bench):
    bench.created(SITE, "lb1")
    bench.until(lambda: "lb1" in bench.octavia.provisioning)
    bench.controller.enqueue("lb1")
    bench.until(lambda: bench.ended("lb1"))
    bench.until(lambda: bench.controller.turn() is None)


def test_ports_are_followed_as_long_as_they_are_needed(bench):
    open_to_all = {"lb1": listener("l1"), "lb2": listener("l2")}
    for lb_id, each in open_to_all.items():
        restricted = dataclasses.replace(each, allowed_cidrs=("10.0.0.0/8",))
        bench.created(dataclasses.replace(SITE, listeners=(restricted,)), lb_id)
        bench.until(lambda lb_id=lb_id: bench.ended(lb_id))

    bench.asked(changes.PutListener(open_to_all["lb1"]), "lb1")
    bench.until(lambda: bench.ended("lb1"))
    assert not bench.nb.forgotten

    bench.asked(changes.PutListener(open_to_all["lb2"]), "lb2")
    bench.until(lambda: bench.ended("lb2"))
    assert bench.nb.forgotten == {"R1-neutron-net1"}


def test_a_database_that_is_away_is_tried_again(bench):
    bench.nb.error = Unavailable("no leader")
    bench.created(SITE, "lb1", "lb2")
    bench.controller.turn()

    assert bench.db.vips() == {}
    assert bench.octavia.messages == []

    bench.nb.error = None
    bench.until(lambda: bench.octavia.provisioning.keys() >= {"lb1", "lb2"})

    assert bench.db.vips("lb1") == bench.db.vips("lb2") != {}


def test_what_the_database_refuses_does_not_hold_up_others(bench):
    commit = bench.nb.commit

    def refuses_lb2(plan):
        operations = tuple(plan())
        (row,) = bench.db.of("lb2")
        if any(each.uuid == row.uuid for each in operations):
            raise Refused("constraint violation")
        return commit(lambda: operations)

    bench.nb.commit = refuses_lb2
    bench.created(SITE, "lb1", "lb2", "lb3")
    bench.until(lambda: bench.octavia.provisioning.keys() >= {"lb1", "lb3"})

    assert "lb2" not in bench.octavia.provisioning
    assert bench.controller.turn() is not None


def test_a_load_balancer_that_cannot_be_reconciled_does_not_delay_others():
    bench = Agent(observer=SILENT)
    rows = bench.nb.rows

    def rows_of(lb_id):
        if lb_id == "lb2":
            raise RuntimeError("bug")
        return rows(lb_id)

    bench.created(SITE, "lb1", "lb2")
    bench.nb.rows = rows_of
    bench.until(lambda: "lb1" in bench.octavia.provisioning)

    bench.nb.rows = rows
    bench.until(lambda: "lb2" in bench.octavia.provisioning)


def test_reconciles_those_that_depend_on_what_has_changed(bench):
    bench.created(SITE, "lb1")
    bench.until(lambda: bench.db.vips("lb1"))
    bench.nb.cloud = type(bench.nb.cloud)({"R2": {"neutron-net1": ("10.0.0.1/24",)}})
    bench.controller.changed(("router", "R1"))
    bench.controller.turn()

    (found,) = bench.db.of("lb1")
    assert found.routers == {"R2"}


def test_reconciles_all(bench):
    bench.db.write(record.record((), changes.CreateLoadBalancer(SITE), "r1"))
    bench.controller.turn()
    assert bench.db.vips() == {}

    bench.controller.enqueue_all()
    bench.controller.turn()

    assert bench.db.vips() == {("tcp", f"{VIP}:80"): "10.0.0.1:80"}


class TestGivingBack:
    @pytest.fixture
    def checked(self, bench):
        bench.nb.ports["neutron-net1"].names = {"10.0.0.1": "port1"}
        bench.created(CHECKED, "lb1", "lb2")
        bench.until(lambda: bench.octavia.provisioning.keys() >= {"lb1", "lb2"})
        return bench

    def without_monitor(self, bench, *lb_ids):
        for each in lb_ids:
            bench.asked(changes.DeleteMonitor("p1", "hm1"), each)
        bench.controller.turn()

    def test_the_address_of_checks_that_is_not_needed(self, checked):
        self.without_monitor(checked, "lb1")
        checked.executor.run()
        assert "ovn-lb-hm-sub1" in checked.neutron.ports

        self.without_monitor(checked, "lb2")
        checked.until(lambda: "ovn-lb-hm-sub1" not in checked.neutron.ports)

    def test_not_before_all_have_been_reconciled(self, checked):
        checked.controller.enqueue_all()
        self.without_monitor(checked, "lb1")
        checked.executor.run()

        assert "ovn-lb-hm-sub1" in checked.neutron.ports

    def test_not_what_is_still_needed(self, checked):
        checked.controller.release_source(Dependency(Resource.MONITORED, "sub1"))
        checked.controller.turn()
        checked.executor.run()

        assert "ovn-lb-hm-sub1" in checked.neutron.ports

    def test_not_what_a_comparison_of_a_former_term_has_found_unused(self, bench):
        """Another agent has acted meanwhile, and a load balancer has come that needs it."""
        bench.controller.enqueue_all()
        bench.controller.release_source(Dependency(Resource.MONITORED, "sub1"))
        bench.nb.ports["neutron-net1"].names = {"10.0.0.1": "port1"}
        bench.nb.ports["neutron-net1"].sources = {"sub1": "10.0.0.9"}
        bench.neutron.make_hm_port("sub1", "net1", SERVICE)
        bench.created(CHECKED, "lb1")
        bench.controller.enqueue_all()
        bench.until(lambda: bench.ended("lb1"))

        assert "ovn-lb-hm-sub1" in bench.neutron.ports

    def test_not_when_another_agent_acts_before_it_could_be_done(self, checked):
        """Neutron was away; the other agent has made a load balancer that needs the address."""
        checked.neutron.error = Unavailable("503")
        self.without_monitor(checked, "lb1", "lb2")
        checked.executor.run()
        checked.controller.stand_by()
        checked.neutron.error = None
        checked.created(CHECKED, "lb3")
        checked.controller.enqueue_all()
        checked.until(lambda: checked.ended("lb3"))
        checked.waits(60)  # the longest back-off

        assert "ovn-lb-hm-sub1" in checked.neutron.ports

    def test_not_before_its_port_is_made(self, bench):
        """The monitor goes while Neutron is still making the port: that goes too, later."""
        bench.nb.ports["neutron-net1"].names = {"10.0.0.1": "port1"}
        bench.created(CHECKED, "lb1")
        make = bench.neutron.make_hm_port

        def slowly(*args):
            made = make(*args)
            bench.asked(changes.DeleteMonitor("p1", "hm1"), "lb1")
            bench.controller.turn()
            return made

        bench.neutron.make_hm_port = slowly
        bench.until(lambda: bench.ended("lb1"))
        bench.until(lambda: bench.neutron.ports == {})
        bench.neutron.make_hm_port = make

        bench.created(CHECKED, "lb2")
        bench.until(lambda: bench.ended("lb2"))
        assert "ovn-lb-hm-sub1" in bench.neutron.ports

    @pytest.fixture
    def heir(self, checked):
        """An agent that takes over when the deletion of what it has never seen is asked for."""
        checked.nb.member_fips["10.0.0.1"] = [member_fip("fip1", "R1", distributed=False)]
        heir = checked.successor()
        for lb_id in ("lb1", "lb2"):
            heir.asked(
                changes.DeleteLoadBalancer(dataclasses.replace(CHECKED, id=lb_id), {}), lb_id
            )
        return heir

    def test_what_a_load_balancer_has_used_that_this_agent_never_saw(self, heir):
        heir.controller.enqueue_all()
        heir.until(lambda: not heir.db.of("lb1") and not heir.db.of("lb2"))

        assert heir.neutron.touched == ["fip1"]
        assert heir.neutron.ports == {}

    def test_what_a_load_balancer_has_used_that_serves_no_more(self, heir):
        """The agent before this one died in the middle."""
        for lb_id in ("lb1", "lb2"):
            rows = heir.db.of(lb_id)
            heir.db.write(diff(rows, deleting(rows)))
        heir.controller.enqueue_all()
        heir.until(lambda: not heir.db.of("lb1") and not heir.db.of("lb2"))

        assert heir.neutron.touched[0] == "fip1"
        assert heir.neutron.ports == {}

    def test_what_a_dead_agent_has_left(self, bench):
        bench.neutron.make_hm_port("sub1", "net1", None)
        bench.controller.release_source(Dependency(Resource.MONITORED, "sub1"))
        bench.until(lambda: bench.neutron.ports == {})

    def test_a_members_floating_ip(self, bench):
        bench.nb.member_fips["10.0.0.1"] = [member_fip("fip1", "R1", distributed=False)]
        bench.created(SITE, "lb1")
        bench.until(lambda: bench.octavia.provisioning.keys() >= {"lb1"})
        bench.asked(changes.DeleteMember("p1", "m1"), "lb1")

        bench.until(lambda: bench.neutron.touched == ["fip1"])


def test_what_has_gone_while_another_agent_acted_is_needed_no_more(bench):
    bench.created(SITE, "lb1")
    bench.until(lambda: bench.ended("lb1"))
    assert not bench.nb.forgotten

    bench.db.write(tuple(DeleteRow(row) for row in bench.db.of("lb1")))
    bench.controller.enqueue_all()

    bench.until(lambda: "neutron-net1" in bench.nb.forgotten)
