"""The command `octavia-ovn-db-sync-util`: repair everything, with Octavia's options and logs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from oslo_config import cfg
from oslo_log import log

from octavia_ovn import config, runtime
from octavia_ovn.cli.logs import run
from octavia_ovn.errors import OctaviaOvnError

LOG = log.getLogger(__name__)
_FAILED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :param arguments: of the command line; None for those of the process
    :returns: 0 when all load balancers are right or being repaired, 1 when some could not be
        repaired, 2 when they could not be compared
    """
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        conf(
            given,
            project="octavia",
            prog="octavia-ovn-db-sync-util",
            description="Make OVN's load balancers what Octavia says. See also: octavia-ovn sync.",
        )
    except cfg.Error as error:
        sys.stderr.write(f"octavia-ovn-db-sync-util: {error}\n")
        return _FAILED
    log.setup(conf, "octavia_ovn_db_sync_util")
    try:
        return run(runtime.build(config.load(conf)))
    except OctaviaOvnError as error:
        LOG.error("The load balancers could not be compared: %s", error)  # noqa: TRY400
        return _FAILED
