"""What a check has found out."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octavia_ovn.core.diagnosis.path import Path


class Severity(str, enum.Enum):
    """What a finding means for the packet; from bad to good."""

    FAULT = "fault"
    """It does not get through."""
    UNCLEAR = "unclear"
    """That could not be found out."""
    WARNING = "warning"
    """It gets through, but something is not as it should be."""
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and for what is wrong one about what to do."""

    verdict: Severity
    sentence: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table: what is looked at, and how.

    :param name: stable, for programs
    :param title: for people
    :param look: yields findings; none where the question does not arise
    """

    name: str
    title: str
    look: Callable[[Path], Iterable[Finding]]


def ok(sentence: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Severity.OK, sentence)


def fault(sentence: str, remedy: str = "") -> Finding:
    """Return a finding of what stops the packet."""
    return Finding(Severity.FAULT, sentence, remedy)


def warning(sentence: str, remedy: str = "") -> Finding:
    """Return a finding of what is not right but stops nothing."""
    return Finding(Severity.WARNING, sentence, remedy)


def unclear(sentence: str) -> Finding:
    """Return a finding of what could not be found out."""
    return Finding(Severity.UNCLEAR, sentence)
