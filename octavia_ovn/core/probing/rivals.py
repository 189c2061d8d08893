# SPDX-License-Identifier: Apache-2.0
"""Two programs with the name and the key of one chassis: a cloned host, or a copied configuration.

A program that connects again replaces its former connection. Two would do so in turn
without end.
"""

from __future__ import annotations

import collections

_ALIVE = 4.0
"""Seconds after its last line for which a connection is taken for alive: two are sent in it."""
_MOST = 3
"""Living connections that may be displaced in the period: a program may have lost one, and only it
knows. Then the first of the rivals that is connected stays, while the others try."""
_PERIOD = 60.0


class Rivals:
    """Follows who displaces whom. Times are seconds, monotonic."""

    def __init__(self) -> None:
        self._attempts: dict[str, collections.deque[float]] = {}

    def may_displace(self, chassis: str, last_seen: float, now: float) -> bool:
        """Whether a new connection of a chassis ends the one that it has; take note of it.

        :param last_seen: when the last line arrived on that
        """
        if now - last_seen > _ALIVE:
            return True
        times = self._attempts.setdefault(chassis, collections.deque(maxlen=_MOST))
        contested = len(times) == _MOST and now - times[0] < _PERIOD
        times.append(now)
        return not contested
