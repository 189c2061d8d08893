# SPDX-License-Identifier: Apache-2.0
"""Comparing load balancers with Octavia for the commands `check`, `sync` and `bundle`."""

from __future__ import annotations

from octavia_ovn import wiring
from octavia_ovn.cli import output
from octavia_ovn.cli.selection import Selection
from octavia_ovn.controller.drift.compare import Depth
from octavia_ovn.controller.drift.once import Result, sync
from octavia_ovn.errors import NotFound, Unavailable

_NO_LOAD_BALANCER = "00000000-0000-0000-0000-000000000000"


def compare(
    parts: wiring.Runtime, selection: Selection, *, dry_run: bool, deep: bool = False
) -> list[Result]:
    """Compare, and repair unless `dry_run`, with a progress bar.

    :param deep: whether octavia-driver-agent, which forks a process for each answer, is asked for
        all load balancers; otherwise only for those whose rows differ from Octavia's lists
    :raises OctaviaOvnError: when they cannot be compared
    """
    try:
        parts.octavia.tree(_NO_LOAD_BALANCER)
    except Unavailable as error:
        msg = f"{error}. Run this command where octavia-driver-agent runs, as its user or root."
        raise Unavailable(msg) from error
    depth = Depth.TREES if deep else Depth.LISTS
    if selection.is_by_id:
        depth = Depth.STATUSES
    with output.progress() as progress:
        task = progress.add_task("Comparing", total=None)
        results = []
        for result in sync(
            parts.repair(),
            selection,
            dry_run=dry_run,
            depth=depth,
            started=lambda total: progress.update(task, total=total),
        ):
            results.append(result)
            progress.advance(task)
    if selection.unknown:
        missing = ", ".join(sorted(selection.unknown))
        raise NotFound(f"--loadbalancer: Octavia lists no load balancer {missing} of provider ovn.")
    for each in sorted(selection.empty_projects):
        sentence = "Octavia lists no load balancer of provider ovn in project"
        output.note(f"--project: {sentence} {each}; projects are named by their ids.")
    return results
