"""docs/reference/versions.md."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = """\
# Versions

Written by `make test-matrix`, which runs the tests against versions of OVN, Octavia and Python: the
OVN of Debian's releases (unpacked beside the system's), Octavia and octavia-lib from PyPI, and
the Python interpreters of the machine. "Oldest libraries" are those of the driver in the oldest
versions that pyproject.toml allows. What has not been tried is not in the table.

What an OVN can do, the driver reads from the schema of its databases when it connects, never from a
version number: an upgrade of OVN needs no configuration and no new driver.

A single line is tried again with `make test-matrix MATRIX="--only packets-sid"`; the others are
kept. A sandbox on another OVN is had with
`python3 -m sandbox up --ovn-prefix .sandbox/matrix/ovn/sid`.

| OVN | Python | Octavia | octavia-lib | tests | passed | failed | skipped |
| --- | --- | --- | --- | --- | ---: | ---: | ---: |
"""
_TAIL = """
## What depends on the version of OVN

| | 23.03 | 25.03 and later |
| --- | --- | --- |
| `SOURCE_IP`, also as persistence, with an IPv6 VIP | refused: it cannot tell them apart | works |

Nothing else does: the same rows serve with all of them.
"""


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table."""

    ovn: str
    python: str
    octavia: str
    octavia_lib: str
    what: str
    passed: int = 0
    failures: tuple[str, ...] = ()
    skips: tuple[str, ...] = ()
    not_run: str = ""
    """Why not, if so."""


def document(rows: Sequence[Row]) -> str:
    """Return the page."""
    text = _HEAD + "".join(f"{_line(row)}\n" for row in rows) + _TAIL
    return text + _listing("Failed", rows, "failures") + _listing("Skipped", rows, "skips")


def _line(row: Row) -> str:
    fields = [row.ovn, row.python, row.octavia or "-", row.octavia_lib or "-", row.what]
    if row.not_run:
        return f"| {' | '.join(fields)} | {row.not_run} | | |"
    counts = (row.passed, len(row.failures), len(row.skips))
    return f"| {' | '.join((*fields, *map(str, counts)))} |"


def _listing(title: str, rows: Sequence[Row], attribute: str) -> str:
    """Name the tests that did not pass, each once, with where."""
    where: dict[str, list[str]] = {}
    for row in rows:
        for test in getattr(row, attribute):
            where.setdefault(test, []).append(f"OVN {row.ovn}, Python {row.python}")
    if not where:
        return ""
    lines = [f"* `{test}`: {'; '.join(places)}" for test, places in where.items()]
    return f"\n## {title}\n\n" + "\n".join(lines) + "\n"
