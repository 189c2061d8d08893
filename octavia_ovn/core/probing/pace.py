# SPDX-License-Identifier: Apache-2.0
"""When a probe runs: each at a phase of its own, so that those of a chassis are spread.

Times are seconds of a monotonic clock.
"""

from __future__ import annotations

import hashlib
import math

_SOON = 1.0
"""Seconds within which the first run of a probe comes, however long its delay is."""


def _share(probe_id: str) -> float:
    """Return a number from 0 to 1 that is spread evenly over ids."""
    digest = hashlib.sha256(probe_id.encode()).digest()
    return int.from_bytes(digest[:4], "big") / (1 << 32)


def first(probe_id: str, delay: float, now: float) -> float:
    """Return when a probe that is new runs first."""
    return now + min(delay, _SOON) * _share(probe_id)


def following(probe_id: str, delay: float, began: float, now: float) -> float:
    """Return when a probe runs next: at its phase, and half a delay after it last began at least.

    :param began: when it was due last
    """
    phase = delay * _share(probe_id)
    earliest = max(now, began + delay / 2)
    return phase + delay * math.ceil((earliest - phase) / delay)
