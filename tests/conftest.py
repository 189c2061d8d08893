"""What all tests have in common."""

import os

import pytest
from xdist.scheduler import LoadFileScheduling

# Another OVN than the system's; where its schemas are needed, they are taken from there, too.
if prefix := os.environ.get("OVN_PREFIX"):
    os.environ["PATH"] = os.pathsep.join((f"{prefix}/bin", f"{prefix}/sbin", os.environ["PATH"]))

REAL = {"functional", "sandbox", "scenarios"}
SHARING = {"sandbox", "scenarios"}


def pytest_collection_modifyitems(config, items):
    """Let a test of real services fail only if it fails twice, and say so when it did once.

    A machine that stalls for seconds makes a time limit wrong, not the driver. The pure tests get
    no second chance.
    """
    for item in items:
        if _ring(item.nodeid) in REAL:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Of several workers (`-n`), let one run all tests that share a sandbox, or a laboratory."""

    class Scheduler(LoadFileScheduling):
        def _split_scope(self, nodeid):
            ring = _ring(nodeid)
            return ring if ring in SHARING else super()._split_scope(nodeid)

    return Scheduler(config, log)


def _ring(nodeid):
    """Return the folder of a test, such as "core"."""
    return nodeid.split("/")[1]
