# SPDX-License-Identifier: Apache-2.0
"""Try the driver with versions of what is around it: `python -m matrix --help`."""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import json
import sys
from pathlib import Path

from matrix import environments, ovn, report, suites
from matrix.cells import Cell, all_cells
from sandbox import settings
from sandbox.errors import SandboxError
from sandbox.settings import PROJECT

_FOLDER = PROJECT / ".sandbox" / "matrix"
_PORT_BASE = 19700  # beside a sandbox and the sandbox of the tests


class Matrix:
    """All cells, and what is known of them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._file = options.folder / "results.json"

    def run(self, cell: Cell) -> report.Row:
        """Try one cell and keep the result."""
        row = self._try(cell)
        # Read again: another run may have tried other cells meanwhile.
        rows = {**self._rows(), cell.name: row}
        kept = {name: dataclasses.asdict(each) for name, each in rows.items()}
        self._file.write_text(json.dumps(kept, indent=2) + "\n")
        return row

    def document(self) -> str:
        """Return the page about all cells that have been tried."""
        rows = self._rows()
        return report.document([rows[cell.name] for cell in all_cells() if cell.name in rows])

    def _rows(self) -> dict[str, report.Row]:
        kept = json.loads(self._file.read_text()) if self._file.exists() else {}
        return {name: report.Row(**values) for name, values in kept.items()}

    def _try(self, cell: Cell) -> report.Row:
        release = ovn.get(cell.suite, self._options.folder / "ovn")
        venv = services = Path(self._options.venv)
        if cell.environment is not None:
            version = cell.environment.python
            python = environments.interpreter(version)
            if python is None:
                why = f"no Python {version} on this machine"
                return report.Row(release.version, version, "", "", cell.what, not_run=why)
            venv = environments.build(cell.environment, python, self._options.folder / "venvs")
            services = venv if cell.environment.sandbox else services
        outcome = suites.run(
            cell.tests,
            venv / "bin" / "python",
            {
                "OVN_PREFIX": str(release.prefix),
                "SANDBOX_TEST_STATE": str(self._options.folder / "sandbox"),
                "SANDBOX_TEST_PORT_BASE": str(self._options.port_base),
                "SANDBOX_VENV": str(services),
            },
            self._options.folder / "reports" / f"{cell.name}.xml",
        )
        return report.Row(
            release.version,
            environments.python_version(venv),
            environments.version(venv, "octavia"),
            environments.version(venv, "octavia-lib"),
            cell.what,
            outcome.passed,
            outcome.failures,
            outcome.skips,
        )


def main() -> int:
    """Run what was asked for, and write the page; the exit status says whether all passed."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    chosen = [cell for cell in all_cells() if _is_chosen(cell, options.only)]
    if not chosen:
        names = ", ".join(cell.name for cell in all_cells())
        sys.exit(f"matrix: {options.only} names none of: {names}")
    matrix = Matrix(options)
    failed = False
    for cell in chosen:
        try:
            row = matrix.run(cell)
        except SandboxError as error:
            sys.exit(f"matrix: {cell.name}: {error}")
        result = row.not_run or f"{row.passed} passed, {len(row.failures)} failed"
        print(f"{cell.name}: {result}", *row.failures, sep="\n    ", flush=True)
        failed = failed or bool(row.failures)
    if options.report:
        options.report.write_text(matrix.document())
    return int(failed)


def _is_chosen(cell: Cell, patterns: list[str] | None) -> bool:
    return not patterns or any(fnmatch.fnmatch(cell.name, pattern) for pattern in patterns)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="matrix", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        metavar="PATTERN",
        help="cells whose names match; may be repeated. Results of the others are kept. "
        f"Names: {', '.join(cell.name for cell in all_cells())}",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the page about all")
    parser.add_argument(
        "--folder", type=Path, default=_FOLDER, help="OVN, environments, results; %(default)s"
    )
    parser.add_argument(
        "--venv",
        type=Path,
        default=settings.default_venv(PROJECT / ".sandbox"),
        help="the sandbox's environment; %(default)s",
    )
    parser.add_argument(
        "--port-base", type=int, default=_PORT_BASE, help="of the sandbox; %(default)s"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
