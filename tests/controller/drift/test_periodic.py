# SPDX-License-Identifier: Apache-2.0
"""What the agent compares by itself, and when."""

import dataclasses
import threading

import pytest

from octavia_ovn.controller.drift import periodic
from octavia_ovn.controller.drift.compare import Repair
from octavia_ovn.controller.drift.periodic import (
    FIRST_DELAY,
    MANY,
    RETRY,
    SETTLE,
    DriftCheck,
    GraceTracker,
    PeriodicThread,
)
from octavia_ovn.core.pending import Final
from octavia_ovn.core.request import changes, record
from octavia_ovn.errors import Unavailable
from octavia_ovn.observer import NOBODY
from tests.controller.drift.test_compare import WEB, Octavia, Store, named
from tests.core.builders import balancer

GRACE = 300.0


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@dataclasses.dataclass(frozen=True)
class Port:
    id: str
    vip_of: str | None = None
    source_of: str | None = None
    of_service: bool = True


class Ports:
    def __init__(self):
        self.ports = []
        self.deleted = []
        self.fails = None

    def list_our_ports(self):
        if self.fails:
            raise self.fails
        return self.ports

    def delete_port(self, port_id):
        self.deleted.append(port_id)


class World:
    def __init__(self, observer=NOBODY):
        self.clock = Clock()
        self.store = Store()
        self.octavia = Octavia()
        self.ports = Ports()
        self.released = []
        self.acting = True
        repair = Repair(self.store, self.octavia, self.octavia, grace=GRACE, patience=0.0)
        self.rounds = DriftCheck(
            repair,
            self.octavia,
            self.ports,
            self.released.append,
            grace=GRACE,
            clock=self.clock,
            observer=observer,
        )

    def round(self, after=600.0):
        self.clock.sleep(after)
        return self.rounds.round(lambda: self.acting)


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


def test_missing_and_stuck_are_mended_at_once(world, caplog):
    world.octavia.has(WEB)
    stuck = dict.fromkeys(changes.objects(named(WEB, "lb2")), Final.ACTIVE)
    world.octavia.has(named(WEB, "lb2"), "PENDING_UPDATE", stuck)
    world.round()
    assert world.store.lb() == WEB
    assert world.store.pending("lb2").objects == stuck
    assert "lb1 was missing: it has no rows; it is being repaired" in caplog.text
    assert "lb2 was stuck: PENDING_UPDATE for 1000 s" in caplog.text


def test_lost_listener_is_mended_at_once(world):
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


def test_orphan_at_which_somebody_works_is_kept(world):
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


def test_unused_vip_port_goes_after_some_time(world):
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
    world.ports.ports = [Port("1", source_of="subnet")]
    world.round()
    assert world.released == []
    world.round()
    assert world.released == ["subnet"]


def test_second_source_of_a_subnet_goes_after_some_time(world):
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


def test_one_that_cannot_be_mended_does_not_stop_the_others(world, caplog):
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


def test_agent_that_does_not_act_any_more_stops(world):
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


# --- when


class Work:
    def __init__(self):
        self.succeeds = True
        self.calls = 0

    def __call__(self, running):
        self.calls += 1
        assert running()
        if isinstance(self.succeeds, Exception):
            raise self.succeeds
        return self.succeeds


@pytest.fixture
def work():
    return Work()


def test_the_first_comparison_comes_soon_after_taking_over(work):
    clock = Clock()
    timer = PeriodicThread(work, 600.0, clock)
    assert timer.left() is None
    timer.set_leader(is_leader=True)
    assert timer.left() == FIRST_DELAY
    clock.sleep(FIRST_DELAY)
    assert timer.left() == 0
    timer.turn()
    assert timer.left() == 600.0
    timer.set_leader(is_leader=False)
    assert timer.left() is None
    timer.set_leader(is_leader=True)
    assert timer.left() == FIRST_DELAY


@pytest.mark.parametrize("outcome", [False, KeyError("a bug")])
def test_a_comparison_that_failed_is_repeated_soon(work, outcome):
    clock = Clock()
    timer = PeriodicThread(work, 600.0, clock)
    timer.set_leader(is_leader=True)
    clock.sleep(FIRST_DELAY)
    work.succeeds = outcome
    timer.turn()
    assert timer.left() == RETRY


