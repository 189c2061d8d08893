# SPDX-License-Identifier: Apache-2.0
"""Threads run again after a crash, and there is one way to run them and one way to back off."""

import ast
import logging
import pathlib
import threading

import pytest

from octavia_ovn import supervised
from octavia_ovn.adapters.metrics import agent
from octavia_ovn.core.backoff import backoff
from octavia_ovn.errors import Unavailable
from octavia_ovn.supervised import DaemonExecutor, SupervisedThread

PACKAGE = pathlib.Path(supervised.__file__).parent
PATIENCE = 10
YEAR = 365 * 24 * 3600


class Body:
    """Crashes some times, then says that it runs and waits to be ended."""

    def __init__(self, crashes):
        self.crashes = crashes
        self.runs = 0
        self.running, self.ended = threading.Event(), threading.Event()

    def __call__(self):
        self.runs += 1
        if self.runs <= self.crashes:
            raise KeyError("a defect")
        self.running.set()
        assert self.ended.wait(PATIENCE)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(supervised, "FIRST_PAUSE", 0.001)


def test_a_crash_is_logged_counted_and_followed_by_another_run(caplog):
    body, metrics = Body(crashes=3), agent.Metrics()
    thread = SupervisedThread(body, "watch", metrics)
    thread.start()
    assert body.running.wait(PATIENCE)
    body.ended.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert body.runs == 4
    assert [each.exc_info[0] for each in caplog.records] == [KeyError] * 3
    name = "octavia_ovn_thread_crashes_total"
    assert metrics.registry.get_sample_value(name, {"thread": "watch"}) == 3


def test_a_thread_that_crashes_each_time_can_be_stopped(monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(supervised, "FIRST_PAUSE", 3600.0)
    monkeypatch.setattr(supervised, "LONGEST_PAUSE", 3600.0)
    crashed = threading.Event()

    class Observer(supervised.Observer):
        def crashes(self, thread):
            crashed.set()

    thread = SupervisedThread(Body(crashes=10**9), "watch", Observer())
    thread.start()
    assert crashed.wait(PATIENCE)
    thread.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize("failures", [0, 1, 30, 1023, 1024, 10**6, YEAR])
@pytest.mark.parametrize(("first", "longest"), [(0.05, 10.0), (0.1, 60.0), (0.5, 5.0)])
def test_back_off_is_bounded_however_often_something_fails(failures, first, longest):
    assert first <= backoff(failures, first, longest) <= longest


def test_back_off_doubles():
    assert [backoff(each, 1.0, 10.0) for each in range(6)] == [1, 2, 4, 8, 10, 10]


def _syntax():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def _makes_thread(node):
    name = getattr(node, "func", None)
    return isinstance(node, ast.Call) and ast.unparse(name).split(".")[-1] in ("Thread", "Timer")


def _grows(node):
    """Whether something is raised to a power, or becomes a multiple of itself."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Pow)
    if isinstance(node, ast.AugAssign):
        return isinstance(node.op, (ast.Mult, ast.Pow))
    if not isinstance(node, ast.Assign):
        return False
    target = ast.unparse(node.targets[0])
    products = [
        each
        for each in ast.walk(node.value)
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mult)
    ]
    return any(target in (ast.unparse(each.left), ast.unparse(each.right)) for each in products)


def _places(found):
    return [name for name, tree in _syntax() for node in ast.walk(tree) if found(node)]


def test_tasks_run_beside_each_other():
    executor, both = DaemonExecutor("task"), threading.Barrier(2)
    tasks = [executor.submit(both.wait, PATIENCE) for _ in range(2)]
    assert sorted(each.result(PATIENCE) for each in tasks) == [0, 1]


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, GeneratorExit])
def test_a_task_that_fails_has_its_error(error):
    def fail():
        raise error

    with pytest.raises(error):
        DaemonExecutor("task").submit(fail).result(PATIENCE)


def test_a_task_for_which_there_is_no_thread_fails(monkeypatch):
    def start(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(Unavailable, match="can't start new thread"):
        DaemonExecutor("task").submit(print).result(PATIENCE)


def test_every_thread_is_supervised():
    assert _places(_makes_thread) == ["supervised.py"]


def test_back_off_is_computed_in_one_place():
    # The core's rules for access compute the number of addresses of a network.
    assert sorted(_places(_grows)) == ["core/backoff.py", "core/desired/denial.py"]


@pytest.mark.parametrize("again", ["pause = min(2 * pause, 1)", "delay *= 2", "x = 0.1 * 2**n"])
def test_another_back_off_would_be_found(again):
    assert any(_grows(node) for node in ast.walk(ast.parse(again)))
