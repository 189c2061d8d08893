# SPDX-License-Identifier: Apache-2.0
"""Work in a loop that may fail for a time: the loop continues, and the failure is logged once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from octavia_ovn.core.backoff import backoff
from octavia_ovn.errors import failure

LOG = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_MOST_REASONS = 20
"""Reasons that are logged of one failure; those of several servers may take turns."""


class Attempts:
    """Runs work, and holds what it raises.

    A failure is logged when it begins and once for each new reason, and so is its end. An
    unexpected error is logged with its traceback, and is followed by a pause.

    :param fails: the line when it fails, with `%s` for the reason
    :param works: the line when it works again
    :param first_pause: seconds without another attempt after the first foreseen failure, doubled
        with each; 0 when the caller has its own pace
    :param clock: seconds, monotonic
    """

    def __init__(
        self,
        fails: str,
        works: str,
        *,
        first_pause: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fails = fails
        self._works = works
        self._first_pause = first_pause
        self._clock = clock
        self._failures = 0
        self._reasons: set[str] = set()
        self.due = 0.0
        """When work is done again, in seconds of the clock."""
        self.defects = 0
        """How many unexpected errors there have been."""

    @property
    def failing(self) -> bool:
        """Whether the last attempt has failed."""
        return self._failures > 0

    @property
    def is_due(self) -> bool:
        """Whether the pause after a failure is over."""
        return self._clock() >= self.due

    def run(self, work: Callable[[], object]) -> bool:
        """Do work unless a pause lasts; return whether it was done."""
        if not self.is_due:
            return False
        try:
            error = failure(work)
        except Exception as defect:
            LOG.exception(self._fails, repr(defect))  # noqa: TRY401 - what %s in the line stands for
            self.defects += 1
            self._failed(_FIRST_PAUSE)
            return False
        if error is not None:
            if len(self._reasons) < _MOST_REASONS and str(error) not in self._reasons:
                self._reasons.add(str(error))
                LOG.warning(self._fails, error)
            self._failed(self._first_pause)
            return False
        if self._failures:
            LOG.info(self._works)
        self._failures = 0
        self._reasons.clear()
        return True

    def _failed(self, first: float) -> None:
        self.due = self._clock() + backoff(self._failures, first, _LONGEST_PAUSE)
        self._failures += 1
