# SPDX-License-Identifier: Apache-2.0
"""First checks of members that serve already, and the time that these have.

Without them a new monitor would have the first member that is ONLINE serve alone.
"""

from __future__ import annotations

from octavia_ovn.core.probing.spec import Probe

_SETTING_UP = 30.0
"""Seconds for what precedes the first probe: the port that it comes from, a namespace, flows."""


def time_limit(probe: Probe) -> float:
    """Return the seconds in which a probe must have its first result."""
    return probe.delay * max(probe.rise, probe.fall) + probe.timeout + _SETTING_UP


class FirstChecks:
    """Members that serve until their check has a first result, or the time is over.

    It needs no clock: the time of a member begins when it is first examined.
    """

    def __init__(self) -> None:
        self._limits: dict[str, float] = {}
        self._ends: dict[str, float] = {}

    def begin(self, member_id: str, probe: Probe) -> None:
        """Begin, or begin again."""
        self._limits[member_id] = time_limit(probe)
        self._ends.pop(member_id, None)

    def end(self, member_id: str) -> None:
        """End, if it is one of them."""
        self._limits.pop(member_id, None)
        self._ends.pop(member_id, None)

    def __contains__(self, member_id: str) -> bool:
        return member_id in self._limits

    def over(self, now: float) -> list[str]:
        """Take out the members whose time is over.

        :param now: seconds, monotonic
        """
        for member_id, limit in self._limits.items():
            self._ends.setdefault(member_id, now + limit)
        found = [member_id for member_id, end in self._ends.items() if now >= end]
        for member_id in found:
            self.end(member_id)
        return found
