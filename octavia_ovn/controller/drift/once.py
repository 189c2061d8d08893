# SPDX-License-Identifier: Apache-2.0
"""Compares and repairs once, for the commands."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from octavia_ovn.controller.drift.compare import Depth, DriftState, Finding, Repair
from octavia_ovn.core.listed import Listed
from octavia_ovn.errors import OctaviaOvnError


class Action(str, enum.Enum):
    """What has been done about a finding."""

    NOTHING = "nothing to do"
    RECORDED = "being repaired"
    CHANGED = "changed meanwhile"
    LEFT = "left to the agent"
    OWNER = "left to its owner"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """A finding and what has been done about it.

    :param reason: why it failed
    """

    finding: Finding
    action: Action
    reason: str = ""


def sync(
    repair: Repair,
    wanted: Callable[[Listed], bool] = lambda _: True,
    *,
    dry_run: bool = False,
    depth: Depth = Depth.TREES,
    started: Callable[[int], object] = lambda _: None,
) -> Iterator[Result]:
    """Compare load balancers and record their repairs; the agent does the rest.

    :param wanted: selects load balancers
    :param dry_run: record nothing
    :param started: called with the number of results to come
    :raises OctaviaOvnError: when Octavia or the database cannot be listed
    """
    for finding in repair.compare(wanted, depth=depth, started=started):
        yield Result(finding, Action.NOTHING) if dry_run else _repair(repair, finding)


def _repair(repair: Repair, finding: Finding) -> Result:
    if finding.state is DriftState.UNCLEAR:
        return Result(finding, Action.FAILED, finding.detail)
    if finding.state is DriftState.UNENFORCED:
        return Result(finding, Action.OWNER)
    if finding.change is None:
        return Result(finding, Action.NOTHING)
    if finding.state is DriftState.ORPHANED and finding.pending:
        # Its creation may be about to be committed. The agent compares again later.
        return Result(finding, Action.LEFT)
    try:
        recorded = repair.repair(finding)
    except OctaviaOvnError as error:
        return Result(finding, Action.FAILED, str(error))
    return Result(finding, Action.RECORDED if recorded else Action.CHANGED)
