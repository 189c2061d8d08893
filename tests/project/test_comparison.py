# SPDX-License-Identifier: Apache-2.0
"""Each cell of the comparison has its source: a test of ours, a vendor's page, or an admission."""

import ast
import configparser
import functools
import pathlib
import re

import pytest

PROJECT = pathlib.Path(__file__).parents[2]
VENDORS = {
    "aws-nlb": r"https://(docs\.aws|aws)\.amazon\.com/\S+",
    "gcp": r"https://(docs\.)?cloud\.google\.com/\S+",
    "azure": r"https://learn\.microsoft\.com/\S+",
    "amphora": r"https://(docs\.openstack\.org|opendev\.org/openstack/octavia)/\S+",
}
NOTHING = {"Not found in the documentation.", "Not examined."}
_TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")


def _rows():
    parser = configparser.ConfigParser(interpolation=None)
    path = PROJECT / "docs/tenants/feature-matrix/comparison.ini"
    parser.read(path, encoding="utf-8")
    return {
        section.rpartition(".")[2]: dict(parser[section])
        for section in parser.sections()
        if section.startswith("operation.")
    }


ROWS = _rows()


@functools.cache
def _tests(file):
    tree = ast.parse((PROJECT / file).read_text(encoding="utf-8"))
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS)
def test_our_cell_names_tests_that_exist(row):
    named = _TEST.findall(ROWS[row]["driver-notes.octavia-ovn"])

    assert named
    for file, function in named:
        assert function in _tests(file)


@pytest.mark.parametrize("row", ROWS)
def test_we_say_why_something_is_missing_or_partial(row):
    why = ROWS[row]["driver-notes.octavia-ovn"].partition("Shown by")[0]

    assert why or ROWS[row]["driver.octavia-ovn"] == "complete"


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("row", ROWS)
def test_a_vendors_cell_has_a_page_of_the_vendor_or_says_nothing(row, vendor):
    note, cell = ROWS[row][f"driver-notes.{vendor}"], ROWS[row][f"driver.{vendor}"]

    if note in NOTHING:
        assert cell == "unknown"
    else:
        assert re.search(rf"(^|\s){VENDORS[vendor]}$", note)
