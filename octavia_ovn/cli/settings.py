# SPDX-License-Identifier: Apache-2.0
"""Reading the same configuration files as Octavia's services do."""

from __future__ import annotations

from collections.abc import Sequence

from oslo_config import cfg

from octavia_ovn.config import octavia
from octavia_ovn.errors import BadConfiguration


def load(files: Sequence[str] = (), directories: Sequence[str] = ()) -> octavia.Settings:
    """Return the options in configuration files.

    :param files: paths; none means the default of Octavia's services, /etc/octavia/octavia.conf
    :param directories: paths of folders with `*.conf` files, read after the files
    :raises BadConfiguration: when a file cannot be read, or naming the option that is wrong
    """
    return octavia.load(parse(files, directories))


def parse(files: Sequence[str] = (), directories: Sequence[str] = ()) -> cfg.ConfigOpts:
    """Return the configuration in files, see :func:`load`, before any option is read.

    :raises BadConfiguration: when a file cannot be read, or there is none
    """
    arguments = [f"--config-file={path}" for path in files]
    arguments += [f"--config-dir={path}" for path in directories]
    conf = cfg.ConfigOpts()
    try:
        conf(arguments, project="octavia")
    except (cfg.Error, OSError) as error:
        raise BadConfiguration(f"The configuration cannot be read: {error}") from error
    _check(conf)
    return conf


def read(conf: cfg.ConfigOpts) -> octavia.Settings:
    """Return the options of a parsed configuration.

    :raises BadConfiguration: when no file was read, or naming the option that is wrong
    """
    _check(conf)
    return octavia.load(conf)


def _check(conf: cfg.ConfigOpts) -> None:
    # The defaults alone name a database on this host, which may not be the one of this cloud.
    if not conf.config_file and not conf.config_dir:
        # To a user who may not enter the folder the file looks as if it were not there.
        msg = (
            "There is no /etc/octavia/octavia.conf that this user can see: run the command as the"
            " user octavia, or name the configuration with --config-file."
        )
        raise BadConfiguration(msg)
