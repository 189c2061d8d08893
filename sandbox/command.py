# SPDX-License-Identifier: Apache-2.0
"""What commands have in common."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from sandbox.errors import SandboxError
from sandbox.stack import Stack, locked

Command = Callable[[argparse.Namespace], int]


def add_command(commands: Any, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    """Add a command and return its parser.

    :param commands: what `add_subparsers` has returned
    """
    added: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + "."
    )
    added.set_defaults(command=command)
    return added


def on_stack(action: Callable[[Stack, argparse.Namespace], None]) -> Command:
    """Return a command that does something with the stack that is up, and holds it meanwhile."""

    def command(arguments: argparse.Namespace) -> int:
        need_root()
        with locked(arguments.state):
            action(Stack.attach(arguments.state), arguments)
        return 0

    return command


def need_root() -> None:
    """Raise SandboxError unless this is root."""
    if os.geteuid() != 0:
        raise SandboxError("Network namespaces need root: run this as root")


def say(text: str, file: TextIO | None = None) -> None:
    """Print at once, to what standard output is now."""
    print(text, file=file or sys.stdout, flush=True)
