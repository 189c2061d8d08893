# SPDX-License-Identifier: Apache-2.0
"""What a comparison by the agent finds and repairs."""

import pytest

from octavia_ovn.controller.drift.periodic import (
    GraceTracker,
)
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.pending import Final
from octavia_ovn.core.request import changes, record
from octavia_ovn.errors import Unavailable
from tests.controller.drift.databases import WEB, named
from tests.controller.drift.periods import GRACE, Clock, Port, World
from tests.core.builders import balancer


@pytest.fixture
def world():
    return World()


# --- rounds


def test_nothing_to_do(world, caplog):
    world.store.put(WEB)
    world.octavia.has(WEB)
    world.ports.ports = [Port("1", vip_of="lb1")]
    before = world.store.database.all()
    assert world.round()
    assert world.round()
    assert world.store.database.all() == before
    assert world.octavia.asked == []
    assert world.ports.deleted == []
    assert caplog.text == ""


def test_missing_and_stuck_are_repaired_at_once(world, caplog):
    world.octavia.has(WEB)
    stuck = dict.fromkeys(changes.objects(named(WEB, "lb2")), Final.ACTIVE)
    world.octavia.has(named(WEB, "lb2"), "PENDING_UPDATE", stuck)
    world.round()
    assert world.store.lb() == WEB
    assert world.store.pending("lb2").objects == stuck
    assert "lb1 was missing: it has no rows; it is being repaired" in caplog.text
    assert "lb2 was stuck: PENDING_UPDATE for 1000 s" in caplog.text


def test_lost_listener_is_repaired_at_once(world):
    world.store.put(balancer([], WEB.pools))
    world.octavia.has(WEB)
    world.round()
    assert world.store.lb() == WEB


def test_orphan_is_deleted_when_it_is_one_for_long(world):
    world.store.put(WEB)
    world.round()
    assert world.store.pending() is None
    world.round(GRACE - 1)
    assert world.store.pending() is None
    world.round(1)
    assert world.store.pending().orphaned


def test_orphan_whose_creation_was_rolled_back_is_deleted(world):
    create = changes.CreateLoadBalancer(WEB)
    world.store.database.write(record.record((), create, "request"))
    world.round()
    assert not world.store.pending().orphaned
    world.round()
    assert world.store.pending().orphaned


def test_orphan_that_is_being_changed_is_kept(world):
    world.store.put(WEB)
    world.round()
    world.store.put(balancer([], WEB.pools))
    world.round()
    assert world.store.pending() is None


def test_orphan_that_octavia_knows_in_between_is_kept(world):
    world.store.put(WEB)
    world.round()
    world.octavia.has(WEB)
    world.round()
    world.octavia.listed.clear()
    world.octavia.trees.clear()
    world.round()
    assert world.store.pending() is None


def test_unused_vip_port_is_deleted_after_some_time(world):
    world.ports.ports = [Port("1", vip_of="gone"), Port("2", vip_of="lb1")]
    world.octavia.has(WEB)
    world.round()
    assert world.ports.deleted == []
    world.round()
    assert world.ports.deleted == ["1"]


def test_vip_port_of_a_load_balancer_that_is_not_listed_stays(world):
    world.ports.ports = [Port("1", vip_of="lb1")]
    world.octavia.trees["lb1"] = WEB
    world.round()
    world.round()
    assert world.ports.deleted == []


def test_vip_port_of_a_load_balancer_that_only_ovn_knows_stays(world):
    world.store.put(WEB)
    world.ports.ports = [Port("1", vip_of="lb1")]
    world.round()
    world.round()
    assert world.ports.deleted == []


def test_sources_of_checks_are_offered_for_release(world):
    world.ports.ports = [
        Port("1", source_of="subnet"),
        Port("2", probe_source_of="subnet"),
        Port("3", vip_of="lb1"),
    ]
    world.round()
    assert world.released == []
    world.round()
    assert set(world.released) == {
        Dependency(Resource.MONITORED, "subnet"),
        Dependency(Resource.PROBED, "subnet"),
    }


