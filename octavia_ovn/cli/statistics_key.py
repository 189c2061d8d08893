# SPDX-License-Identifier: Apache-2.0
"""`octavia-ovn statistics-key`: the key that a chassis signs its statistics with."""

from __future__ import annotations

import click

from octavia_ovn.cli.options import RIGHT, configured
from octavia_ovn.config.octavia import Settings
from octavia_ovn.config.statistics import SECTION, check_master_key
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.errors import BadConfiguration

_HELP = """\
Print the key of each CHASSIS, which goes into [ovn_statistics] key of its octavia-ovn-stats.conf.

CHASSIS is external_ids:system-id of the Open vSwitch of the host. The key follows from that name
and from [ovn_statistics] master_key in Octavia's configuration, which stays on the controllers.

\b
Exit status
  0  the keys were printed, one a line, in the order of the names
  2  there is no master key, or it is too short

\b
Examples
  octavia-ovn statistics-key compute-17
  octavia-ovn statistics-key $(ovn-sbctl --bare --columns=name list Chassis)
"""


@click.command("statistics-key", help=_HELP, short_help="Print the key of a chassis.")
@click.argument("chassis", nargs=-1, required=True)
@configured
def statistics_key(settings: Settings, chassis: tuple[str, ...]) -> int:
    """Derive and print."""
    master_key = settings.statistics.master_key
    if not master_key:
        raise BadConfiguration(f"[{SECTION}] master_key is empty: there are no keys of chassis.")
    check_master_key(master_key)
    for name in chassis:
        click.echo(chassis_key(master_key, name))
    return RIGHT
