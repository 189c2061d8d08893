# SPDX-License-Identifier: Apache-2.0
"""The table of versions: what pytest reports, and how it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matrix import report, suites
from matrix.cells import all_cells

if TYPE_CHECKING:
    from pathlib import Path

_XML = """<testsuites><testsuite>
<testcase classname="tests.a" name="good"/>
<testcase classname="tests.a" name="repeated"/>
<testcase classname="tests.a" name="repeated"/>
<testcase classname="tests.a" name="bad"/>
<testcase classname="tests.a" name="bad"><failure/></testcase>
<testcase classname="tests.a" name="broken"><error/></testcase>
<testcase classname="tests.a" name="left_out"><skipped message="no reason"/></testcase>
</testsuite></testsuites>"""


def test_outcomes_of_pytest(tmp_path: Path):
    file = tmp_path / "report.xml"
    file.write_text(_XML)

    assert suites.read(file) == suites.Outcome(
        2, ("tests.a.bad", "tests.a.broken"), ("tests.a.left_out: no reason",)
    )


def test_a_row_of_results_and_one_that_was_not_run():
    rows = [
        report.Row("26.03.1", "3.11.2", "19.0.0", "3.12.0", "packets", 5, ("tests.a.bad",)),
        report.Row("23.03.1", "3.12", "", "", "all", not_run="no Python 3.12 on this machine"),
    ]

    page = report.document(rows)

    assert "| 26.03.1 | 3.11.2 | 19.0.0 | 3.12.0 | packets | 5 | 1 | 0 |\n" in page
    assert "| 23.03.1 | 3.12 | - | - | all | no Python 3.12 on this machine | | |\n" in page
    assert "## Failed\n\n* `tests.a.bad`: OVN 26.03.1, Python 3.11.2\n" in page
    assert "## Skipped" not in page


def test_cells_have_names_of_their_own():
    names = [cell.name for cell in all_cells()]

    assert len(set(names)) == len(names)
