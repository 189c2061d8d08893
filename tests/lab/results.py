"""Collected figures, as JSON and as a table with ratios."""

import collections
import json
import math
import statistics
import typing


class Key(typing.NamedTuple):
    """What was measured."""

    workload: str
    case: str
    metric: str
    unit: str


def percentile(values, fraction):
    """Nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


class Results:
    """Values by (workload, case, metric, unit) and by venv."""

    def __init__(self):
        self._values = collections.defaultdict(lambda: collections.defaultdict(list))

    def add(self, venv, workload, case, metric, value, unit="ms"):
        self._values[Key(workload, case, metric, unit)][venv].append(value)

    def to_json(self, venvs):
        figures = []
        for key, by_venv in self._values.items():
            for venv in venvs:
                values = [value for value in by_venv.get(venv, ()) if value is not None]
                figure = dict(
                    key._asdict(),
                    venv=venv,
                    failed=by_venv.get(venv, []).count(None),
                    values=values,
                )
                if values:
                    figure.update(median=statistics.median(values), p95=percentile(values, 0.95))
                figures.append(figure)
        return json.dumps(figures, indent=1)

    def to_table(self, venvs):
        """Median (p95) for each venv; ratios are to the first venv.

        Rows that are zero everywhere are left out.
        """
        header = ["workload", "case", "metric", "unit", *venvs]
        header += [f"{venv}/{venvs[0]}" for venv in venvs[1:]]
        rows = [header]
        for key, by_venv in self._values.items():
            if all(value == 0 for values in by_venv.values() for value in values):
                continue
            row = [key.workload, key.case, key.metric, key.unit]
            row += [_cell(by_venv.get(venv, [])) for venv in venvs]
            row += [_ratio(by_venv.get(venvs[0], []), by_venv.get(venv, [])) for venv in venvs[1:]]
            rows.append(row)
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        return (
            "\n".join(
                "  ".join(
                    cell.ljust(width) if column < 4 else cell.rjust(width)
                    for column, (cell, width) in enumerate(zip(row, widths, strict=False))
                ).rstrip()
                for row in rows
            )
            + "\n"
        )


def _cell(values):
    good = [value for value in values if value is not None]
    if not good:
        return "failed" if values else "-"
    cell = _number(statistics.median(good))
    if len(good) > 1:
        cell += f" ({_number(percentile(good, 0.95))})"
    if len(good) < len(values):
        cell += f" {len(values) - len(good)} failed"
    return cell


def _number(value):
    return f"{value:.1f}" if value < 1000 and value % 1 else f"{value:.0f}"


def _ratio(base, other):
    base = [value for value in base if value is not None]
    other = [value for value in other if value is not None]
    if not base or not other or not statistics.median(base):
        return "-"
    return f"{statistics.median(other) / statistics.median(base):.2f}"
