# SPDX-License-Identifier: Apache-2.0
"""Comparing and repairing for commands whose only output is the log."""

from __future__ import annotations

from collections.abc import Callable

from oslo_log import log

from octavia_ovn import wiring
from octavia_ovn.cli.output import summary
from octavia_ovn.controller.drift.compare import DriftState, Finding
from octavia_ovn.controller.drift.once import Action, Result, sync
from octavia_ovn.errors import OctaviaOvnError

LOG = log.getLogger(__name__)


def attempt(work: Callable[[], int], *, otherwise: int) -> int:
    """Run a part of a command; log the error if it raises one of :mod:`octavia_ovn.errors`.

    :param otherwise: the return value in that case
    """
    try:
        return work()
    except OctaviaOvnError as error:
        reason = error
    # oslo.log appends an error that is being handled to each line, and would say it twice.
    LOG.error("The load balancers could not be compared: %s", reason)
    return otherwise


def run(parts: wiring.Runtime, *, dry_run: bool = False) -> int:
    """Compare all load balancers, repair them, and log findings and actions.

    :param dry_run: repair nothing
    :returns: 0 when all are right or being repaired, 1 when some are not
    :raises OctaviaOvnError: when they cannot be compared
    """
    findings: list[Finding] = []
    bad = False
    for result in sync(parts.repair(), dry_run=dry_run):
        findings.append(result.finding)
        bad |= _report(result)
    LOG.info("%s", summary(findings))
    return int(bad)


def _report(result: Result) -> bool:
    """Log a result unless all is well; return whether it stays bad."""
    finding = result.finding
    if finding.state is DriftState.RIGHT:
        return False
    words = f"{finding.state.value}: {finding.detail}".rstrip(": ")
    action = f"{result.action.value} {result.reason}".rstrip()
    LOG.warning("Load balancer %s: %s (%s)", finding.lb_id, words, action)
    return result.action is not Action.RECORDED
