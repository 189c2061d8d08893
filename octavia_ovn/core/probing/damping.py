# SPDX-License-Identifier: Apache-2.0
"""How often results may have a load balancer reconciled: a token bucket for each.

A member that is up and down in turn must cost neither the agent nor ovn-northd without bound.
"""

from __future__ import annotations

from collections.abc import Iterable

_SCAN = 0.25
"""Seconds between two examinations of who waits."""


class Damping:
    """Lets through some changes of a load balancer at once, and further ones at intervals.

    :param burst: changes that may follow each other at once
    :param interval: seconds that one more takes
    """

    def __init__(self, burst: int, interval: float) -> None:
        self._tolerance = (burst - 1) * interval
        self._interval = interval
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._full: dict[str, float] = {}
        """Load balancer → when it may have a whole burst again."""
        self._waiting: set[str] = set()
        self._scan_due = 0.0

    def admit(self, lb_ids: Iterable[str], now: float) -> set[str]:
        """Return those that may be reconciled now; the others wait.

        :param now: seconds, monotonic
        """
        found = {each for each in lb_ids if self._is_admitted(each, now)}
        if self._waiting and now >= self._scan_due:
            self._scan_due = now + _SCAN
            found |= {each for each in tuple(self._waiting) if self._is_admitted(each, now)}
            self._full = {key: each for key, each in self._full.items() if each > now}
        self._waiting -= found
        return found

    def _is_admitted(self, lb_id: str, now: float) -> bool:
        full = max(now, self._full.get(lb_id, now))
        if full - now > self._tolerance:
            self._waiting.add(lb_id)
            return False
        self._full[lb_id] = full + self._interval
        return True

    @property
    def scan_due(self) -> float | None:
        """When to ask again, in seconds, monotonic; None while none waits."""
        return self._scan_due if self._waiting else None
