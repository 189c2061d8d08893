# SPDX-License-Identifier: Apache-2.0
"""Writes of the agent to `NB_Global`, each repeated later if it fails."""

from __future__ import annotations

import logging
import math

from octavia_ovn.controller.protocols import Northbound
from octavia_ovn.core.rows import Announce, Operation
from octavia_ovn.errors import failure

LOG = logging.getLogger(__name__)

_RETRY = 5.0
"""Seconds between two attempts to write."""


class GlobalRow:
    """The row; times are in seconds of a monotonic clock."""

    def __init__(self, nb: Northbound) -> None:
        self._nb = nb
        self._due = -math.inf

    def announce(self, now: float, mark: str, *, value: bool) -> None:
        """Say whether chassis do something, unless the row says it already."""
        if self._nb.announces(mark) is not value:
            self.write(now, Announce(mark, value))

    def write(self, now: float, operation: Operation) -> bool:
        """Write an operation, or try again some time later."""
        if now < self._due:
            return False
        error = failure(lambda: self._nb.commit(lambda: [operation]))
        if error is not None:
            self._due = now + _RETRY
            LOG.warning("NB_Global cannot be written: %s", error)
        return error is None
