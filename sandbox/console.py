# SPDX-License-Identifier: Apache-2.0
"""What the user sees while the sandbox works."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Console:
    """Prints progress, one line a step, with the seconds since the start and since the last."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, by default standard error: standard output is for results."""
        self._stream = stream or sys.stderr
        self._start = self._last = time.monotonic()

    def done(self, what: str) -> None:
        """Say that a step has ended."""
        now = time.monotonic()
        self.say(f"{now - self._start:6.1f}s  {what}  (+{now - self._last:.1f}s)")
        self._last = now

    def say(self, text: str) -> None:
        """Print a line as it is."""
        print(text, file=self._stream, flush=True)

    @property
    def elapsed(self) -> float:
        """Seconds since this console was made."""
        return time.monotonic() - self._start
