# SPDX-License-Identifier: Apache-2.0
"""docs/reference/versions.md."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = """\
# Versions

`make test-matrix` writes this page. It runs the tests against versions of OVN, Octavia and
Python: OVN from Debian's releases, Octavia and octavia-lib from PyPI, and the Python interpreters
of the machine. "Oldest libraries" are the oldest versions that pyproject.toml allows. The table
lists tested combinations only.

The driver reads OVN's capabilities from the schema of its databases, never from a version number.
An upgrade of OVN needs no configuration and no new driver.

To test a single combination and keep the other rows, run `make test-matrix MATRIX="--only
packets-sid"`. To start a sandbox with another OVN, run `python3 -m sandbox up --ovn-prefix
.sandbox/matrix/ovn/sid`.

| OVN | Python | Octavia | octavia-lib | tests | passed | failed | skipped |
| --- | --- | --- | --- | --- | ---: | ---: | ---: |
"""
_TAIL = """
## Differences between versions of OVN

| | 23.03 | 25.03 and later |
| --- | --- | --- |
| `SOURCE_IP` or persistence with an IPv6 VIP | refused: OVN cannot hash IPv6 addresses | works |
| VIPs [announced by OVN's dynamic routing](../operators/bgp.md) | no | yes |
| [northd](../operators/scale.md) computes for a change | all | little, unless OVN checks members |

The same rows serve with all versions.
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
