# SPDX-License-Identifier: Apache-2.0
"""The command `octavia-ovn trace`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from octavia_ovn.cli import output, sources
from octavia_ovn.cli.options import FAILED, RIGHT, WRONG, configured, json_option
from octavia_ovn.cli.output import text
from octavia_ovn.config.octavia import Settings
from octavia_ovn.core.diagnosis.findings import Severity
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
Explain why a client can or cannot reach a load balancer. Nothing is changed, and no packet is sent.

LB is an id or a name; --from names the client. The whole path is checked, from the
intent of the tenant to the security groups of the members, also after the first fault. Whether a
server answers is known only where a health monitor checks it.

\b
Exit status
  0  packets get through
  1  they do not; each fault is named, with its code and what to do about it
  2  it could not be found out

\b
Examples
  octavia-ovn trace web --from 3f0c...          a Neutron port
  octavia-ovn trace web --from client-port      the same by its name
  octavia-ovn trace web --from 203.0.113.7      an address outside
"""


@click.command("trace", help=_HELP, short_help="Explain why a client can or cannot reach it.")
@click.argument("lb", metavar="LB")
@click.option(
    "--from",
    "sender",
    required=True,
    metavar="PORT|ADDRESS",
    help="The client: id or name of a Neutron port, or an IP address.",
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
@json_option
@configured
def trace(  # noqa: PLR0913 - the command line's options
    settings: Settings,
    lb: str,
    sender: str,
    address: str | None,
    port: int | None,
    *,
    as_json: bool,
) -> int:
    """Read and explain."""
    snapshot, client = sources.build(settings).snapshot(lb, sender)
    if client is None:
        raise NotFound(f"--from: there is no port and no address {sender!r}.")
    try:
        explanations = [explain(path) for path in paths(snapshot, client, address, port)]
    except NoPath as error:
        raise NotFound(str(error)) from error
    if as_json:
        click.echo(json.dumps([to_json(each) for each in explanations], indent=2))
    else:
        _print(explanations, snapshot.notes)
    return _status(explanations)


def _status(explanations: Sequence[Explanation]) -> int:
    """Return the exit status of the worst."""
    worst = min((each.severity for each in explanations), key=list(Severity).index)
    return _STATUS[worst]


def _print(explanations: Sequence[Explanation], notes: Sequence[str]) -> None:
    console = output.terminal()
    for each in explanations:
        path = each.path
        title = f"From {path.client.title} to {path.protocol} {path.key}"
        console.print(text((title, "bold")))
        console.print(_table(each))
        mark, style = _MARKS[each.severity]
        console.print(text((f"{mark} {_WORDS[each.severity]}", style)))
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


def to_json(explanation: Explanation) -> dict[str, Any]:
    """Return what `--json` prints of a path."""
    path = explanation.path
    return {
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
