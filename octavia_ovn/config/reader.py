# SPDX-License-Identifier: Apache-2.0
"""Reads options of a configuration without registering any with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from oslo_config import cfg

from octavia_ovn.errors import BadConfiguration

# oslo.config names the option, which is known, and describes the place by a tuple.
_FROM_FILE = re.compile(
    r"Value for option \S+ from LocationInfo\(.*?, detail='(?P<file>[^']*)'\) is not valid:"
    r" (?P<reason>.*)",
    re.DOTALL,
)


def value(conf: cfg.ConfigOpts, section: str, name: str) -> Any:
    """Return the value of an option, its default when it is not set.

    :raises BadConfiguration: when the value is not valid
    """
    try:
        return conf[section][name]
    except (cfg.Error, ValueError) as error:
        raise BadConfiguration(f"[{section}] {name} is wrong{_why(error)}") from error


def _why(error: Exception) -> str:
    """Return what is wrong with a value, after the name of the file if it is from one."""
    text = str(error)
    found = _FROM_FILE.match(text)
    return f" in {found['file']}: {found['reason']}" if found else f": {text}"


class Reader:
    """Reads options, registered with the process's configuration or not.

    :param conf: the process's configuration, parsed; it is not changed
    :param register: registers the options that are read
    """

    def __init__(self, conf: cfg.ConfigOpts, register: Callable[[cfg.ConfigOpts], object]) -> None:
        self._conf = conf
        self._own = cfg.ConfigOpts()
        self._own(
            args=[],
            project="octavia",
            default_config_files=_names(conf, "config_file"),
            default_config_dirs=_names(conf, "config_dir"),
        )
        register(self._own)

    def get(self, section: str, name: str) -> Any:
        """Return the value of an option, its default when it is not set.

        :raises BadConfiguration: when the value is not valid
        """
        registered = _is_registered(self._conf, section, name)
        return value(self._conf if registered else self._own, section, name)

    def add(self, section: str, opts: Iterable[cfg.Opt]) -> None:
        """Make more options readable."""
        register_missing(self._own, section, opts)


def _names(conf: cfg.ConfigOpts, option: str) -> list[str]:
    """Return the files or folders that a configuration was parsed from."""
    return list(getattr(conf, option, None) or [])


def _is_registered(conf: cfg.ConfigOpts, section: str, name: str) -> bool:
    try:
        return name in conf[section]
    except cfg.NoSuchOptError:
        return False


def register_missing(conf: cfg.ConfigOpts, section: str, opts: Iterable[cfg.Opt]) -> None:
    """Register options unless they are registered already."""
    for opt in opts:
        if not _is_registered(conf, section, opt.dest):
            conf.register_opt(opt, group=section)
