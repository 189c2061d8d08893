# SPDX-License-Identifier: Apache-2.0
"""The sandbox's own program: processes, settings, messages. Starts nothing of OpenStack."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import cli, process, settings
from sandbox.errors import SandboxError
from sandbox.process import Service, Supervisor
from sandbox.settings import Settings
from sandbox.stack import Stack, locked
from tests.sandbox.waiting import until


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    return Supervisor(tmp_path / "run", tmp_path / "log")


def _service(*argv: str, ready: bool = True) -> Service:
    path = os.environ["PATH"]
    return Service(name="it", argv=argv, env={"PATH": path}, ready=lambda: ready)


def _settings(state: Path, **values: object) -> Settings:
    ports = settings.port_numbers(19700, {})
    return Settings(**{"state": state, "venv": state / "venv", "ports": ports, **values})  # type: ignore[arg-type]


def test_a_process_runs_until_it_is_stopped(supervisor: Supervisor) -> None:
    supervisor.start(_service("sleep", "60"))
    assert supervisor.alive("it")

    supervisor.stop("it")

    assert not supervisor.alive("it")
    assert supervisor.records() == []


def test_children_end_with_their_parent(supervisor: Supervisor) -> None:
    supervisor.start(_service("sh", "-c", "sleep 61 & echo $!; wait"))
    log = supervisor.log_file("it")
    while not log.read_text().strip():
        pass
    child = int(log.read_text())
    assert child in supervisor.pids("it")

    supervisor.signal("it", signal.SIGKILL)
    supervisor.stop("it")

    assert process.command_line(child) == ""


def test_a_recycled_pid_is_not_ours(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(_service("sleep", "62"))
    record = supervisor.record("it")
    assert record is not None
    until(lambda: process.command_line(record.pid) == "sleep 62")  # what starts it execs
    file = tmp_path / "run" / "pids" / "it.json"
    text = file.read_text()
    file.write_text(json.dumps({**json.loads(text), "start_time": record.start_time - 1}))

    assert not supervisor.alive("it")
    supervisor.stop("it")

    assert process.command_line(record.pid) == "sleep 62"
    file.write_text(text)
    supervisor.stop("it")
    assert process.command_line(record.pid) == ""


def test_a_stopped_process_can_be_ended(supervisor: Supervisor) -> None:
    supervisor.start(_service("sleep", "63"))
    supervisor.signal("it", signal.SIGSTOP)

    supervisor.stop("it")

    assert supervisor.records() == []


def test_a_death_is_told_with_the_log(supervisor: Supervisor) -> None:
    service = _service("sh", "-c", "echo no such luck; exit 1", ready=False)
    supervisor.start(service)

    with pytest.raises(SandboxError, match=r"it has died(?s:.)*no such luck"):
        supervisor.wait(service)


def test_a_missing_program_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(SandboxError, match="no-such-program"):
        supervisor.start(_service("no-such-program"))


def test_a_path_too_long_for_sockets(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="shorter --state"):
        _settings(tmp_path / ("x" * 100))


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = _settings(Path("/tmp/x"), octavia_options=("ovn.a=b=c",))
    saved = _settings(tmp_path)
    assert settings.load(tmp_path) is None
    saved.run.mkdir()
    saved.save()

    assert settings.load(tmp_path) == saved
    assert settings.split_option(written.octavia_options[0]) == ("ovn", "a", "b=c")


@pytest.mark.parametrize("text", ["", "a", "a.b", "a=b", ".b=c", "a.=c"])
def test_what_is_not_an_option(text: str) -> None:
    with pytest.raises(SandboxError, match=r"section\.option=value"):
        settings.split_option(text)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = settings.port_numbers(19700, {"octavia": port})

        with pytest.raises(SandboxError, match=f"Port {port} .for octavia. is taken"):
            Stack(_settings(tmp_path, ports=ports)).up()

    assert settings.load(tmp_path) is None


def test_two_commands_do_not_work_on_one_state(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(SandboxError, match="Another sandbox"), locked(tmp_path):
        pass


def test_commands_say_that_nothing_is_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--state", str(tmp_path), "status"]) == 1
    assert "start it with `up`" in capsys.readouterr().err


def test_help_needs_nothing_installed() -> None:
    command = [sys.executable, "-S", "-m", "sandbox", "--help"]

    text = subprocess.run(command, cwd=settings.PROJECT, check=True, capture_output=True).stdout

    assert b"start here" in text
