# SPDX-License-Identifier: Apache-2.0
"""When a probe runs: each at a phase of its own, so that those of a chassis are spread.

A project gets so many a second at most, so that no other waits for it.

Times are seconds of a monotonic clock.
"""

from __future__ import annotations

import hashlib
import math

_BURST = 1.0
"""Seconds whose probes a project may begin at once, after that long without any."""
_TIDY = 60.0
"""Seconds between two times that projects without probes are forgotten."""
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


class Budget:
    """When probes of each project may begin; what exceeds its rate waits, and nothing else does.

    :param rate: probes of a project in a second
    """

    def __init__(self, rate: int) -> None:
        self._interval = 1.0 / rate
        self._next: dict[str, float] = {}
        """Project → when its next probe could begin if none had been saved up."""
        self._tidy_at = 0.0

    def book(self, project: str, now: float) -> float:
        """Return when the next probe of a project begins, and take note that it does."""
        if now >= self._tidy_at:
            self._tidy_at = now + _TIDY
            self._next = {key: due for key, due in self._next.items() if due > now - _BURST}
        due = max(self._next.get(project, -math.inf), now - _BURST)
        self._next[project] = due + self._interval
        return max(due, now)
