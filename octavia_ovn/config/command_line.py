# SPDX-License-Identifier: Apache-2.0
"""Start-up of commands that log and have the options of a service."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable, Sequence

from oslo_config import cfg
from oslo_log import log

PACKAGE = "octavia-ovn"


def version(name: str) -> str:
    """Return the output of a command's `--version`.

    :param name: of the command
    """
    return f"{name} {importlib.metadata.version(PACKAGE)}"


def configured(  # noqa: PLR0913 - the parts of a command line
    arguments: Sequence[str] | None,
    *,
    name: str,
    project: str,
    description: str,
    epilog: str,
    opts: Iterable[tuple[str, Iterable[cfg.Opt]]] = (),
    switches: Iterable[cfg.Opt] = (),
) -> cfg.ConfigOpts | None:
    """Read command line and configuration files, and log as they say.

    :param arguments: of the command line; None for those of the process
    :param name: of the command, for messages and logs
    :param project: the project of the default files, such as /etc/PROJECT/PROJECT.conf
    :param description: text of `--help`
    :param epilog: text at the end of `--help`: exit statuses and an example
    :param opts: options by section
    :param switches: options of the command line
    :returns: None when they cannot be used; a sentence on standard error says why
    """
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    conf.register_cli_opts(list(switches))
    for section, each in opts:
        conf.register_opts(list(each), group=section)
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        conf(
            given,
            project=project,
            prog=name,
            version=version(name),
            description=description,
            epilog=epilog,
        )
    except cfg.Error as error:
        sys.stderr.write(f"{name}: {error}\n")
        return None
    log.setup(conf, name)
    return conf
