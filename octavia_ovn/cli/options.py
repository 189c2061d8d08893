# SPDX-License-Identifier: Apache-2.0
"""Options and exit statuses of all commands."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from octavia_ovn.core.text import plain
from octavia_ovn.errors import OctaviaOvnError

F = TypeVar("F", bound=Callable[..., Any])

RIGHT, WRONG, FAILED = 0, 1, 2
"""Exit statuses: all is well, something is wrong, and it could not be found out."""


def configured(command: F) -> F:
    """Add the options that name Octavia's configuration."""
    for option in (
        click.option(
            "--config-dir",
            "directories",
            multiple=True,
            type=click.Path(exists=True, file_okay=False),
            help="A folder with configuration files. May be repeated.",
        ),
        click.option(
            "--config-file",
            "files",
            multiple=True,
            type=click.Path(exists=True, dir_okay=False),
            help="Octavia's configuration, by default /etc/octavia/octavia.conf. May be repeated.",
        ),
    ):
        command = option(command)
    return command


def answered(command: F) -> F:
    """Exit with the command's status; print errors of this package and exit with FAILED."""

    @functools.wraps(command)
    def wrapper(**options: Any) -> None:
        try:
            status = command(**options)
        except OctaviaOvnError as error:
            click.echo(plain(f"octavia-ovn: {error}"), err=True)
            status = FAILED
        sys.exit(status)

    return wrapper  # type: ignore[return-value]
