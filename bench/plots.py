"""Cost against the size of the cloud, as SVG: small enough to write by hand, and to review."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.results import Results, number

_CLOUD = re.compile(r"(\d+) ports, (\d+) LBs")
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 460, 280, 60, 44, 130, 40
_COLOURS = ("#b04a3f", "#2c6fa6", "#5a8f3d")
_TICKS = 4

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
            text = "\n".join(_svg(plot, series)) + "\n"
            (directory / f"{plot.name}.svg").write_text(text, encoding="utf-8")


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
    yield '<rect width="100%" height="100%" fill="white"/>'
    yield _text(_LEFT, 18, f"{plot.title} ({plot.unit})", weight="bold")
    for tick in range(_TICKS + 1):
        value = highest_y * tick / _TICKS
        x, y = at(0, value)
        yield f'<path d="M{x} {y}H{_WIDTH - _RIGHT}" stroke="#ddd"/>'
        yield _text(x - 6, y + 4, f"{value:g}", anchor="end")
    for x in sorted({x for points in series.values() for x, _ in points}):
        yield _text(at(x, 0)[0], _HEIGHT - _BOTTOM + 16, f"{x:,.0f}", anchor="middle")
    what = "load balancers" if plot.per else "Neutron ports"
    yield _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, what, anchor="middle")
    for colour, (driver, points) in zip(_COLOURS, series.items(), strict=False):
        yield from _line(driver, [at(*point) for point in points], points[-1][1], colour)
    yield "</svg>"


def _line(
    driver: str, points: Sequence[tuple[float, float]], last: float, colour: str
) -> Iterator[str]:
    path = " ".join(f"{x},{y}" for x, y in points)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for x, y in points:
        yield f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'
    x, y = points[-1]
    yield _text(x + 8, y + 4, f"{driver}: {number(last)}", fill=colour)


def _text(
    x: float, y: float, text: str, anchor: str = "start", fill: str = "#333", weight: str = "normal"
) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}">'
        f"{html.escape(text)}</text>"
    )


def _round_up(value: float) -> float:
    """Return the next number that divides well into ticks."""
    step = 1.0
    while step * 10 < value:
        step *= 10
    return next((step * factor for factor in (1, 2, 4, 6, 8, 10) if step * factor >= value), value)
