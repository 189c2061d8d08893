# SPDX-License-Identifier: Apache-2.0
"""Output of the commands: tables for people, JSON for programs."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from octavia_ovn.controller.drift.compare import DriftState, Finding
from octavia_ovn.controller.drift.once import Result
from octavia_ovn.core.diagnosis import codes
from octavia_ovn.core.diagnosis.findings import Code
from octavia_ovn.core.text import plain

_STYLES = {DriftState.RIGHT: "green", DriftState.UNCLEAR: "red", DriftState.UNENFORCED: "red"}
_STYLE = "yellow"
CODES: Mapping[DriftState, Code] = {
    DriftState.MISSING: codes.NO_ROWS,
    DriftState.DIFFERENT: codes.DIFFERENT,
    DriftState.STUCK: codes.STUCK,
    DriftState.ORPHANED: codes.ORPHANED,
    DriftState.VIP_LOST: codes.VIP_NOT_SERVED,
    DriftState.UNENFORCED: codes.UNENFORCED,
    DriftState.UNCLEAR: codes.NOT_COMPARED,
}
"""Problems that a comparison finds."""
_WIDE = 1000


def terminal() -> Console:
    """Return the console for tables; print each text through :func:`text`."""
    console = Console()
    # Files and pipes get whole lines, not the width of a terminal.
    return console if console.is_terminal else Console(width=_WIDE)


def text(*parts: str | tuple[str, str]) -> Text:
    """Return text to print, without markup and without terminal escapes.

    :param parts: words, or words and their style
    """
    pairs = ((each, "") if isinstance(each, str) else each for each in parts)
    return Text.assemble(*((plain(words), style) for words, style in pairs))


def progress() -> Progress:
    """Return a progress bar on the standard error, for terminals only."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def note(sentence: str) -> None:
    """Print a sentence on the standard error."""
    click.echo(plain(f"octavia-ovn: {sentence}"), err=True)


def show(results: Sequence[Result], *, everything: bool, acted: bool) -> None:
    """Print a table of findings, and a summary.

    :param everything: show load balancers that are right as well
    :param acted: whether something was done about it
    """
    console = terminal()
    shown = [each for each in results if everything or each.finding.state is not DriftState.RIGHT]
    if shown:
        console.print(_table(shown, acted=acted))
    console.print(summary(each.finding for each in results))
    if acted:
        actions = collections.Counter(each.action.value for each in shown)
        for action, count in sorted(actions.items()):
            console.print(f"  {count} {action}")


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, such as `1 pool` or `2 pools`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def code(problem: Code | None) -> str:
    """Return the name of a problem; empty if there is none."""
    return problem.name if problem else ""


def summary(findings: Iterable[Finding]) -> str:
    """Return the number of load balancers by finding, in one line."""
    counts = collections.Counter(each.state for each in findings)
    total = sum(counts.values())
    parts = [f"{counts[state]} {state.value}" for state in DriftState if counts[state]]
    return counted(total, "load balancer") + (f": {', '.join(parts)}" if parts else "")


def dump(results: Sequence[Result], *, acted: bool) -> None:
    """Print findings as one JSON object."""
    click.echo(json.dumps(to_json(results, acted=acted), indent=2))


def to_json(results: Sequence[Result], *, acted: bool) -> dict[str, Any]:
    """Return findings as :func:`dump` prints them."""
    counts = collections.Counter(each.finding.state.name.lower() for each in results)
    items = [_item(each, acted=acted) for each in results]
    return {"load_balancers": items, "summary": dict(sorted(counts.items()))}


def _table(results: Iterable[Result], *, acted: bool) -> Table:
    table = Table("Load balancer", "Finding", "Code", "Detail", *(["Action"] if acted else []))
    for column in (table.columns[0], table.columns[2]):
        column.no_wrap = True
    for each in results:
        finding = each.finding
        style = _STYLES.get(finding.state, _STYLE)
        row = [
            text(finding.lb_id),
            text((finding.state.value, style)),
            text(code(CODES.get(finding.state))),
            text(finding.detail),
        ]
        if acted:
            reason = f": {each.reason}" if each.reason and each.reason != finding.detail else ""
            row.append(text(each.action.value + reason))
        table.add_row(*row)
    return table


def _item(result: Result, *, acted: bool) -> dict[str, str]:
    finding = result.finding
    item = {
        "id": finding.lb_id,
        "finding": finding.state.name.lower(),
        "code": code(CODES.get(finding.state)),
        "detail": finding.detail,
    }
    if acted:
        item |= {"action": result.action.name.lower(), "reason": result.reason}
    return item
