# SPDX-License-Identifier: Apache-2.0
"""Sets of tests, run by pytest in some environment, and what came of them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from sandbox.errors import SandboxError
from sandbox.settings import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PURE = (
    "tests/core",
    "tests/controller",
    "tests/adapters",
    "tests/cli",
    "tests/config",
    "tests/package",
    "tests/project",
)
SERVERS = ("tests/functional", "tests/scenarios")
LIBRARIES = (
    *PURE,
    "tests/functional/neutron",
    "tests/functional/ovsdb/replica",
    "tests/functional/northbound/test_port_names.py",
    "tests/functional/octavia/test_api.py",
    "tests/functional/octavia/test_driver_agent.py",
    "tests/functional/ovsdb/test_session.py",
    "tests/functional/ovsdb/test_wire.py",
    "tests/lab/test_recordings.py",
    "tests/scenarios",
)
"""Whatever meets Python, Octavia's libraries and the others: no chaos, no crashes, no outages."""
OCTAVIA = (
    *LIBRARIES,
    "tests/functional/octavia/test_listener.py",
    "tests/functional/octavia/test_in_process.py",
    "tests/functional/octavia/test_in_process_databases.py",
)
"""The same where Octavia itself is installed."""
PACKETS = (
    "tests/sandbox/test_story.py",
    "tests/sandbox/test_kubernetes.py",
    *sorted(map(str, PROJECT.glob("tests/sandbox/test_dataplane_*.py"))),
)
SERVICES = (
    "tests/sandbox/test_story.py",
    "tests/sandbox/test_kubernetes.py",
    "tests/sandbox/test_refusals.py",
    "tests/sandbox/test_dataplane_flavors.py",
    "tests/sandbox/test_dataplane_isolated.py",
)
"""What passes through Octavia's API, with few packets."""
CLIENTS = ("tests/clients",)
"""Clients that others wrote, and what such clients send."""
_COMPLETE = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How many tests ended how."""

    passed: int
    failures: tuple[str, ...]
    skips: tuple[str, ...]


def run(tests: Sequence[str], python: Path, variables: dict[str, str], report: Path) -> Outcome:
    """Run tests and return what became of them; pytest's output is beside the report.

    :param variables: added to the environment
    :param report: where pytest writes its XML
    :raises SandboxError: when pytest ends without having run them
    """
    report.parent.mkdir(parents=True, exist_ok=True)
    log = report.with_suffix(".log")
    command = [str(python), "-m", "pytest", "-q", f"--junit-xml={report}", *tests]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), **variables}
    with log.open("w") as output:
        done = subprocess.run(
            command, cwd=PROJECT, env=environment, stdout=output, stderr=output, check=False
        )
    if done.returncode not in _COMPLETE:
        raise SandboxError(f"pytest ended with status {done.returncode}; see {log}")
    return read(report)


def read(report: Path) -> Outcome:
    """Return what an XML report of pytest says.

    A test that failed and passed when it was repeated has passed.
    """
    passed: set[str] = set()
    failures, skips = [], []
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failures.append(name)
        elif skipped is not None:
            skips.append(f"{name}: {skipped.get('message')}")
        else:
            passed.add(name)
    # The first attempt is in the report, too, without its failure.
    return Outcome(len(passed - set(failures)), tuple(failures), tuple(skips))
