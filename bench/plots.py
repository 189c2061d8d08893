# SPDX-License-Identifier: Apache-2.0
"""Cost against the size of the cloud, as SVG: small enough to write by hand, and to review."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.results import Results, number

_CLOUD = re.compile(r"(\d+) ports, (\d+) LBs")
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 460, 292, 60, 56, 70, 40
_TICKS = 4
_GLYPH = 6.6
"""Width of a character in pixels, rather too much: fonts differ."""
_LINE = 14
"""Pixels between two texts, one above the other."""
_STYLE = """
.bg{fill:#fff}.t{fill:#333}.h{fill:#333;font-weight:bold}.grid{stroke:#ddd}
.line{stroke-width:2}
.s0{fill:#b04a3f}.s1{fill:#2c6fa6}.s2{fill:#5a8f3d}
.line.s0{stroke:#b04a3f}.line.s1{stroke:#2c6fa6}.line.s2{stroke:#5a8f3d}
@media (prefers-color-scheme:dark){
.bg{fill:#14181f}.t,.h{fill:#e0e4ea}.grid{stroke:#3a4353}
.s0{fill:#e88a80}.s1{fill:#78b4e8}.s2{fill:#9ccf7d}
.line.s0{stroke:#e88a80}.line.s1{stroke:#78b4e8}.line.s2{stroke:#9ccf7d}
}.line{fill:none!important}
"""

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Plot:
    """One diagram.

    :param name: of the file
    :param metric: what is shown
    :param per: 0 for a cost against ports, 1 against load balancers
    """

    name: str
    title: str
    metric: str
    unit: str
    per: int = 0
    scale: float = 1.0


PLOTS = (
    Plot(
        "worker-start-ports",
        "API worker: start to first ACTIVE",
        "worker: start to first ACTIVE",
        "s",
        scale=1e-3,
    ),
    Plot("worker-memory-ports", "API worker: resident memory", "worker: RSS at the end", "MiB"),
    Plot("agent-memory-ports", "Agent: resident memory", "agent: RSS at the end", "MiB"),
    Plot("agent-memory-lbs", "Agent: resident memory", "agent: RSS at the end", "MiB", per=1),
    Plot("member-create-ports", "Member create: request to ACTIVE", "member create: done", "ms"),
    Plot(
        "member-create-lbs", "Member create: request to ACTIVE", "member create: done", "ms", per=1
    ),
    Plot("member-call-ports", "Member create: driver call", "member create: in driver", "ms"),
    Plot("health-lbs", "Health event to status", "check offline to ERROR in Octavia", "ms", per=1),
)


def write(results: Results, directory: Path) -> None:
    """Write all plots for which there are sizes enough."""
    directory.mkdir(parents=True, exist_ok=True)
    for plot in PLOTS:
        series = {driver: _points(results, driver, plot) for driver in results.drivers}
        if all(len(points) > 1 for points in series.values()):
            (directory / f"{plot.name}.svg").write_text(draw(plot, series), encoding="utf-8")


def draw(plot: Plot, series: dict[str, Points]) -> str:
    """Return one diagram as an SVG document; it follows the reader's light or dark theme."""
    return "\n".join(_svg(plot, series)) + "\n"


def _points(results: Results, driver: str, plot: Plot) -> Points:
    """Return size and cost, the other size being the smallest."""
    found = []
    for case in results.cases():
        match = _CLOUD.fullmatch(case)
        value = results.median(driver, case, plot.metric) if match else None
        if match and value is not None and int(match[2 - plot.per]) == 0:
            found.append((float(match[1 + plot.per]), value * plot.scale))
    return sorted(found)


def _svg(plot: Plot, series: dict[str, Points]) -> Iterator[str]:
    highest_x = max(x for points in series.values() for x, _ in points)
    highest_y = _round_up(max(y for points in series.values() for _, y in points))

    def at(x: float, y: float) -> tuple[float, float]:
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return round(_LEFT + width * x / highest_x, 1), round(
            _TOP + height * (1 - y / highest_y), 1
        )

    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        f' width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="11">'
    )
    yield f"<style>{_STYLE}</style>"
    yield '<rect width="100%" height="100%" class="bg"/>'
    yield _text(_LEFT, 18, f"{plot.title} ({plot.unit})", style="h")
    yield from _legend(series)
    for tick in range(_TICKS + 1):
        value = highest_y * tick / _TICKS
        x, y = at(0, value)
        yield f'<path d="M{x} {y}H{_WIDTH - _RIGHT}" class="grid"/>'
        yield _text(x - 6, y + 4, f"{value:g}", anchor="end")
    for x in sorted({x for points in series.values() for x, _ in points}):
        yield _text(at(x, 0)[0], _HEIGHT - _BOTTOM + 16, f"{x:,.0f}", anchor="middle")
    what = "load balancers" if plot.per else "Neutron ports"
    yield _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, what, anchor="middle")
    lines = [[at(*point) for point in points] for points in series.values()]
    places = _apart([line[-1][1] + 4 for line in lines])
    for index, (line, points, y) in enumerate(zip(lines, series.values(), places, strict=True)):
        yield from _line(line, f"s{index}")
        yield _text(line[-1][0] + 8, y, number(points[-1][1]), style=f"s{index}")
    yield "</svg>"


def _legend(series: Iterable[str]) -> Iterator[str]:
    """Name the drivers above the diagram, where there is room for any name."""
    x = float(_LEFT)
    for index, driver in enumerate(series):
        yield f'<rect x="{x}" y="29" width="10" height="10" class="s{index}"/>'
        yield _text(x + 15, 38, driver, style=f"s{index}")
        x += 15 + _GLYPH * len(driver) + 18


def _line(points: Sequence[tuple[float, float]], style: str) -> Iterator[str]:
    path = " ".join(f"{x},{y}" for x, y in points)
    yield f'<polyline points="{path}" class="line {style}"/>'
    for x, y in points:
        yield f'<circle cx="{x}" cy="{y}" r="3" class="{style}"/>'


def _apart(places: Sequence[float]) -> list[float]:
    """Return heights near those given at which texts do not cover each other."""
    order = sorted(range(len(places)), key=places.__getitem__)
    found = list(places)
    for upper, lower in itertools.pairwise(order):
        found[lower] = max(found[lower], found[upper] + _LINE)
    return found


def _text(x: float, y: float, text: str, anchor: str = "start", style: str = "t") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{style}">{html.escape(text)}'
        "</text>"
    )


def _round_up(value: float) -> float:
    """Return the next number that divides well into ticks."""
    step = 1.0
    while step * 10 < value:
        step *= 10
    return next((step * factor for factor in (1, 2, 4, 6, 8, 10) if step * factor >= value), value)
