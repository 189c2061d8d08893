# SPDX-License-Identifier: Apache-2.0
"""The command that explains the code of a finding."""

import pytest

from octavia_ovn.cli.main import main
from octavia_ovn.core.diagnosis.codes import CODES
from tests.cli.command_line import runner


@pytest.mark.parametrize("name", CODES)
def test_each_code_is_explained(name):
    result = runner().invoke(main, ["explain", name.lower()])
    assert result.exit_code == 0
    code = CODES[name]
    assert result.stdout.startswith(f"{name} ({code.severity.value}): {code.title}\n\n")
    assert code.meaning in " ".join(result.stdout.splitlines())
    assert result.stdout.endswith(f"\n→ {code.remedy}\n")


def test_a_code_that_does_not_exist():
    result = runner().invoke(main, ["explain", "OVNLB-999"])
    assert result.exit_code == 2
    assert "there is no code 'OVNLB-999'" in result.stderr
    assert "such as OVNLB-309" in result.stderr
    assert "OVNLB-101" not in result.stderr  # A list of all would hide what is wrong.


def test_the_number_alone_is_enough():
    assert runner().invoke(main, ["explain", "309"]).stdout.startswith("OVNLB-309 (")


def test_without_a_code_there_is_no_list_of_all():
    result = runner().invoke(main, ["explain"])
    assert result.exit_code == 2
    assert "OVNLB-101" not in result.stderr.upper()


@pytest.mark.parametrize(("begun", "number"), [("", len(CODES)), ("ovnlb-30", 9), ("x", 0)])
def test_the_shell_completes_codes(begun, number):
    argument = main.commands["explain"].params[0]
    found = argument.shell_complete(None, begun)
    assert len(found) == number
    assert all(each.value.startswith(begun.upper()) for each in found)
