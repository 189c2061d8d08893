# SPDX-License-Identifier: Apache-2.0
"""The command `octavia-ovn show`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table

from octavia_ovn.cli import output, picture, sources
from octavia_ovn.cli.options import RIGHT, WRONG, configured, json_option
from octavia_ovn.cli.output import text
from octavia_ovn.config.octavia import Settings
from octavia_ovn.core.diagnosis.overview import overview
from octavia_ovn.core.diagnosis.shown import Node, Overview, Place, State
from octavia_ovn.core.pending import Kind
from octavia_ovn.errors import BadConfiguration, Refused

STYLES = {State.GOOD: "green", State.BAD: "bold red", State.OFF: "dim", State.ATTENTION: "yellow"}
_DIFFERENT = "bold red"
_KINDS = {
    Kind.LOAD_BALANCER: "load balancer",
    Kind.LISTENER: "listener",
    Kind.POOL: "pool",
    Kind.HEALTH_MONITOR: "health monitor",
    Kind.MEMBER: "member",
    Kind.L7POLICY: "L7 policy",
    Kind.L7RULE: "L7 rule",
}

_HELP = """\
Show a load balancer: its listeners, pools and members, its attachments, and the status in Octavia
beside the state in OVN. Nothing is changed.

LB is an id or a name.

\b
Exit status
  0  all is well
  1  Octavia and the rows differ, or a part is down or not attached
  2  it could not be found out

\b
Examples
  octavia-ovn show web
  octavia-ovn show 1c5b... --json
  octavia-ovn show web --svg web.svg --html web.html
"""


@click.command("show", help=_HELP, short_help="Show one load balancer with its network.")
@click.argument("lb", metavar="LB")
@json_option
@click.option("--svg", type=click.Path(dir_okay=False), help="Draw it into this file as well.")
@click.option("--html", type=click.Path(dir_okay=False), help="Write a page with the picture.")
@configured
def show(settings: Settings, lb: str, svg: str | None, html: str | None, *, as_json: bool) -> int:
    """Read and show."""
    snapshot, _ = sources.build(settings).snapshot(lb)
    found = overview(snapshot)
    if found is None:
        raise Refused(f"{lb}: its rows do not say what it is ({'; '.join(snapshot.problems)}).")
    for path, draw, option in ((svg, picture.svg, "--svg"), (html, picture.html, "--html")):
        if path is not None:
            _write(path, draw(found), option)
    if as_json:
        click.echo(json.dumps(to_json(found), indent=2))
    else:
        output.terminal().print(_page(found))
    return RIGHT if found.is_right else WRONG


def _write(path: str, text: str, option: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadConfiguration(f"{option}: {path} cannot be written: {error}") from error


# --- for people


def _page(found: Overview) -> RenderableType:
    parts: list[RenderableType] = [_tree(found), _addresses(found), _places(found)]
    parts += [text((f"! {note}", "yellow")) for note in found.notes]
    return Group(*parts)


def _tree(found: Overview) -> Table:
    table = _table("Object", "What", "Octavia", "OVN")
    table.columns[0].no_wrap = True
    for prefix, below, node in _lines(found.root):
        title = text(prefix, (_KINDS[node.kind], "dim"), " ", (node.name or node.id, "bold"))
        mark = {State.GOOD: "● ", State.BAD: "✗ ", State.OFF: "○ ", State.ATTENTION: "! "}[
            node.state
        ]
        ovn = text((mark + node.ovn, STYLES[node.state]))
        bad = node.octavia.startswith("ERROR") or node.octavia.endswith("ERROR")
        octavia = text((node.octavia or "not known", "red" if bad else ""))
        table.add_row(title, text(node.details), octavia, ovn)
        for each in node.differences:
            table.add_row(text(below), "", text((f"≠ {each}", _DIFFERENT)), "")
    return table


def _lines(node: Node, prefix: str = "", below: str = "") -> Iterator[tuple[str, str, Node]]:
    """Yield nodes with the strokes before them, and those that lead on to the next line."""
    yield prefix, below + ("│ " if node.children else ""), node
    for each in node.children:
        last = each is node.children[-1]
        yield from _lines(each, below + ("└ " if last else "├ "), below + ("  " if last else "│ "))


def _addresses(found: Overview) -> Table:
    table = _table("VIP", "Floating IP", "Network", "Port")
    for each in found.addresses:
        table.add_row(
            text((each.address, "bold")),
            text(each.floating_ip or "none"),
            text(f"{each.network} ({each.switch})"),
            text(each.port),
        )
    return table


def _places(found: Overview) -> Table:
    table = _table("Attached to", "Row", "For", "")
    for each in found.places:
        kind = "router" if each.table == "Logical_Router" else "network"
        name = text((kind, "dim"), " ", (each.label, "bold"))
        table.add_row(name, text(each.name), text(each.purpose), text(_attachment(each)))
    return table


def _attachment(place: Place) -> tuple[str, str]:
    return {
        (True, True): ("● attached", "green"),
        (True, False): ("✗ attached, but should not be", _DIFFERENT),
        (False, True): ("✗ not attached", _DIFFERENT),
        (False, False): ("○ not attached, as it should be", "dim"),
    }[place.attached, place.wanted]


def _table(*titles: str) -> Table:
    return Table(*titles, box=None, padding=(0, 2, 0, 0), header_style="underline")


# --- for programs


def to_json(found: Overview) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "load_balancer": _node(found.root),
        "addresses": [dataclasses.asdict(each) for each in found.addresses],
        "places": [
            {**dataclasses.asdict(each), "state": each.state.value} for each in found.places
        ],
        "notes": list(found.notes),
        "right": found.is_right,
    }


def _node(node: Node) -> dict[str, Any]:
    values = {
        field.name: getattr(node, field.name)
        for field in dataclasses.fields(node)
        if field.name != "children"
    }
    return {
        **values,
        "kind": _KINDS[node.kind],
        "state": node.state.value,
        "differences": list(node.differences),
        "children": [_node(each) for each in node.children],
    }
