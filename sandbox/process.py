# SPDX-License-Identifier: Apache-2.0
"""Long-lived processes: started in sessions of their own, found again by later commands, ended.

A process is known by its pid *and* the time it started: the kernel gives pids out again, and a
process that is not ours must never get a signal. The record of each is a file, so that
``sandbox down`` ends what an ``up`` of another day began, also when that ``up`` was killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import shell
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_POLL = 0.05  # seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
    """A process that stays."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready: Callable[[], bool]
    """Whether it can be used; polled after the start."""
    ready_timeout: float = 180.0
    """Seconds until it must be ready."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """A started process: what its file holds."""

    name: str
    pid: int
    start_time: int
    """Clock ticks from boot to start, field 22 of /proc/PID/stat."""
    boot_id: str
    order: float
    """Seconds since the epoch when it was started; the last started ends first."""


@dataclasses.dataclass(frozen=True)
class _Stat:
    state: str
    session: int
    start_time: int


class Supervisor:
    """The processes of one sandbox."""

    def __init__(self, run: Path, log: Path) -> None:
        """Keep records in `run`/pids and each process's output in `log`/NAME.log."""
        self._records = run / "pids"
        self._log = log

    # --- start ---------------------------------------------------------------------------

    def start(self, service: Service) -> None:
        """Start it, unless it runs; does not wait until it is ready."""
        if self.alive(service.name):
            return
        self.stop(service.name)  # Children may have survived a leader that was killed.
        path = service.env["PATH"]
        if shutil.which(service.argv[0], path=path) is None:
            raise SandboxError(
                f"{service.argv[0]} (for {service.name}) is not installed; "
                f"run `python3 -m sandbox install`"
            )
        self._records.mkdir(parents=True, exist_ok=True)
        self._log.mkdir(parents=True, exist_ok=True)
        # Not in the caller's directory: some programs import Python packages from where they stand.
        # (env execs, so that the pid stays.)
        words = ("env", f"--chdir={self._records}", *service.argv)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            shutil.which("env", path=path) or "/usr/bin/env",
            words,
            dict(service.env),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log_file(service.name)), append, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigdef=(signal.SIGPIPE, signal.SIGINT),
        )
        stat = _stat(pid)
        if stat is None:  # pragma: no cover (a zombie of ours stays until it is waited for)
            raise SandboxError(f"{service.name} ended at once")
        record = Record(
            name=service.name,
            pid=pid,
            start_time=stat.start_time,
            boot_id=_boot_id(),
            order=time.time(),
        )
        self._file(service.name).write_text(json.dumps(dataclasses.asdict(record)) + "\n")

    def wait(self, service: Service) -> None:
        """Wait until it is ready; SandboxError with its log if it dies or takes too long."""
        deadline = time.monotonic() + service.ready_timeout
        while not service.ready():
            log = self.log_file(service.name)
            if not self.alive(service.name):
                raise SandboxError(f"{service.name} has died.\n{shell.tail(log)}")
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"{service.name} is not ready after {service.ready_timeout:.0f} s.\n"
                    f"{shell.tail(log)}"
                )
            time.sleep(_POLL)

    # --- look ----------------------------------------------------------------------------

    def records(self) -> list[Record]:
        """Return what was started and not stopped, oldest first; some may have died."""
        files = self._records.glob("*.json")
        return sorted((_read(file) for file in files), key=lambda record: record.order)

    def record(self, name: str) -> Record | None:
        """Return the record of one, None if it was never started or was stopped."""
        file = self._file(name)
        return _read(file) if file.exists() else None

    def alive(self, name: str) -> bool:
        """Say whether the process that was started under this name still runs."""
        record = self.record(name)
        return record is not None and _runs(record)

    def pids(self, name: str) -> list[int]:
        """Return the process and its descendants that stayed in its session, leader first."""
        record = self.record(name)
        return _session(record) if record else []

    def log_file(self, name: str) -> Path:
        """Return where its output goes."""
        return self._log / f"{name}.log"

    # --- end -----------------------------------------------------------------------------

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the process itself, not to its children."""
        record = self.record(name)
        if record is None or not _runs(record):
            raise SandboxError(f"{name} does not run")
        os.kill(record.pid, number)

    def terminate(self, name: str) -> None:
        """Ask it to end, if it runs; does not wait."""
        record = self.record(name)
        if record is not None and _runs(record):
            _kill(record.pid, signal.SIGTERM)
            _kill(record.pid, signal.SIGCONT)  # A stopped process could not act on TERM.

    def stop(self, name: str, *, timeout: float = 15.0) -> None:
        """End it and its children: TERM, then KILL after `timeout` seconds. Never fails."""
        record = self.record(name)
        if record is None:
            return
        if _runs(record):
            self.terminate(name)
            _wait_until(lambda: not _runs(record), timeout)
        for pid in _session(record):
            _kill(pid, signal.SIGKILL)
        _wait_until(lambda: not _session(record), timeout)
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._records / f"{name}.json"


def command_line(pid: int) -> str:
    """Return the words of a process, which it may have replaced by a title; "" if it ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def _read(file: Path) -> Record:
    return Record(**json.loads(file.read_text()))


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may contain anything, parentheses and blanks too.
    fields = text.rpartition(")")[2].split()
    return _Stat(state=fields[0], session=int(fields[3]), start_time=int(fields[19]))


def _runs(record: Record) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)  # Ours perhaps: let a zombie go.
    stat = _stat(record.pid)
    return (
        stat is not None
        and stat.state not in "ZX"
        and stat.start_time == record.start_time
        and record.boot_id == _boot_id()
    )


def _session(record: Record) -> list[int]:
    """Return the living processes of the record's session.

    The kernel does not give a pid out again while it names a session, so processes found here
    are ours, unless the session ended and another process got the pid: that one's other start
    time tells.
    """
    leader = _stat(record.pid)
    if record.boot_id != _boot_id() or (leader and leader.start_time != record.start_time):
        return []
    found = []
    for pid, stat in _processes():
        younger = stat.start_time >= record.start_time
        if stat.session == record.pid and stat.state not in "ZX" and younger:
            found.append(pid)
    return sorted(found, key=lambda pid: (pid != record.pid, pid))


def _processes() -> Iterator[tuple[int, _Stat]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            yield int(entry.name), stat


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait_until(condition: Callable[[], bool], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(_POLL)
