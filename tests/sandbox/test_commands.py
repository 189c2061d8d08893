# SPDX-License-Identifier: Apache-2.0
"""Sub-commands against a sandbox that is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import cli

if TYPE_CHECKING:
    from sandbox.stack import Stack


def test_status_names_a_dead_service_and_up_revives_it(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    status = ["--state", str(stack.settings.state), "status"]
    assert cli.main(status) == 0
    pid = stack.supervisor.pids("ovn-northd")[0]
    stack.supervisor.stop("ovn-northd")
    capsys.readouterr()

    assert cli.main(status) == 3
    assert "ovn-northd             DEAD" in capsys.readouterr().out
    stack.up()

    assert stack.supervisor.pids("ovn-northd")[0] != pid
    assert cli.main(status) == 0


def test_up_twice_starts_nothing(stack: Stack) -> None:
    before = stack.supervisor.records()

    stack.up()

    assert stack.supervisor.records() == before


def test_env_is_for_a_shell(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--state", str(stack.settings.state), "env"])

    lines = capsys.readouterr().out.splitlines()
    assert f"export OS_AUTH_URL={stack.settings.url('keystone')}/v3" in lines
    assert all(line.startswith("export ") for line in lines)


def test_logs_of_one_service(stack: Stack, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--state", str(stack.settings.state), "logs", "keystone", "-n", "1"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 1