def test_taking_over_during_a_comparison(work):
    clock = Clock()
    timer = PeriodicThread(work, 600.0, clock)
    timer.set_leader(is_leader=True)
    clock.sleep(FIRST_DELAY)

    def lose_and_win(_):
        timer.set_leader(is_leader=False)
        clock.sleep(1)
        timer.set_leader(is_leader=True)
        return False

    timer._work = lose_and_win
    timer.turn()
    assert timer.left() == FIRST_DELAY


def test_zero_turns_it_off(work):
    timer = PeriodicThread(work, 0, Clock())
    timer.start()
    timer.set_leader(is_leader=True)
    assert timer.left() is None
    timer.close(1.0)


def test_the_thread(work, monkeypatch):
    monkeypatch.setattr(periodic, "FIRST_DELAY", 0.0)
    twice = threading.Event()

    def count(running):
        if work(running) and work.calls == 2:
            twice.set()
        return True

    timer = PeriodicThread(count, 0.01)
    timer.start()
    assert work.calls == 0
    timer.set_leader(is_leader=True)
    assert twice.wait(10)
    timer.close(10)
    assert not timer._leader._thread.is_alive()


# --- single load balancers


class Singles(Work):
    """What compares single load balancers; `unknown` are those to be looked at again."""

    def __init__(self):
        super().__init__()
        self.singles = []
        self.unknown = ()

    def single(self, lb_ids, running):
        assert running()
        self.singles.append(sorted(lb_ids))
        if isinstance(self.unknown, Exception):
            raise self.unknown
        return self.unknown


@pytest.fixture
def singles():
    return Singles()


@pytest.fixture
def timer(singles):
    """A watch whose first comparison is over."""
    clock = Clock()
    timer = PeriodicThread(singles, 600.0, clock, single=singles.single)
    timer.clock = clock
    timer.set_leader(is_leader=True)
    clock.sleep(FIRST_DELAY)
    timer.turn()
    assert (singles.calls, singles.singles) == (1, [])
    return timer


def passes(timer):
    """Let time pass until there is work, and do it; return how long that took."""
    left = timer.left()
    timer.clock.sleep(left)
    timer.turn()
    return left


def test_lost_load_balancers_are_compared_soon_and_alone(timer, singles):
    timer.suspect("lb1")
    timer.suspect("lb2")
    timer.suspect("lb1")
    assert passes(timer) == SETTLE
    assert (singles.calls, singles.singles) == (1, [["lb1", "lb2"]])
    assert timer.left() == 600.0 - SETTLE


def test_what_is_not_known_yet_is_asked_again(timer, singles):
    timer.suspect("lb1")
    singles.unknown = ["lb1"]
    passes(timer)
    singles.unknown = ()
    assert passes(timer) == RETRY
    assert singles.singles == [["lb1"], ["lb1"]]


def test_a_wiped_database_leads_to_one_comparison_of_all(timer, singles):
    timer.clock.sleep(RETRY)
    for number in range(MANY + 1):
        timer.suspect(f"lb{number}")
    assert passes(timer) == SETTLE
    assert (singles.calls, singles.singles) == (2, [])
    assert timer.left() == 600.0


def test_whoever_wipes_it_again_and_again_does_not_keep_octavia_busy(timer, singles):
    for _ in range(100):
        for number in range(MANY + 1):
            timer.suspect(f"lb{number}")
        timer.clock.sleep(1.0)
        if timer.left() == 0:
            timer.turn()
    assert singles.calls <= 1 + 100 / RETRY
    assert singles.singles == []


def test_one_that_fails_does_not_stop_the_watch(timer, singles):
    timer.suspect("lb1")
    singles.unknown = KeyError("a bug")
    passes(timer)
    assert timer.left() == 600.0 - SETTLE


def test_who_stands_by_compares_nothing(timer, singles):
    timer.suspect("lb1")
    timer.set_leader(is_leader=False)
    timer.suspect("lb2")
    timer.set_leader(is_leader=True)
    assert passes(timer) == FIRST_DELAY
    assert (singles.calls, singles.singles) == (2, [])


def test_suspects_of_a_watch_that_is_off(singles):
    timer = PeriodicThread(singles, 0, Clock(), single=singles.single)
    timer.set_leader(is_leader=True)
    timer.suspect("lb1")
    assert timer.left() is None


def test_single_load_balancers_are_mended(world):
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


def test_what_nobody_enforces_is_said_once(world, caplog):
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
