# SPDX-License-Identifier: Apache-2.0
"""How often results may have load balancers reconciled: a token bucket for each, and one for all.

Members that are up and down in turn must cost neither the agent nor ovn-northd without bound, and
must not keep others waiting that change seldom.
"""

from __future__ import annotations

from collections.abc import Iterable

_KEPT = 1_024
"""Load balancers of which more than necessary is kept for a while."""
_SCAN = 1.0
"""Seconds between two examinations of those that wait, so that one transaction takes them all."""


class Damping:
    """Lets through some changes of a load balancer at once; further ones wait.

    :param burst: changes that may follow each other at once
    :param interval: seconds until one more may
    :param extra: load balancers that wait and are let through before that, the oldest first, in
        each second
    """

    def __init__(self, burst: int, interval: float, extra: int = 0) -> None:
        self._tolerance = (burst - 1) * interval
        self._interval = interval
        self._extra = extra
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._full: dict[str, float] = {}
        """Load balancer → when it may have a whole burst again."""
        self._most = _KEPT
        """How many of them may be kept until those that are over are taken out."""
        self._waiting: dict[str, None] = {}
        """In the order in which they came."""
        self._scan_due = 0.0

    def admit(self, lb_ids: Iterable[str], now: float) -> set[str]:
        """Return those that may be reconciled now; the others wait.

        :param now: seconds, monotonic
        """
        asking = set(lb_ids)
        found = {each for each in asking if self._is_admitted(each, now)}
        self._waiting |= dict.fromkeys(sorted(asking - found))
        if self._waiting and now >= self._scan_due:
            self._scan_due = now + _SCAN
            found |= {each for each in self._waiting if self._is_admitted(each, now)}
            rest = [each for each in self._waiting if each not in found]
            found.update(rest[: self._extra])
            self._prune(now)
        for each in found:
            self._waiting.pop(each, None)
        if len(self._full) > self._most:
            self._prune(now)
            self._most = max(_KEPT, 2 * len(self._full))
        return found

    def _prune(self, now: float) -> None:
        self._full = {key: each for key, each in self._full.items() if each > now}

    def _is_admitted(self, lb_id: str, now: float) -> bool:
        full = max(now, self._full.get(lb_id, now))
        if full - now > self._tolerance:
            return False
        self._full[lb_id] = full + self._interval
        return True

    @property
    def scan_due(self) -> float | None:
        """When to ask again, in seconds, monotonic; None while none waits."""
        return self._scan_due if self._waiting else None
