# SPDX-License-Identifier: Apache-2.0
"""Each of the outside systems is away for a day, and then everything ends as if it had not been.

The day passes on a clock of the tests. What it takes is counted: attempts by a back-off that is
bounded, and memory that does not grow with the time.
"""

import contextlib
import dataclasses
import itertools
import logging
import threading

import pytest

from octavia_ovn.adapters.metrics import agent, exporter
from octavia_ovn.controller.drift.periodic import RETRY, PeriodicThread
from octavia_ovn.core.request import changes
from octavia_ovn.errors import BadConfiguration, Unanswered, Unavailable
from tests.controller.agent import Agent
from tests.controller.outside import Clock
from tests.controller.test_loop import CHECKED, SITE

DAY = 24 * 3600.0
STEP = 10.0
"""Seconds that pass at once: the longest pause of the reporter."""
RETRY_MAX = 60.0
PROBLEMS = {
    "no answer": Unanswered("no answer in time"),
    "away": Unavailable("connection refused"),
    "unforeseen": KeyError("a defect"),
}


@pytest.fixture(autouse=True)
def no_thread_dies(monkeypatch, caplog):
    """Fail when any thread ends with an exception, and keep no log of a day's attempts."""
    caplog.set_level(logging.CRITICAL)
    logging.disable(logging.CRITICAL)
    died = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    yield
    logging.disable(logging.NOTSET)
    assert died == []


class Door:
    """The way to an outside system: may be closed, and counts who comes."""

    def __init__(self):
        self.problem = None
        self.calls = 0

    def passed(self, function):
        def call(*args, **kwargs):
            if self.problem is not None:
                self.calls += 1
                raise type(self.problem)(*self.problem.args)  # whose traceback does not grow
            return function(*args, **kwargs)

        return call

    @contextlib.contextmanager
    def closed(self, problem):
        self.problem = problem
        try:
            yield
        finally:
            self.problem = None


class Bench(Agent):
    """An agent to which the outside may be closed."""

    def __init__(self):
        self.metrics = agent.Metrics()
        self.metrics.leads(is_leader=True)
        super().__init__(observer=self.metrics)
        self.controller._reconciler.reconcile = self._reconcile  # once: a day is long
        self.door = Door()

    def guard(self, part, *names):
        for name in names:
            setattr(part, name, self.door.passed(getattr(part, name)))

    def passes(self, seconds):
        """Let time pass, and do what is due."""
        self.clock.passes(seconds)
        self.turn()
        self.work()
        self.turn()

    def a_day_passes(self):
        for _ in range(int(DAY / STEP)):
            self.passes(STEP)

    def memory(self):
        """How many things are remembered, wherever they are kept in a container."""
        parts = [self.controller, self.controller._reporter, self.controller._tasks]
        parts += [
            self.controller._reported,
            self.controller.queue,
            self.controller._tasks._retries,
            self.metrics,
        ]
        return sum(
            len(value)
            for part in parts
            for value in vars(part).values()
            if isinstance(value, (dict, list, set)) or hasattr(value, "popleft")
        )


@pytest.fixture
def bench():
    return Bench()


SYSTEMS = {
    "status socket": lambda bench: bench.guard(bench.octavia, "update_status"),
    "get socket": lambda bench: bench.guard(bench.octavia, "tree", "exists", "owned", "belonging"),
    "API of Octavia": lambda bench: bench.guard(bench.octavia, "is_leaving"),
    "Neutron": lambda bench: bench.guard(bench.neutron, "_answer"),
    "Northbound database": lambda bench: bench.guard(bench.nb, "commit"),
}

# Attempts in a day; of two systems only at the beginning something is wanted.
LEAST = {
    "status socket": DAY / STEP,
    "get socket": 1,
    "API of Octavia": 1,
    "Neutron": DAY / RETRY_MAX,
    "Northbound database": DAY / RETRY_MAX,
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(("system", "least"), LEAST.items())
def test_a_day_without(bench, system, least, problem):
    bench.nb.ports["neutron-net1"].names = {"10.0.0.1": "port1"}
    names = [f"lb{number}" for number in range(1, 5)]
    bench.created(SITE, *names)
    bench.until(lambda: all(bench.ended(each) for each in names))
    SYSTEMS[system](bench)
    with bench.door.closed(PROBLEMS[problem]):
        for lb_id in names[:2]:
            bench.asked(changes.DeleteMember("p1", "m1"), lb_id)
        bench.created(CHECKED, "new1", "new2")
        for lb_id in names[2:]:
            doomed = dataclasses.replace(SITE, id=lb_id)
            bench.asked(changes.DeleteLoadBalancer(doomed, {}), lb_id)
        for _ in range(30):
            bench.passes(STEP)
        before = bench.memory()
        bench.a_day_passes()
        assert bench.memory() <= before + 20
    assert least <= bench.door.calls <= 40 * DAY / STEP

    bench.until(lambda: all(bench.ended(each) for each in [*names[:2], "new1", "new2"]))
    bench.until(lambda: not any(bench.db.of(each) for each in names[2:]))
    bench.until(lambda: bench.metrics.registry.get_sample_value("octavia_ovn_queue_length") == 0)


def test_a_day_in_which_nothing_can_be_compared():
    clock, rounds = Clock(), []

    def work(_):
        rounds.append(clock())
        problem = next(problems)
        raise type(problem)(*problem.args)

    problems = itertools.cycle(PROBLEMS.values())
    watch = PeriodicThread(work, 600.0, clock)
    watch.set_leader(is_leader=True)
    while clock() < 1000.0 + DAY:
        clock.passes(watch.left())
        watch.turn()
    pauses = {later - earlier for earlier, later in itertools.pairwise(rounds)}
    assert pauses == {RETRY}


def test_a_day_in_which_the_metrics_port_is_taken(monkeypatch):
    class Closed(threading.Event):
        """An event that lets time pass instead of waiting."""

        waited = 0.0

        def wait(self, timeout):
            self.waited += timeout
            return self.is_set()

    class Server(contextlib.nullcontext):
        """Serves once."""

        def run_once(self):
            closed.set()

    closed = Closed()

    def start(*_):
        if closed.waited < DAY:
            raise OSError(98, "Address already in use")
        return Server()

    monkeypatch.setattr(exporter, "_Server", start)
    exporter._serve(None, "127.0.0.1", 9478, "ovn", closed)
    assert closed.is_set()
    assert closed.waited == DAY


def test_a_day_without_what_the_configuration_names(bench):
    """An error that says that the configuration is wrong may be about a file that comes back."""
    bench.guard(bench.octavia, "update_status")
    with bench.door.closed(BadConfiguration("the CA cannot be read")):
        bench.created(SITE, "lb1")
        bench.a_day_passes()
    bench.until(lambda: bench.ended("lb1"))
