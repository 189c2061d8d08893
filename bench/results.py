# SPDX-License-Identifier: Apache-2.0
"""Collected figures, as JSON and as a table with ratios."""

from __future__ import annotations

import collections
import json
import math
import statistics
import typing
from collections.abc import Iterable, Iterator, Sequence


class Key(typing.NamedTuple):
    """What was measured."""

    case: str
    metric: str
    unit: str


def percentile(values: Iterable[float], fraction: float) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


class Results:
    """Values by case, metric and unit, and by driver.

    :param drivers: names; ratios are the first one's figure over the others'
    """

    def __init__(self, drivers: Sequence[str]) -> None:
        self.drivers = tuple(drivers)
        self._values: dict[Key, dict[str, list[float | None]]] = collections.defaultdict(
            lambda: collections.defaultdict(list)
        )

    def add(self, driver: str, case: str, figures: Iterable[tuple[str, float | None, str]]) -> None:
        """Add figures; None is a failure."""
        for metric, value, unit in figures:
            self._values[Key(case, metric, unit)][driver].append(value)

    def cases(self) -> list[str]:
        """Return the cases in their order."""
        return list(dict.fromkeys(key.case for key in self._values))

    def keys(self, case: str) -> Iterator[Key]:
        """Yield what was measured in a case."""
        return (key for key in self._values if key.case == case)

    def median(self, driver: str, case: str, metric: str) -> float | None:
        """Return a median, None when there is none."""
        for key in self.keys(case):
            if key.metric == metric:
                good = _good(self._values[key].get(driver, ()))
                return statistics.median(good) if good else None
        return None

    def to_json(self, about: dict[str, object]) -> str:
        """Return all values, with what is to be known about the run."""
        figures = []
        for key, by_driver in self._values.items():
            for driver in self.drivers:
                values = _good(by_driver.get(driver, ()))
                figure = {
                    **key._asdict(),
                    "driver": driver,
                    "failed": list(by_driver.get(driver, ())).count(None),
                    "values": values,
                }
                if values:
                    figure |= {
                        "median": statistics.median(values),
                        "p95": percentile(values, 0.95),
                    }
                figures.append(figure)
        return json.dumps({**about, "figures": figures}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """Return the results that :meth:`to_json` wrote."""
        figures = json.loads(text)["figures"]
        results = cls(list(dict.fromkeys(figure["driver"] for figure in figures)))
        for figure in figures:
            values = [*figure["values"], *[None] * figure["failed"]]
            if values:
                key = Key(figure["case"], figure["metric"], figure["unit"])
                results._values[key][figure["driver"]] = values
        return results

    def to_table(self) -> str:
        """Return median (p95) for each driver, and how many times less the last one takes.

        Rows that are zero everywhere are left out.
        """
        header = ["case", "metric", "unit", *self.drivers, "ratio"]
        rows = [header]
        for key, by_driver in self._values.items():
            if all(value == 0 for values in by_driver.values() for value in values):
                continue
            cells = [_cell(by_driver.get(driver, ())) for driver in self.drivers]
            rows.append([*key, *cells, _ratio(*(by_driver.get(each, ()) for each in self.drivers))])
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        return "".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        cell.ljust(width) if column < len(Key._fields) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip() + "\n"


def _good(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _cell(values: Sequence[float | None]) -> str:
    good = _good(values)
    if not good:
        return "failed" if values else "-"
    cell = number(statistics.median(good))
    if len(good) > 1:
        cell += f" ({number(percentile(good, 0.95))})"
    if len(good) < len(values):
        cell += f" {len(values) - len(good)} failed"
    return cell


def number(value: float) -> str:
    """Return a number as people read it."""
    return f"{value:.1f}" if abs(value) < 1000 and value % 1 else f"{value:.0f}"


def _ratio(*values: Sequence[float | None]) -> str:
    first, last = _good(values[0]), _good(values[-1])
    if len(values) == 1 or not first or not last or not statistics.median(last):
        return "-"
    return number(statistics.median(first) / statistics.median(last))
