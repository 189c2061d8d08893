# SPDX-License-Identifier: Apache-2.0
"""One driver under test, with a laboratory of its own, in a process of its own.

Both drivers run at the same time, each in a mount namespace of its own, so that the rounds of a
measure can alternate between them: what else happens on the machine meets both alike.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import measures
from tests.lab import env
from tests.lab.harness import Lab

Figure = tuple[str, float | None, str]


@dataclass(frozen=True)
class Cloud:
    """What a driver is put into.

    :param ports: Neutron ports that are there already
    :param lbs: load balancers of the driver's own that are there already
    :param members: of each of them
    """

    ports: int = 0
    lbs: int = 0
    members: int = 2

    def __str__(self) -> str:
        size = f"{self.ports} ports, {self.lbs} LBs"
        return size if self.members == Cloud.members else f"{size} of {self.members} members"


@dataclass(frozen=True)
class Subject:
    """A driver: its name in the tables, and the virtual environment that it is installed in."""

    name: str
    venv: Path
    options: dict[str, dict[str, str]] = field(default_factory=dict)


class Side:
    """A driver in its laboratory, driven from outside. Use it as a context manager."""

    def __init__(self, subject: Subject, template: Path | None, **lab_options: Any) -> None:
        self.subject = subject
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, subject, template, lab_options)
        )

    def __enter__(self) -> Side:  # noqa: PYI034 - Self is not in Python 3.10
        self._process.start()
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._process.join(120)
        if self._process.exitcode is None:
            self._process.terminate()

    def run(self, measure: str, *args: Any) -> list[Figure]:
        """Take a measure, a method of `measures.Bench`; return its figures."""
        self._pipe.send((measure, args))
        return self._answer()

    def _answer(self) -> Any:
        try:
            done, value = self._pipe.recv()
        except EOFError:
            done, value = False, "its process has died"
        if not done:
            raise RuntimeError(f"{self.subject.name}: {value}")
        return value


def _serve(pipe: Any, subject: Subject, template: Path | None, lab_options: dict[str, Any]) -> None:
    """Do what the other process says until it says no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    env.isolate_octavia_run_dir()
    try:
        with Lab(subject.venv, nb_template=template, config=subject.options, **lab_options) as lab:
            bench = measures.Bench(lab)
            pipe.send((True, None))
            with contextlib.closing(bench):
                while request := pipe.recv():
                    method, args = request
                    pipe.send((True, getattr(bench, method)(*args)))
    except EOFError:
        return
    except Exception:  # noqa: BLE001 - the other process raises it
        pipe.send((False, traceback.format_exc()))
