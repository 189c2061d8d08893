# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the functional tests."""

import sys

import pytest

from tests.functional.ovsdb.server import cluster, directory, server, tcp_server
from tests.lab.mortal import MortalLab

__all__ = ["cluster", "directory", "server", "tcp_server"]


@pytest.fixture(scope="session")
def make_lab(own_run_dir, request):
    """A function that puts a laboratory together, for a test that breaks things."""
    logs = request.config.getoption("--lab-logs", None)

    def make(**options):
        return MortalLab(sys.prefix, **{"keep_logs": logs} | options)

    return make
