# SPDX-License-Identifier: Apache-2.0
"""The command `octavia-ovn-db-sync-util`: repair everything, with Octavia's options and logs."""

from __future__ import annotations

from collections.abc import Sequence

from octavia_ovn import wiring
from octavia_ovn.cli import settings
from octavia_ovn.cli.logs import attempt, run
from octavia_ovn.config.command_line import configured

_FAILED = 2
_DESCRIPTION = (
    "Repair the load balancers in OVN from Octavia, and log findings and actions."
    ' "octavia-ovn sync" does the same, and prints a table.'
)
_EPILOG = (
    "Exit status: 0 - no differences, or all are being repaired; 1 - some could not be repaired;"
    " 2 - they could not be compared."
    " Example: octavia-ovn-db-sync-util --config-file /etc/octavia/octavia.conf"
)


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
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    if conf is None:
        return _FAILED
    return attempt(lambda: run(wiring.build(settings.read(conf))), otherwise=_FAILED)
