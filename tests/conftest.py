"""What all tests have in common."""

from pathlib import Path

import pytest

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
