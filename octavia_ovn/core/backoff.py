# SPDX-License-Identifier: Apache-2.0
"""Exponential back-off: the one place where pauses between attempts are computed."""

from __future__ import annotations

_MOST_DOUBLINGS = 30
"""More doublings would overflow a float."""


def backoff(failures: int, first: float, longest: float) -> float:
    """Return the pause before the next attempt, doubled with every failure.

    :param failures: attempts that have failed in a row before this pause, 0 for none but the last
    :param first: the pause after the first failure, in seconds
    :param longest: the longest pause, in seconds
    """
    return min(longest, first * 2.0 ** max(0, min(failures, _MOST_DOUBLINGS)))
