# SPDX-License-Identifier: Apache-2.0
"""What is counted of probes, for metrics."""

from __future__ import annotations

import bisect
import collections
import enum
import math

BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 3.0, 10.0, math.inf)
"""Upper bounds of durations, in seconds."""


class Ending(str, enum.Enum):
    """How a probe ends; the values are those of a label."""

    SUCCESS = "success"
    FAILURE = "failure"
    NOT_DONE = "not_done"
    """For a reason on this chassis: it says nothing about the member."""


class Counters:
    """Counts of probes since the process started."""

    def __init__(self) -> None:
        self.endings: collections.Counter[tuple[str, ...]] = collections.Counter()
        """Type and ending → number."""
        self.durations: dict[str, list[int]] = {}
        """Type → probes in each bucket of :data:`BUCKETS`."""
        self.seconds: dict[str, float] = {}
        """Type → all durations together."""
        self.delayed = 0
        """Probes that waited because their project had as many as it may have."""
        self.changes: collections.Counter[str] = collections.Counter()
        """State → how many members have come to it."""

    def count(self, kind: str, ending: Ending, seconds: float) -> None:
        """Count a probe."""
        self.endings[kind, ending.value] += 1
        if ending is not Ending.NOT_DONE:
            row = self.durations.setdefault(kind, [0] * len(BUCKETS))
            row[bisect.bisect_left(BUCKETS, seconds)] += 1
            self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds
