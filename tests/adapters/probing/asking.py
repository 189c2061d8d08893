# SPDX-License-Identifier: Apache-2.0
"""Probes of members of which the result is known, for tests."""

import pytest

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.model import MonitorType
from tests.adapters.probing.members import ask

VERSIONS = pytest.mark.parametrize("version", [4, 6])


def of(kind, **changes):
    return {"type": MonitorType(kind), **changes}


def up(version, wanted, within=1.5):
    result, took = ask(version, wanted)
    assert (result.state, result.reason) == (HealthState.UP, "")
    assert took < within
    return result


def down(version, wanted, reason, within=1.5):
    result, took = ask(version, wanted)
    assert result.state is HealthState.DOWN
    assert reason in result.reason
    assert took < within
