# SPDX-License-Identifier: Apache-2.0
"""Drivers compared through a real Octavia API: `python -m bench.octavia`.

Two sandboxes are started for it and taken down afterwards: one with this driver and Octavia's
`noop_driver`, one with the other driver. The rounds of the three alternate.

The request of the noop provider is what Octavia itself takes: no driver can be faster.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.driven import NOOP, OVN, Side
from bench.processes import Forks
from bench.results import number, percentile
from sandbox import settings
from sandbox.stack import Stack, locked

_OURS, _OTHER = "octavia-ovn", "ovn-octavia-provider"
_PORT_BASE = 19700  # beside a sandbox with the default ports, and that of the tests
_PROVIDERS = f"api_settings.enabled_provider_drivers={OVN}:OVN,{NOOP}:nothing"


def tables(noop: Side, others: Sequence[Side]) -> str:
    """Return the results in Markdown: milliseconds, median (p95)."""
    return f"{_requests(noop, others)}\n{_figures([noop, *others])}"


def _requests(noop: Side, others: Sequence[Side]) -> str:
    names = [name for name in others[0].seconds if f"{name}: API" in others[0].seconds]
    header = ["request", "noop"]
    for side in others:
        header += [f"{side.name}: API call", f"{side.name}: to ACTIVE"]
    rows = [[*header, "ratio", "over noop, ms"]]
    for name in names:
        row = [name, _cell(noop.seconds[f"{name}: API"])]
        for side in others:
            row += [_cell(side.seconds[f"{name}: API"]), _cell(side.seconds[name])]
        medians = [statistics.median(side.seconds[name]) for side in others]
        over = medians[-1] - statistics.median(noop.seconds[f"{name}: API"])
        rows.append([*row, f"{medians[0] / medians[-1]:.1f}", str(round(over * 1000))])
    return _markdown(rows)


def _figures(sides: Sequence[Side]) -> str:
    """Return what is not measured for each request."""
    rows = [["", *(side.name for side in sides)]]
    single = "one failing check → ERROR"
    if single in sides[-1].seconds:
        rows.append([single, *(_cell(side.seconds.get(single, ())) for side in sides)])
    for name in sides[-1].figures:
        medians = [side.figures.get(name, ()) for side in sides]
        rows.append([name, *(number(statistics.median(each)) if each else "" for each in medians)])
    return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"| --- {'| --: ' * (len(rows[0]) - 1)}|")
    return "\n".join(lines) + "\n"


def _cell(seconds: Sequence[float]) -> str:
    if not seconds:
        return ""
    median, slow = statistics.median(seconds), percentile(seconds, 0.95)
    return f"{number(round(median * 1000))} ({number(round(slow * 1000))})"


@contextlib.contextmanager
def sandbox(state: Path, venv: Path, package: str, port_base: int) -> Iterator[Stack]:
    """Start a sandbox beside others; end it."""
    stack = Stack(
        settings.Settings(
            state=state,
            venv=venv,
            provider_package=package,
            ports=settings.port_numbers(port_base, {}),
            octavia_options=(_PROVIDERS,),
        )
    )
    with locked(state):
        try:
            stack.up()
            yield stack
        finally:
            stack.down()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.octavia", description=__doc__)
    parser.add_argument(
        "--state", type=Path, default=Path(".sandbox-bench"), help="directory of the sandboxes"
    )
    parser.add_argument(
        "--other", type=Path, help=f"virtual environment of a sandbox with {_OTHER}"
    )
    parser.add_argument("--port-base", type=int, default=_PORT_BASE)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--burst", type=int, default=200, help="requests of 8 clients at once")
    parser.add_argument("--health", type=int, default=20, help="load balancers with 10 checks each")
    parser.add_argument("--text", type=Path, help="file for the tables")
    options = parser.parse_args()
    state = options.state.absolute()
    forks = Forks()
    with contextlib.ExitStack() as cleanup:
        venv = settings.default_venv(settings.PROJECT / ".sandbox")
        stack = cleanup.enter_context(sandbox(state / "ours", venv, ".", options.port_base))
        noop, ours = Side("noop", stack, NOOP, forks), Side(_OURS, stack, OVN, forks)
        others = [ours]
        if options.other:
            other = sandbox(
                state / "other", options.other.absolute(), _OTHER, options.port_base + 10
            )
            others.insert(0, Side(_OTHER, cleanup.enter_context(other), OVN, forks))
        for _ in range(options.rounds):
            for side in (noop, *others):
                side.requests()
        for side in others:
            if options.burst:
                side.burst(options.burst, clients=8)
            if options.health:
                side.health(options.health, members=10, single=20)
        text = tables(noop, others)
    print(text)
    if options.text:
        options.text.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
