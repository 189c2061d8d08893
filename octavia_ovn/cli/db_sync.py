"""The command `octavia-ovn-db-sync-util`: repair everything, with Octavia's options and logs."""

from __future__ import annotations

from collections.abc import Sequence

from oslo_log import log

from octavia_ovn import config, runtime
from octavia_ovn.cli.logs import run
from octavia_ovn.command import configured
from octavia_ovn.errors import OctaviaOvnError

LOG = log.getLogger(__name__)
_FAILED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :param arguments: of the command line; None for those of the process
    :returns: 0 when all load balancers are right or being repaired, 1 when some could not be
        repaired, 2 when they could not be compared
    """
    conf = configured(
        arguments,
        name="octavia-ovn-db-sync-util",
        project="octavia",
        description="Make OVN's load balancers what Octavia says. See also: octavia-ovn sync.",
    )
    if conf is None:
        return _FAILED
    try:
        return run(runtime.build(config.load(conf)))
    except OctaviaOvnError as error:
        LOG.error("The load balancers could not be compared: %s", error)  # noqa: TRY400
        return _FAILED
