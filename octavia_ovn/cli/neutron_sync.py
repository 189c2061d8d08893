# SPDX-License-Identifier: Apache-2.0
"""The plugin of neutron-ovn-db-sync-util that compares load balancers with Octavia.

It needs Octavia's configuration, which is not Neutron's: `--octavia-config-file` names it.
"""

from __future__ import annotations

import os
from typing import Any

from neutron_lib.ovn import constants, db_sync
from oslo_config import cfg

from octavia_ovn import wiring
from octavia_ovn.cli import logs, settings

_OPTIONS = [
    cfg.MultiStrOpt(
        "octavia-config-file",
        default=["/etc/octavia/octavia.conf"],
        metavar="PATH",
        help="Configuration of Octavia, for comparing its load balancers with OVN. Can be used"
        " several times.",
    )
]


class OctaviaOvnSynchronizer(db_sync.BaseOvnDbSynchronizer):  # type: ignore[misc]
    """Compares and repairs load balancers, according to the tool's mode: `log` or `repair`."""

    # The tool itself works with this driver, whichever synchronizers it runs.
    _required_mechanism_drivers = ("ovn-sync",)

    def __init__(
        self, *args: Any, plugin_conf: cfg.ConfigOpts | None = None, **kwargs: Any
    ) -> None:
        mode = args[2] if len(args) > 2 else kwargs["mode"]  # noqa: PLR2004 - by position
        try:
            super().__init__(*args, plugin_conf=plugin_conf, **kwargs)
        except TypeError:
            # A neutron-lib that does not load files for synchronizers.
            super().__init__(*args, **kwargs)
        self._mode = mode
        self._octavia_conf = plugin_conf

    @classmethod
    def register_additional_cli_opts(cls, conf: cfg.ConfigOpts) -> None:
        """Add our options to those of the tool."""
        conf.register_cli_opts(_OPTIONS)

    @classmethod
    def get_plugin_config_files(cls, global_conf: cfg.ConfigOpts) -> list[str]:
        """Return the paths of Octavia's configuration files."""
        return [path for path in global_conf.octavia_config_file if os.path.exists(path)]

    def do_sync(self) -> None:
        """Compare; repair unless the mode is `log`.

        Errors are logged, so that other synchronizers continue.
        """
        if self._mode == constants.OVN_DB_SYNC_MODE_OFF:
            return
        dry_run = self._mode == constants.OVN_DB_SYNC_MODE_LOG
        logs.attempt(lambda: self._sync(dry_run=dry_run), otherwise=1)

    def _sync(self, *, dry_run: bool) -> int:
        conf = self._octavia_conf
        found = settings.read(conf) if conf else settings.load()
        return logs.run(wiring.build(found), dry_run=dry_run)
