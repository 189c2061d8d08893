# SPDX-License-Identifier: Apache-2.0
"""Probes for tests."""

from __future__ import annotations

from typing import Any

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing.spec import Probe, Source

UP, DOWN, UNKNOWN, UNCHECKED = (
    HealthState.UP,
    HealthState.DOWN,
    HealthState.UNKNOWN,
    HealthState.UNCHECKED,
)
SOURCE = Source("a3a4c9a2-1111-4222-8333-444444444444", "fa:16:3e:00:00:07", "10.0.0.7/24")


def probe(**changes: Any) -> Probe:
    values: dict[str, Any] = {
        "id": "member-1",
        "source": SOURCE,
        "address": "10.0.0.20",
        "port": 80,
        "type": MonitorType.HTTP,
        "delay": 5,
        "timeout": 3,
        "rise": 2,
        "fall": 3,
    }
    return Probe(**{**values, **changes})
