# SPDX-License-Identifier: Apache-2.0
"""A line of the log says an error once."""

import ast
import logging
from pathlib import Path

import pytest
from oslo_log import formatters

import octavia_ovn
from octavia_ovn.errors import Unavailable, failure

FILES = sorted(Path(octavia_ovn.__file__).parent.rglob("*.py"))


def lines_in_handlers(path):
    """Yield the lines that are logged while an error is handled, without its traceback."""
    handlers = (
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
    )
    for node in (each for handler in handlers for each in ast.walk(handler)):
        function = node.func if isinstance(node, ast.Call) else None
        if (
            isinstance(function, ast.Attribute)
            and function.attr in ("warning", "error")
            and ast.unparse(function.value) == "LOG"
        ):
            yield f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_is_logged_while_an_error_is_handled(path):
    """oslo.log would say the error again, with its class: see errors.failure."""
    assert list(lines_in_handlers(path)) == []


def test_that_is_what_oslo_log_does():
    record = logging.LogRecord("x", logging.WARNING, "", 0, "It failed: gone", (), None)
    error = failure(_raise)
    assert str(error) == "gone"
    assert formatters._get_error_summary(record) == ""
    try:
        _raise()
    except Unavailable:
        assert "Unavailable: gone" in formatters._get_error_summary(record)


def _raise():
    raise Unavailable("gone")
