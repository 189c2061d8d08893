# SPDX-License-Identifier: Apache-2.0
"""What the laboratory's fake Octavia is held to is what the sandbox's Octavia does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sandbox import database, shell
from sandbox.settings import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.stack import Stack


_DATABASE = "recordings"
_RECORDING = 600.0  # seconds; 15 where nothing else runs


def test_octavia_does_what_is_recorded(stack: Stack, tmp_path: Path) -> None:
    """Record with the sandbox's Octavia and MariaDB. Nothing in a recording depends on chance."""
    settings = stack.settings
    file = tmp_path / "recording.json"
    database.sql(settings, f"CREATE DATABASE {_DATABASE}")
    try:
        shell.run(
            [settings.bin / "python", "-m", "tests.recordings.record",
             "--database", database.url(settings, _DATABASE), file],
            env={**settings.base_environment, "PYTHONPATH": str(PROJECT)},
            timeout=_RECORDING,
        )  # fmt: skip
    finally:
        database.sql(settings, f"DROP DATABASE {_DATABASE}")
    recording = file.read_text()
    release = json.loads(recording)["octavia"].partition(".")[0]
    kept = PROJECT / "tests" / "recordings" / f"octavia-{release}.json"
    assert recording.splitlines() == kept.read_text().splitlines()
