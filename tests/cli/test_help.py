# SPDX-License-Identifier: Apache-2.0
"""The help of each command names its exit statuses and an example; the shell can complete."""

import pytest

from octavia_ovn import chassis
from octavia_ovn.cli import db_sync
from octavia_ovn.cli.main import main
from tests.cli.command_line import runner


def _of_click(*arguments):
    def read(_):
        return runner().invoke(main, [*arguments, "--help"]).output

    return read


def _of_oslo(command):
    def read(capsys):
        with pytest.raises(SystemExit) as end:
            command(["--help"])
        assert end.value.code == 0
        return capsys.readouterr().out

    return read


HELP = {
    "octavia-ovn": _of_click(),
    **{f"octavia-ovn {name}": _of_click(name) for name in main.commands},
    "octavia-ovn-db-sync-util": _of_oslo(db_sync.main),
    "octavia-ovn-chassis": _of_oslo(chassis.main),
}


@pytest.mark.parametrize("read", HELP.values(), ids=HELP)
def test_names_exit_statuses_and_an_example(read, capsys):
    text = read(capsys)

    assert "Exit status" in text
    assert "Example" in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(shell):
    environment = {"_OCTAVIA_OVN_COMPLETE": f"{shell}_source"}

    result = runner().invoke(main, prog_name="octavia-ovn", env=environment)

    assert "octavia_ovn_completion" in result.output
