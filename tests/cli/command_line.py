# SPDX-License-Identifier: Apache-2.0
"""Command lines in this process, with standard error apart."""

import inspect

from click.testing import CliRunner


def runner():
    """A runner of any version of click: before 8.2 it mixes both outputs unless told."""
    mixes = "mix_stderr" in inspect.signature(CliRunner).parameters
    return CliRunner(mix_stderr=False) if mixes else CliRunner()
