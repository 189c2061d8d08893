# SPDX-License-Identifier: Apache-2.0
"""Traffic that a collector has counted and not delivered yet.

Traffic goes into numbered reports that never change. A report is sent again until an agent says
that Octavia has it; an agent that has seen a number before does not count it twice. So nothing is
lost while no agent listens, or when datagrams are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from octavia_ovn.core.statistics.messages import ROWS, SPAN
from octavia_ovn.core.statistics.traffic import Key, Traffic, add

Rows = Mapping[Key, Traffic]
WINDOW = 64
"""Reports that may be under way at once; more traffic waits, and is summed up, meanwhile."""


class Outbox:
    """Reports to be delivered.

    :param number: of the next report
    :param reports: unacknowledged reports, by number
    :param waiting: traffic that is in no report yet
    """

    def __init__(
        self,
        number: int = 1,
        reports: Mapping[int, Rows] | None = None,
        waiting: Rows | None = None,
    ) -> None:
        self.number = number
        self.reports = dict(reports or {})
        self.waiting = dict(waiting or {})

    def add(self, traffic: Rows) -> None:
        """Add traffic that was counted."""
        add(self.waiting, traffic)

    def fill(self) -> None:
        """Move waiting traffic into reports, as far as there is room for them."""
        keys = sorted(self.waiting)
        for start in range(0, len(keys), ROWS):
            if len(self.reports) >= WINDOW or self.number >= self.floor + SPAN:
                return
            chosen = keys[start : start + ROWS]
            self.reports[self.number] = {key: self.waiting.pop(key) for key in chosen}
            self.number += 1

    @property
    def floor(self) -> int:
        """The lowest number that an agent must still know."""
        return min(self.reports, default=self.number)

    def acknowledge(self, numbers: Iterable[int]) -> None:
        """Forget reports that Octavia has."""
        for number in numbers:
            self.reports.pop(number, None)
