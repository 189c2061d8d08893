# SPDX-License-Identifier: Apache-2.0
"""What all tests have in common."""

import collections
import functools
import os

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from tests.lab import env

# Another OVN than the system's; where its schemas are needed, they are taken from there, too.
if prefix := os.environ.get("OVN_PREFIX"):
    os.environ["PATH"] = os.pathsep.join((f"{prefix}/bin", f"{prefix}/sbin", os.environ["PATH"]))

# How long an example takes says nothing while other tests run beside it.
settings.register_profile("beside", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("beside")

REAL = {"functional", "sandbox", "scenarios"}
RERUNS = int(os.environ.get("RERUNS") or 1)
SLOW = {"sandbox", "scenarios"}
SANDBOXES = 3
LONGEST = ("two_chassis", "kubernetes", "adopt", "bandwidth", "draining", "probe_results", "probes")
"""Files of minutes: one of them at the end would keep one worker busy, and the others idle."""


@pytest.hookimpl(tryfirst=True)  # before -m selects by marker
def pytest_collection_modifyitems(config, items):
    """Mark tests by their folder, and put slow ones first where several workers share them.

    A test of real services fails only if it fails twice: a machine that stalls for seconds makes
    a time limit wrong, not the driver. The others get no second chance. What was repeated is
    counted and named at the end; with RERUNS=0 in the environment nothing is.
    """
    for item in items:
        if _ring(item.nodeid) in SLOW:
            item.add_marker(pytest.mark.slow)
        if RERUNS and _ring(item.nodeid) in REAL:
            item.add_marker(pytest.mark.flaky(reruns=RERUNS))
    if hasattr(config, "workerinput"):
        items.sort(key=_priority)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """Name the tests that were repeated, and why, last, where they are seen."""
    result = yield
    repeated = collections.defaultdict(list)
    for report in terminalreporter.stats.get("rerun", ()):
        repeated[report.nodeid].append(report)
    if repeated:
        total = sum(map(len, repeated.values()))
        terminalreporter.section(f"{total} repeats of {len(repeated)} tests", yellow=True)
        for nodeid, reports in sorted(repeated.items()):
            terminalreporter.line(f"REPEATED {len(reports)} x {nodeid}")
            for report in reports:
                terminalreporter.line(f"    {report.when}: {_reason(report)}")
    return result


class Scheduler(LoadFileScheduling):
    """Gives workers (`-n`) one file after the other, in the order of the collection.

    Only the first workers get a sandbox each: the other tests keep the processor busy meanwhile.
    """

    def _assign_work_unit(self, node):
        allowed = node in self.nodes[:SANDBOXES]
        fitting = (each for each in self.workqueue if allowed or _ring(each) != "sandbox")
        if chosen := next(fitting, None):
            self.workqueue.move_to_end(chosen, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Have files scheduled as this module says."""
    config.option.loadscopereorder = False  # keep the order of the collection
    return Scheduler(config, log)


def pytest_configure(config):
    """Let workers not meet: each has network namespaces and sockets below /run of its own."""
    if hasattr(config, "workerinput") and os.geteuid() == 0:
        _isolate()


@pytest.fixture(scope="session")
def own_run_dir():
    """The sockets of octavia-driver-agent for this process alone."""
    _isolate()


@functools.cache
def _isolate():
    env.isolate_octavia_run_dir()


def _reason(report):
    """Return where and why a test failed, in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return report.longreprtext.strip().rpartition("\n")[2]
    first, *more = crash.message.splitlines()
    return f"{crash.path}:{crash.lineno}: {first}" + "".join(f" {each}" for each in more[:1])


def _priority(item):
    """Return the place of a test in the queue of the workers: a long file at the end delays all."""
    ring = _ring(item.nodeid)
    slow = item.get_closest_marker("slow") is not None
    minutes = item.path.stem.removeprefix("test_").removeprefix("dataplane_")
    place = LONGEST.index(minutes) if ring == "sandbox" and minutes in LONGEST else len(LONGEST)
    return ring != "sandbox", place, ring != "functional", ring != "scenarios", not slow


def _ring(nodeid):
    """Return the folder of a test, such as "core"."""
    return nodeid.split("/")[1]
