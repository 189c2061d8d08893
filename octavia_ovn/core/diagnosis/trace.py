# SPDX-License-Identifier: Apache-2.0
"""Why a client can or cannot reach a listener."""

from __future__ import annotations

from dataclasses import dataclass

from octavia_ovn.core.diagnosis.checks import CHECKS
from octavia_ovn.core.diagnosis.findings import Check, Finding, Severity
from octavia_ovn.core.diagnosis.path import Path


@dataclass(frozen=True, slots=True)
class Explanation:
    """The findings about one path, in the order of the packet's way."""

    path: Path
    findings: tuple[tuple[Check, Finding], ...]

    @property
    def severity(self) -> Severity:
        """The worst finding."""
        found = {finding.severity for _, finding in self.findings}
        return next((each for each in Severity if each in found), Severity.OK)


def explain(path: Path) -> Explanation:
    """Run all checks on a path, also after the first fault: there may be several.

    What is the same of two objects, such as a router's interfaces for IPv4 and IPv6, is said once.
    """
    found = ((check, each) for check in CHECKS for each in check.run(path))
    return Explanation(path, tuple(dict.fromkeys(found)))
