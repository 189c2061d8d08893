# SPDX-License-Identifier: Apache-2.0
"""Parts that tests of registries share."""

from __future__ import annotations

import pytest

from octavia_ovn.core.probing.registry import Registry
from tests.core.probing.plans import connected, told, want, wanted


@pytest.fixture
def registry() -> Registry:
    """Two members on a chassis that is connected and has been told."""
    found = Registry()
    found.locate("port1", "a")
    found.locate("port2", "a")
    want(found, "lb1", wanted(1, 2), {})
    found.settle()
    connected(found, "a")
    assert told(found) == {"a": (["m1", "m2"], [])}
    return found
