# SPDX-License-Identifier: Apache-2.0
"""Waiting for what others do in their own time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE = 0.1


def until(condition: Callable[[], object], *, seconds: float = 20.0) -> float:
    """Wait until something holds; return how many seconds that took."""
    began = time.monotonic()
    while not condition():
        elapsed = time.monotonic() - began
        assert elapsed < seconds, "it has not come true in time"
        time.sleep(_PAUSE)
    return time.monotonic() - began
