# SPDX-License-Identifier: Apache-2.0
"""Options and exit statuses of all commands."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from octavia_ovn.cli import settings
from octavia_ovn.core.text import plain
from octavia_ovn.errors import OctaviaOvnError

RIGHT, WRONG, FAILED = 0, 1, 2
"""Exit statuses: all is well, something is wrong, and it could not be found out."""


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
rundir_option = click.option(
    "--ovs-rundir",
    "folder",
    default="/var/run/openvswitch",
    show_default=True,
    metavar="FOLDER",
    help="Where the sockets of Open vSwitch are, if packets are sent.",
)


def configured(
    function: Callable[..., int], load: Callable[..., Any] = settings.load
) -> Callable[..., None]:
    """Complete the function of a command.

    It has options that name Octavia's configuration and is called with its `settings`. The command
    exits with the status that it returns; errors of this package are printed, with status FAILED.

    :param load: returns the first argument, given files and folders
    """

    @click.option(
        "--config-file",
        "files",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False),
        help="Octavia's configuration, by default /etc/octavia/octavia.conf. May be repeated.",
    )
    @click.option(
        "--config-dir",
        "directories",
        multiple=True,
        type=click.Path(exists=True, file_okay=False),
        help="A folder with configuration files. May be repeated.",
    )
    @functools.wraps(function)
    def wrapper(files: tuple[str, ...], directories: tuple[str, ...], **options: Any) -> None:
        try:
            status = function(load(files, directories), **options)
        except OctaviaOvnError as error:
            click.echo(plain(f"octavia-ovn: {error}"), err=True)
            status = FAILED
        sys.exit(status)

    return wrapper
