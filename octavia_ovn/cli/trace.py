# SPDX-License-Identifier: Apache-2.0
"""The command `octavia-ovn trace`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.table import Table

from octavia_ovn.cli import live as live_traces
from octavia_ovn.cli import output, sources
from octavia_ovn.cli.options import FAILED, RIGHT, WRONG, configured, json_option, rundir_option
from octavia_ovn.cli.output import text
from octavia_ovn.config.octavia import Settings
from octavia_ovn.core.diagnosis.findings import Severity
from octavia_ovn.core.diagnosis.live import Live
from octavia_ovn.core.diagnosis.path import NoPath, paths
from octavia_ovn.core.diagnosis.trace import Explanation, explain
from octavia_ovn.errors import NotFound

_STATUS = {
    Severity.OK: RIGHT,
    Severity.WARNING: RIGHT,
    Severity.FAULT: WRONG,
    Severity.UNCLEAR: FAILED,
}
_MARKS = {
    Severity.OK: ("✓", "green"),
    Severity.WARNING: ("!", "yellow"),
    Severity.FAULT: ("✗", "bold red"),
    Severity.UNCLEAR: ("?", "magenta"),
}
_WORDS = {
    Severity.OK: "Packets get through.",
    Severity.WARNING: "Packets get through, but there are problems.",
    Severity.FAULT: "Packets do not get through.",
    Severity.UNCLEAR: "It is not known whether packets get through.",
}

_HELP = """\
Explain why a client can or cannot reach a load balancer.

LB is an id or a name; --from names the client. The whole path is checked, from the
intent of the tenant to the security groups of the members, also after the first fault. Whether a
server answers is known only where a health monitor checks it. Nothing is changed, and no packet is
sent.

With --live, the client is a temporary port on the VIP's network, bound on the chassis where the
command runs, and packets are sent to each listener: what happens is printed beside what the trace
says. It needs root, and octavia-ovn[health]. The port is removed in any case.

\b
Exit status
  0  packets get through
  1  they do not, or with --live packets and trace disagree; each fault is named, with its code and
     what to do about it
  2  it could not be found out

\b
Examples
  octavia-ovn trace web --from 3f0c...          a Neutron port
  octavia-ovn trace web --from client-port      the same by its name
  octavia-ovn trace web --from 203.0.113.7      an address outside
  octavia-ovn trace web --live                  real packets from this chassis
"""


@click.command("trace", help=_HELP, short_help="Explain why a client can or cannot reach it.")
@click.argument("lb", metavar="LB")
@click.option(
    "--from",
    "sender",
    metavar="PORT|ADDRESS",
    help="The client: id or name of a Neutron port, or an IP address.",
)
@click.option(
    "--live", is_flag=True, help="Send packets from a temporary port on this chassis, as root."
)
@click.option(
    "--to",
    "address",
    metavar="ADDRESS",
    help="The VIP or floating IP that it sends to; by default the floating IP from outside, the"
    " VIP from elsewhere.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Only listeners on this port; by default all."
)
@click.option(
    "--count",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="With --live, how many connections or datagrams each listener gets.",
)
@rundir_option
@json_option
@configured
def trace(  # noqa: PLR0913 - the command line's options
    settings: Settings,
    lb: str,
    sender: str | None,
    address: str | None,
    port: int | None,
    count: int,
    folder: str,
    *,
    live: bool,
    as_json: bool,
) -> int:
    """Read and explain."""
    if live == bool(sender):
        raise click.UsageError("Name the client with --from, or use --live.")
    found = sources.build(settings)
    lives: Sequence[Live] = ()
    notes: Sequence[str]
    if live:
        wanted = live_traces.Wanted(address, port, count, folder)
        lives, notes = live_traces.observe(found, lb, wanted)
        explanations: Sequence[Explanation] = [each.explanation for each in lives]
    else:
        explanations, notes = _explained(found, lb, sender or "", address, port)
    if as_json:
        items = [to_json(*each) for each in _beside(explanations, lives)]
        click.echo(json.dumps(items, indent=2))
    else:
        _print(explanations, notes, lives)
    return _status(lives or explanations)


def _explained(
    found: sources.Sources, lb: str, sender: str, address: str | None, port: int | None
) -> tuple[Sequence[Explanation], Sequence[str]]:
    """Return explanations of the paths of a client, and notes."""
    snapshot, client = found.snapshot(lb, sender)
    if client is None:
        raise NotFound(f"--from: there is no port and no address {sender!r}.")
    try:
        return [explain(path) for path in paths(snapshot, client, address, port)], snapshot.notes
    except NoPath as error:
        raise NotFound(str(error)) from error


def _beside(
    explanations: Sequence[Explanation], lives: Sequence[Live]
) -> Iterator[tuple[Explanation, Live | None]]:
    """Yield each explanation with what packets show, if any were sent."""
    return itertools.zip_longest(explanations, lives)


def _status(results: Sequence[Explanation | Live]) -> int:
    """Return the exit status of the worst."""
    worst = min((each.severity for each in results), key=list(Severity).index)
    return _STATUS[worst]


def _print(
    explanations: Sequence[Explanation], notes: Sequence[str], lives: Sequence[Live] = ()
) -> None:
    console = output.terminal()
    for each, live in _beside(explanations, lives):
        path = each.path
        to = f"{path.protocol} {path.key}" if path.port else path.destination
        title = f"From {path.client.title} to {to}"
        console.print(text((title, "bold")))
        console.print(_table(each))
        mark, style = _MARKS[each.severity]
        console.print(text((f"{mark} {_WORDS[each.severity]}", style)))
        if live is not None:
            mark, style = _MARKS[live.severity]
            console.print(text((f"{mark} Live: {live.sentence}", style)))
    for note in notes:
        console.print(text((f"! {note}", "yellow")))


def _table(explanation: Explanation) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    for check, finding in explanation.findings:
        mark, style = _MARKS[finding.severity]
        good = finding.severity is Severity.OK
        sentence = text((finding.sentence, "" if good else style))
        if finding.code:
            sentence.append(f" [{finding.code.name}]", "dim")
        table.add_row(text((f"  {mark}", style)), text((check.title, "dim")), sentence)
        if finding.remedy:
            table.add_row("", "", text((f"→ {finding.remedy}", "cyan")))
    return table


def to_json(explanation: Explanation, live: Live | None = None) -> dict[str, Any]:
    """Return what `--json` prints of a path."""
    path = explanation.path
    answer: dict[str, Any] = {
        "client": path.client.title,
        "source": path.source,
        "destination": path.destination,
        "protocol": path.protocol,
        "port": path.port,
        "verdict": explanation.severity.value,
        "gets_through": explanation.severity in (Severity.OK, Severity.WARNING),
        "findings": [
            {
                "check": check.name,
                "code": output.code(finding.code),
                "verdict": finding.severity.value,
                "sentence": finding.sentence,
                "remedy": finding.remedy,
            }
            for check, finding in explanation.findings
        ],
    }
    return answer if live is None else {**answer, "live": _live_to_json(live)}


def _live_to_json(live: Live) -> dict[str, Any]:
    return {
        "severity": live.severity.value,
        "agrees": live.agrees,
        "sentence": live.sentence,
        "attempts": [
            {
                "outcome": each.outcome.value,
                "reason": each.reason,
                "milliseconds": round(each.seconds * 1000, 3),
                "member": each.member,
            }
            for each in live.attempts
        ],
    }
