# SPDX-License-Identifier: Apache-2.0
"""What the controller reports to an observer."""

import pytest

from octavia_ovn.controller.queue import Queue
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.request import changes
from octavia_ovn.core.rows import DeleteRow
from octavia_ovn.core.status import Operating
from octavia_ovn.errors import Refused, Unavailable
from octavia_ovn.observer import Drift, Observer, Step
from tests.controller.agent import Agent
from tests.controller.drift.databases import WEB, named
from tests.controller.drift.periods import GRACE, Port, World
from tests.controller.outside import Clock
from tests.controller.test_loop import CHECKED, SITE


class Recorder(Observer):
    """Records what it is notified of."""

    def __init__(self):
        self.ended, self.retried, self.shown, self.vanished = [], [], {}, []
        self.found, self.repaired, self.compared = [], [], []
        self.waited = {}
        self.length = self.age = None

    def follows(self, length, age):
        self.length, self.age = length, age

    def waits(self, lb_id, requests):
        self.waited.setdefault(lb_id, []).append(requests)

    def ends(self, lb_id, requests, *, failed):
        self.ended.append((lb_id, requests, failed))

    def shows(self, lb_id, statuses):
        self.shown[lb_id] = statuses

    def vanishes(self, lb_id):
        self.vanished.append(lb_id)

    def retries(self, step):
        self.retried.append(step)

    def finds(self, drift):
        self.found.append(drift)

    def repairs(self, drift):
        self.repaired.append(drift)

    def compares(self, *, succeeded):
        self.compared.append(succeeded)


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def bench(recorder):
    bench = Agent(observer=recorder)
    bench.nb.ports["neutron-net1"].names = {"10.0.0.1": "port1"}
    return bench


# --- requests


def test_a_request_is_observed_until_it_has_ended_and_its_end_once(bench, recorder):
    bench.created(SITE, "lb1")
    bench.until(lambda: bench.ended("lb1"))

    ((lb_id, requests, failed),) = recorder.ended
    assert (lb_id, len(requests), failed) == ("lb1", 1, False)
    assert recorder.waited["lb1"][0] == requests
    assert recorder.waited["lb1"][-1] == ()
    assert recorder.shown["lb1"][Kind.LOAD_BALANCER, "lb1"] is Operating.ONLINE
    assert recorder.vanished == []
    bench.settle()
    assert recorder.length() == recorder.age() == 0


def test_a_second_request_does_not_count_the_first_again(bench, recorder):
    bench.created(SITE, "lb1")
    bench.asked(changes.UpdateLoadBalancer(enabled=False), "lb1")
    bench.until(lambda: bench.ended("lb1"))

    ended = [request for _, requests, _ in recorder.ended for request in requests]
    assert len(ended) == len(set(ended)) == 2


def test_what_ends_in_error_has_failed(bench, recorder):
    bench.neutron.error = Refused("no")
    bench.created(CHECKED, "lb1")
    bench.until(lambda: recorder.ended)

    assert [failed for _, _, failed in recorder.ended] == [True]


def test_a_deletion_ends_before_the_load_balancer_vanishes(bench, recorder):
    bench.created(SITE, "lb1")
    bench.until(lambda: bench.ended("lb1"))
    bench.asked(changes.DeleteLoadBalancer(SITE, {}), "lb1")
    bench.until(lambda: not bench.db.of("lb1"))
    waited = len(recorder.waited["lb1"])
    bench.controller.enqueue("lb1")
    bench.until(lambda: recorder.vanished)

    assert len(recorder.waited["lb1"]) == waited
    assert [failed for _, _, failed in recorder.ended] == [False, False]


# --- retries


@pytest.mark.parametrize(
    ("who", "step"), [("nb", Step.RECONCILE), ("octavia", Step.REPORT), ("neutron", Step.TASK)]
)
def test_each_step_reports_its_retries(bench, recorder, who, step):
    getattr(bench, who).error = Unavailable("away")
    bench.created(CHECKED, "lb1")
    bench.until(lambda: len(recorder.retried) > 1)
    getattr(bench, who).error = None
    bench.until(lambda: bench.ended("lb1"))

    assert set(recorder.retried) == {step}
    assert [failed for _, _, failed in recorder.ended] == [False]


# --- the queue


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keys(clock):
    return Queue(clock)


def test_the_queue_is_as_old_as_what_has_waited_longest(keys, clock):
    assert keys.age() == 0

    keys.add_idle("a")
    clock.passes(2)
    keys.add("b")
    keys.add("a")
    clock.passes(1)

    assert keys.age() == 3


def test_what_is_being_done_or_has_failed_running_growing_old(keys, clock):
    keys.add("a")
    clock.passes(1)
    keys.ready(10)
    keys.retry("a")
    clock.passes(2)
    keys.ready(10)

    assert keys.age() == 3

    keys.succeeded("a")

    assert keys.age() == 0


@pytest.mark.parametrize("add", [Queue.add, Queue.add_idle])
def test_what_is_added_while_it_is_done_is_young(keys, clock, add):
    keys.add("a")
    keys.ready(10)
    clock.passes(2)
    add(keys, "a")
    keys.succeeded("a")
    clock.passes(1)

    assert keys.age() == 1


# --- drift


@pytest.fixture
def world(recorder):
    return World(recorder)


def test_what_is_repaired_was_found_first(world, recorder):
    world.octavia.has(WEB)
    assert world.round()

    assert recorder.found == recorder.repaired == [Drift.MISSING]
    assert recorder.compared == [True]


def test_an_orphan_is_found_when_it_has_been_one_for_long_enough(world, recorder):
    world.store.put(named(WEB, "lb2"))
    world.round()

    assert recorder.found == []

    world.round(after=GRACE + 1)

    assert recorder.found == recorder.repaired == [Drift.ORPHANED]


def test_a_port_that_was_left(world, recorder):
    world.ports.ports = [Port("p1", vip_of="gone")]
    world.round()
    world.round(after=GRACE + 1)

    assert recorder.found == recorder.repaired == [Drift.LEFT_PORT]


def test_what_cannot_be_compared_is_found_and_not_repaired(world, recorder):
    world.octavia.has(WEB)
    world.octavia.trees["lb1"] = Unavailable("no answer")
    world.round()

    assert recorder.found == [Drift.UNCLEAR]
    assert recorder.repaired == []


def test_a_comparison_that_fails(world, recorder):
    world.ports.fails = Unavailable("away")
    assert not world.round()

    assert recorder.compared == [False]


def test_damage(bench, recorder):
    bench.created(SITE, "lb1")
    bench.until(lambda: bench.ended("lb1"))
    (row,) = bench.db.of("lb1")
    bench.db.edit(row.uuid, external_ids={**row.external_ids, "pool_p1": "rubbish"})
    bench.controller.enqueue("lb1")
    bench.until(lambda: recorder.repaired)

    assert recorder.found == recorder.repaired == [Drift.DAMAGED]


def test_damage_that_goes_with_its_rows_was_not_repaired(bench, recorder):
    bench.created(SITE, "lb1")
    bench.until(lambda: bench.ended("lb1"))
    (row,) = bench.db.of("lb1")
    bench.octavia.error = Unavailable("away")
    bench.db.edit(row.uuid, external_ids={**row.external_ids, "pool_p1": "rubbish"})
    bench.controller.enqueue("lb1")
    bench.until(lambda: recorder.found)
    bench.db.write([DeleteRow(row) for row in bench.db.of("lb1")])
    bench.controller.enqueue("lb1")
    bench.until(lambda: recorder.vanished)

    assert recorder.repaired == []
