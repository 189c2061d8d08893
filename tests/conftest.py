"""What all tests have in common."""

import os
from pathlib import Path

import pytest

# Another OVN than the system's; where its schemas are needed, they are taken from there, too.
if prefix := os.environ.get("OVN_PREFIX"):
    os.environ["PATH"] = os.pathsep.join((f"{prefix}/bin", f"{prefix}/sbin", os.environ["PATH"]))

REAL = {"functional", "sandbox", "scenarios"}


def pytest_collection_modifyitems(config, items):
    """Let a test of real services fail only if it fails twice, and say so when it did once.

    A machine that stalls for seconds makes a time limit wrong, not the driver. The pure tests get
    no second chance.
    """
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in REAL:
            item.add_marker(pytest.mark.flaky(reruns=1))