def test_second_source_of_a_subnet_is_deleted_after_some_time(world):
    world.ports.ports = [
        Port("2", source_of="subnet"),
        Port("1", source_of="subnet"),
        Port("3", source_of="other"),
    ]
    world.round()
    assert world.ports.deleted == []
    world.round()
    assert world.ports.deleted == ["2"]


def test_a_tenants_port_makes_no_source_of_checks_superfluous(world):
    world.ports.ports = [
        Port("1", source_of="subnet", of_service=False),
        Port("2", source_of="subnet"),
    ]
    world.round()
    world.round()
    assert world.ports.deleted == []


@pytest.mark.parametrize("what", ["load_balancers", "with_pending_children"])
def test_nothing_is_deleted_when_a_list_is_incomplete(world, caplog, what):
    def fail():
        raise Unavailable("Octavia answered 503")

    world.store.put(WEB)
    world.ports.ports = [Port("1", vip_of="gone")]
    setattr(world.octavia, what, fail)
    assert not world.round()
    assert not world.round()
    assert world.store.pending() is None
    assert world.ports.deleted == []
    assert "could not be compared: Octavia answered 503" in caplog.text


def test_neutron_that_does_not_answer_stops_nothing_else(world):
    world.octavia.has(WEB)
    world.ports.fails = Unavailable("Neutron answered 503")
    assert not world.round()
    assert world.store.lb() == WEB


def test_one_that_cannot_be_repaired_does_not_stop_the_others(world, caplog):
    world.octavia.has(WEB)
    world.octavia.has(named(WEB, "lb2"))
    world.store.fails = Unavailable("gone")
    assert world.round()
    assert "lb1: gone" in caplog.text
    assert "lb2: gone" in caplog.text


def test_what_cannot_be_compared_is_logged_once(world, caplog):
    world.octavia.has(WEB)
    world.octavia.trees["lb1"] = Unavailable("no answer")
    world.round()
    world.round()
    assert caplog.text.count("lb1 could not be compared: no answer") == 1


def test_an_agent_that_is_not_active_any_more_stops(world):
    world.octavia.has(WEB)
    world.acting = False
    assert not world.round()
    assert world.store.rows("lb1") == ()


def test_suspects_are_confirmed_the_second_time_at_the_earliest():
    clock = Clock()
    suspects = GraceTracker(clock, 0.0)
    assert suspects.confirm(["a"]) == []
    clock.sleep(1)
    assert suspects.confirm(["a", "b"]) == ["a"]
    assert suspects.confirm([]) == []
    clock.sleep(1)
    assert suspects.confirm(["a"]) == []


def test_single_load_balancers_are_repaired(world):
    world.octavia.has(WEB)
    world.octavia.has(named(WEB, "lb2"))
    assert world.rounds.compare(["lb1"], lambda: True) == frozenset()
    assert world.store.lb() == WEB
    assert world.store.rows("lb2") == ()


def test_single_load_balancers_that_are_busy_or_cannot_be_compared_are_not_known(world):
    world.octavia.has(WEB, "PENDING_UPDATE", idle=1.0)
    world.octavia.has(named(WEB, "lb2"))
    world.octavia.trees["lb2"] = Unavailable("Octavia is away")
    assert world.rounds.compare(["lb1", "lb2"], lambda: True) == {"lb1", "lb2"}
    assert world.rounds.compare(["lb1"], lambda: False) == frozenset()


def test_unenforced_restrictions_are_logged_once(world, caplog):
    world.store.put(WEB)
    world.octavia.has(WEB, security_groups=("sg1",))
    world.round()
    world.round()
    assert caplog.text.count("lb1 is less restricted than Octavia shows: vip_sg_ids (sg1)") == 1
    world.octavia.has(WEB)
    world.round()
    world.octavia.has(WEB, security_groups=("sg1",))
    world.round()
    assert caplog.text.count("is less restricted than Octavia shows") == 2
