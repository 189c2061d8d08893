# SPDX-License-Identifier: Apache-2.0
"""Commands that end by themselves: run, and complain with what they printed."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TAIL_LINES = 15


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float = 300,
) -> str:
    """Return what the command wrote to standard output.

    A result other than 0 raises SandboxError with the last lines, unless `check` is false.
    `timeout` is in seconds.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words, env=env, capture_output=True, text=True, timeout=timeout, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise SandboxError(f"{words[0]}: not found; run `python3 -m sandbox install`") from error
    except subprocess.TimeoutExpired as error:
        raise SandboxError(f"{shlex.join(words)}: no end after {timeout:.0f} s") from error
    if check and done.returncode:
        output = tail_of(done.stdout + done.stderr)
        raise SandboxError(f"{shlex.join(words)}: exit {done.returncode}\n{output}")
    return done.stdout


def tail_of(text: str, lines: int = _TAIL_LINES) -> str:
    """Return the last lines, indented, for an error message."""
    return "\n".join("    " + line for line in text.rstrip().splitlines()[-lines:])


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """Return the last lines of a file that may not exist."""
    if not log.exists():
        return "    (no log)"
    return f"  last lines of {log}:\n" + tail_of(log.read_text(errors="replace"), lines)
