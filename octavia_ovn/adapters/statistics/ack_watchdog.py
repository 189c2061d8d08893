# SPDX-License-Identifier: Apache-2.0
"""Whether agents acknowledge a collector's reports."""

from __future__ import annotations

import logging

from octavia_ovn.config.statistics import SECTION

LOG = logging.getLogger(__name__)

_PATIENCE = 60.0
"""Seconds without an acknowledgement until a warning; a change of the active agent takes less."""


class AckWatchdog:
    """Warns when no agent acknowledges reports; no error shows it, since nothing is lost."""

    def __init__(self) -> None:
        self._since: float | None = None
        self.overdue = False
        """Whether acknowledgements have been missing so long that a warning was logged."""

    def acknowledged(self) -> None:
        """Record an acknowledgement."""
        self._since = None
        if self.overdue:
            LOG.info("An agent acknowledges reports again")
        self.overdue = False

    def waiting(self, now: float, chassis: str) -> None:
        """Record that reports wait for an acknowledgement; log a warning when it is overdue.

        :param now: seconds of the monotonic clock
        """
        if self._since is None:
            self._since = now
        elif now - self._since > _PATIENCE and not self.overdue:
            self.overdue = True
            LOG.warning(
                "No agent has acknowledged reports for %d s. They are kept. Is an agent active, is"
                " [%s] key that of chassis %s, and does UDP pass to and from the agent's port?",
                now - self._since,
                SECTION,
                chassis,
            )
