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
    arguments = [f"--config-file={path}" for path in files]
    arguments += [f"--config-dir={path}" for path in directories]
    conf = cfg.ConfigOpts()
    try:
        conf(arguments, project="octavia")
    except (cfg.Error, OSError) as error:
        raise BadConfiguration(f"The configuration cannot be read: {error}") from error
    return read(conf)


def read(conf: cfg.ConfigOpts) -> octavia.Settings:
    """Return the options of a parsed configuration.

    :raises BadConfiguration: when no file was read, or naming the option that is wrong
    """
    # The defaults alone name a database on this host, which may not be the one of this cloud.
    if not conf.config_file and not conf.config_dir:
        msg = "There is no /etc/octavia/octavia.conf: name the configuration with --config-file."
        raise BadConfiguration(msg)
    return octavia.load(conf)
