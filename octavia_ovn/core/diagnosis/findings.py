# SPDX-License-Identifier: Apache-2.0
"""Findings of checks."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octavia_ovn.core.diagnosis.path import Path


class Severity(str, enum.Enum):
    """The meaning of a finding for the packet, from bad to good."""

    FAULT = "fault"
    """It does not get through."""
    UNCLEAR = "unclear"
    """It is not known whether it does."""
    WARNING = "warning"
    """It gets through, but something is wrong."""
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of problem: a line of the table in :mod:`octavia_ovn.core.diagnosis.codes`.

    :param number: its stable number; the first digit is the area
    :param title: a sentence without a full stop
    :param meaning: what it says about the load balancer, for the documentation
    :param remedy: what to do, unless a finding names the very command
    """

    number: int
    severity: Severity
    title: str
    meaning: str
    remedy: str

    @property
    def name(self) -> str:
        """What programs and pages call it, such as `OVNLB-101`."""
        return f"OVNLB-{self.number}"

    def finding(self, sentence: str, remedy: str = "") -> Finding:
        """Return a finding of this problem.

        :param sentence: what is wrong, with the names of the objects
        :param remedy: the command that helps here, if it is known
        """
        return Finding(sentence, self, remedy or self.remedy)


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence, and for a problem its code and a remedy.

    :param code: the problem; None if all is well
    :param bypassed: whether packets take another way, so that a fault stops none of them
    """

    sentence: str
    code: Code | None = None
    remedy: str = ""
    bypassed: bool = False

    @property
    def severity(self) -> Severity:
        """The severity of the problem here."""
        if self.code is None:
            return Severity.OK
        if self.bypassed and self.code.severity is Severity.FAULT:
            return Severity.WARNING
        return self.code.severity


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the table.

    :param name: stable, for programs
    :param title: for people
    :param run: yields findings; none where the check does not apply
    """

    name: str
    title: str
    run: Callable[[Path], Iterable[Finding]]


def ok(sentence: str) -> Finding:
    """Return a finding of something in order."""
    return Finding(sentence)
