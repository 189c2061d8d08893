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
    assert "is not one of" in result.stderr
    assert "ovnlb-309" in result.stderr.lower()
