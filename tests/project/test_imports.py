# SPDX-License-Identifier: Apache-2.0
"""What the tests of each Python import: Octavia, which brings more, is not installed there."""

import ast
import importlib.metadata
import re
import sys

from matrix import suites
from sandbox.settings import PROJECT

_OTHER_NAMES = {"yaml": "PyYAML"}
"""Packages that are not called like what is installed."""


def _files():
    for path in (PROJECT / each for each in suites.LIBRARIES):
        yield from [path] if path.is_file() else path.rglob("*.py")


def _normal(requirement):
    """Return the name of a distribution as PyPI compares it, without versions."""
    name = re.match(r"[\w.-]+", requirement)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(file):
    """Yield the packages that a module imports when it is loaded."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_all_is_declared():
    requirements = importlib.metadata.requires("octavia-ovn") or ()
    declared = set(map(_normal, requirements))

    undeclared = {
        (str(file.relative_to(PROJECT)), package)
        for file in _files()
        for package in _imported(file)
        if package not in sys.stdlib_module_names
        and not (PROJECT / package).is_dir()
        and _normal(_OTHER_NAMES.get(package, package)) not in declared
    }

    assert undeclared == set()
