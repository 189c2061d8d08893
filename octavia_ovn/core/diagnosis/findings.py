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
class Finding:
    """A sentence, and for a problem a remedy."""

    severity: Severity
    sentence: str
    remedy: str = ""


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
    return Finding(Severity.OK, sentence)


def fault(sentence: str, remedy: str = "") -> Finding:
    """Return a finding of something that stops the packet."""
    return Finding(Severity.FAULT, sentence, remedy)


def warning(sentence: str, remedy: str = "") -> Finding:
    """Return a finding of a problem that does not stop the packet."""
    return Finding(Severity.WARNING, sentence, remedy)


def unclear(sentence: str) -> Finding:
    """Return a finding of something that is not known."""
    return Finding(Severity.UNCLEAR, sentence)
