# SPDX-License-Identifier: Apache-2.0
"""What the laboratory's fake Octavia is held to is what Octavia does with a MariaDB."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sandbox.settings import PROJECT
from tests.lab.databases import MariaDB

RECORDING = 600.0  # seconds; 15 where nothing else runs


@pytest.fixture
def database():
    # The path of a unix socket is short; pytest's directories are not.
    with tempfile.TemporaryDirectory() as folder:
        server = MariaDB(Path(folder))
        try:
            server.prepare_empty()
            yield server.url
        finally:
            server.stop()


def test_octavia_does_what_is_recorded(database, tmp_path):
    """Nothing in a recording depends on chance."""
    file = tmp_path / "recording.json"
    command = [sys.executable, "-m", "tests.recordings.record", "--database", database, file]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    subprocess.run(command, env=environment, timeout=RECORDING, check=True)
    recording = file.read_text()
    release = json.loads(recording)["octavia"].partition(".")[0]
    kept = PROJECT / "tests" / "recordings" / f"octavia-{release}.json"
    assert recording.splitlines() == kept.read_text().splitlines()
