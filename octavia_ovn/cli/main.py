# SPDX-License-Identifier: Apache-2.0
"""The command `octavia-ovn`, and its sub-commands `check` and `sync`."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

from octavia_ovn import wiring
from octavia_ovn.cli import output
from octavia_ovn.cli.adopt import adopt
from octavia_ovn.cli.bundle import bundle
from octavia_ovn.cli.comparing import compare
from octavia_ovn.cli.explain import explain
from octavia_ovn.cli.options import FAILED, RIGHT, WRONG, configured, json_option
from octavia_ovn.cli.selection import Selection
from octavia_ovn.cli.show import show
from octavia_ovn.cli.statistics_key import statistics_key
from octavia_ovn.cli.trace import trace
from octavia_ovn.cli.watch import watch
from octavia_ovn.config.command_line import PACKAGE
from octavia_ovn.config.octavia import Settings
from octavia_ovn.controller.drift.compare import DriftState
from octavia_ovn.controller.drift.once import Action

F = TypeVar("F", bound=Callable[..., Any])

_HELP = """\
Show Octavia's load balancers of the provider "ovn", compare them with OVN, and repair them.

Run it where octavia-driver-agent runs, with Octavia's configuration; "trace --live" and
"watch" on a chassis.

Start with "octavia-ovn check": it only reads, as do "show", "bundle", "sync --dry-run", "adopt"
without --yes, and "trace" without --live.

\b
Exit status of all commands
  0  all is well
  1  something is wrong; the output names it
  2  it could not be found out

\b
Examples
  octavia-ovn check
  octavia-ovn show web
  octavia-ovn trace web --from client-port
  octavia-ovn explain OVNLB-309
  octavia-ovn sync --dry-run
"""

_CHECK_HELP = """\
Compare all load balancers in Octavia with OVN, and list the differences. Nothing is changed.

\b
A load balancer is
  missing    Octavia has it, the Northbound database does not
  different  its rows do not say what Octavia says: a listener or pool is lost,
             or not in Octavia any more; with --deep also a member, or any value
  stuck      Octavia shows it or a part of it in PENDING, without a pending request
  orphaned   it has rows, and Octavia does not know it
  without a VIP
             the port of a VIP is gone, or has lost its address
  unenforced Octavia shows vip_sg_ids, and they are not enforced: set [ovn] vip_security_groups,
             or use allowed_cidrs
  unclear    it could not be compared

\b
Exit status
  0  no differences
  1  some load balancers differ
  2  they could not be compared, or not all of them

\b
Examples
  octavia-ovn check
  octavia-ovn check --deep
  octavia-ovn check --project 3f0c... --json
  octavia-ovn check --loadbalancer 1c5b... --all
"""

_SYNC_HELP = """\
Repair the rows in OVN from Octavia, and finish objects that are stuck in PENDING.

Repairs are recorded; the provider agent applies them within seconds, as any request.
Load balancers without differences are not written, and their traffic is not interrupted. Load
balancers that Octavia does not know are deleted, with the ports that were made for them.

All that Octavia has of each load balancer is compared; with --dry-run this is the same as
"check --deep".

\b
Exit status
  0  no differences, or all are being repaired
  1  some could not be repaired; with --dry-run: some load balancers differ
  2  they could not be compared, or not all of them

\b
Examples
  octavia-ovn sync --dry-run
  octavia-ovn sync
  octavia-ovn sync --loadbalancer 1c5b... --loadbalancer 77aa...
"""


@click.group(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(importlib.metadata.version(PACKAGE), message="%(prog)s %(version)s")
def main() -> None:
    """Log warnings of libraries in the format of the commands' own errors."""
    logging.basicConfig(level=logging.WARNING, format="octavia-ovn: %(message)s")


def _options(command: F) -> F:
    """Add the options of `check` and `sync`."""
    for option in (
        json_option,
        click.option(
            "--all",
            "everything",
            is_flag=True,
            help="Also show load balancers without differences.",
        ),
        click.option(
            "--loadbalancer",
            "lb_ids",
            multiple=True,
            metavar="ID",
            help="Only this load balancer, including the status of each member. May be repeated.",
        ),
        click.option(
            "--project",
            "project_ids",
            multiple=True,
            metavar="ID",
            help="Only load balancers of this project. May be repeated.",
        ),
    ):
        command = option(command)
    return command


@main.command(help=_CHECK_HELP, short_help="Compare Octavia with OVN; change nothing.")
@configured
@_options
@click.option(
    "--deep",
    is_flag=True,
    help="Compare all that Octavia has of each load balancer, by one question for each to"
    " octavia-driver-agent. Otherwise only those are asked for whose listeners or pools differ.",
)
def check(settings: Settings, **options: Any) -> int:
    """Compare and show."""
    return _synchronize(settings, **options, dry_run=True)


@main.command("sync", help=_SYNC_HELP, short_help="Repair differences between Octavia and OVN.")
@configured
@_options
@click.option("--dry-run", is_flag=True, help="Show what would be repaired; change nothing.")
def synchronize(settings: Settings, **options: Any) -> int:
    """Compare, repair and show."""
    return _synchronize(settings, **options, deep=True)


def _synchronize(  # noqa: PLR0913 - the command line's options
    settings: Settings,
    *,
    lb_ids: tuple[str, ...],
    project_ids: tuple[str, ...],
    as_json: bool,
    everything: bool,
    dry_run: bool,
    deep: bool,
) -> int:
    selection = Selection(lb_ids, project_ids)
    results = compare(wiring.build(settings), selection, dry_run=dry_run, deep=deep)
    if as_json:
        output.dump(results, acted=not dry_run)
    else:
        output.show(results, everything=everything, acted=not dry_run)
    if any(each.finding.state is DriftState.UNCLEAR for each in results):
        return FAILED
    if dry_run:
        return RIGHT if all(each.finding.state is DriftState.RIGHT for each in results) else WRONG
    good = {Action.NOTHING, Action.RECORDED}
    return RIGHT if all(each.action in good for each in results) else WRONG


main.add_command(adopt)
main.add_command(bundle)
main.add_command(explain)
main.add_command(show)
main.add_command(statistics_key)
main.add_command(trace)
main.add_command(watch)
