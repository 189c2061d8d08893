# SPDX-License-Identifier: Apache-2.0
"""When periodic tasks of a loop are due."""

from __future__ import annotations

import math


class Schedule:
    """When a periodic task is due; times are seconds of the monotonic clock.

    :param interval: 0 means never
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self.due = 0.0 if interval else math.inf

    def is_due(self, now: float) -> bool:
        """Whether it is due; if so, it is due again an interval later."""
        if now < self.due:
            return False
        self.due = now + self._interval
        return True

    def put_off(self, until: float) -> None:
        """Postpone it to that time at least."""
        self.due = max(self.due, until)
