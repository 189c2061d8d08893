# SPDX-License-Identifier: Apache-2.0
"""What is wrong with chassis that say nothing."""

from __future__ import annotations

import enum
from collections.abc import Collection


class Condition(enum.Enum):
    """What is wrong with a chassis."""

    SILENT = "silent"
    """Its program has not been connected for so long that its results are out of date."""
    DEAD = "dead"
    """The hypervisor does not answer."""


def joint(found: Collection[Condition | None]) -> Condition | None:
    """Return what is wrong with a member, given what is wrong with each chassis that it is on.

    :param found: None for a chassis that is well
    """
    if not found or None in found:
        return None
    return Condition.SILENT if Condition.SILENT in found else Condition.DEAD
