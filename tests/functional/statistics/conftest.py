# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.functional.statistics import hypervisors
from tests.functional.statistics.field import SERVER, Field, build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.functional.statistics.hypervisors import Cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """Two chassis with two switches and a router between them; servers on both."""
    if os.geteuid() != 0:
        pytest.fail("Network namespaces need root: run the tests as root")
    with hypervisors.cloud("one", "two") as made:
        build(made)
        servers = [
            subprocess.Popen(
                ["ip", "netns", "exec", made.prefix + name, sys.executable, "-c", SERVER, name]
            )
            for name in ("web1", "web2")
        ]
        try:
            yield made
        finally:
            for server in servers:
                server.kill()
                server.wait()


@pytest.fixture
def field(cloud: Cloud, tmp_path: Path) -> Iterator[Field]:
    """Collectors on both, nothing counted yet."""
    made = Field(cloud, tmp_path)
    for name in cloud.hypervisors:
        made.collect(name)
    yield made
    for name in list(made.collectors):
        made.end(name, signal.SIGKILL)
