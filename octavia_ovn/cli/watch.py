# SPDX-License-Identifier: Apache-2.0
"""The command `octavia-ovn watch`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from octavia_ovn.cli import live, sources
from octavia_ovn.cli.options import RIGHT, configured, rundir_option
from octavia_ovn.config.octavia import Settings
from octavia_ovn.core.diagnosis.live import Live, Outcome
from octavia_ovn.core.text import plain
from octavia_ovn.errors import BadConfiguration, NotFound, OctaviaOvnError, failure

if TYPE_CHECKING:
    from octavia_ovn.adapters.metrics.data_path import DataPaths

_KEY = "data_path_probe"
_CONNECTIONS = 3
"""To each listener in a round: one member of several that is dead shows as a part."""
_KEPT = 3
"""Intervals for which a result counts."""
_HELP = """\
Connect to VIPs all the time, and export whether that succeeds.

Every --interval seconds each TCP listener of the load balancers whose flavor sets data_path_probe
to true gets a few connections, as by "trace --live": from a port on the VIP's network, bound on the
chassis where the command runs. Needs root, octavia-ovn[health,metrics], and Octavia's
configuration. No other live trace can run on this chassis meanwhile. The ports are removed at the
end.

\b
Metrics
  octavia_ovn_data_path_available  by loadbalancer and listener: the share of connections that were
                                   accepted; absent while that is not known, as where access
                                   rules may stop this client
  octavia_ovn_data_path_unknown    how many listeners are absent

\b
Exit status
  0  ended by a signal
  2  it could not begin, or could not remove its ports

\b
Example
  octavia-ovn watch --interval 60 --metrics-port 9105
"""


@click.command("watch", help=_HELP, short_help="Connect to VIPs all the time, for Prometheus.")
@click.option(
    "--interval",
    type=click.IntRange(10, 3600),
    default=60,
    show_default=True,
    help="Seconds from the beginning of one round to that of the next.",
)
@click.option(
    "--metrics-address",
    "address",
    default="127.0.0.1",
    show_default=True,
    help="Address of this host where metrics are served.",
)
@click.option(
    "--metrics-port",
    "port",
    type=click.IntRange(1, 65535),
    default=9105,
    show_default=True,
    help="TCP port where metrics are served.",
)
@rundir_option
@configured
def watch(settings: Settings, interval: int, address: str, port: int, folder: str) -> int:
    """Probe until a signal comes."""
    try:
        from octavia_ovn.adapters.metrics import exporter  # noqa: PLC0415 - packages of an extra
        from octavia_ovn.adapters.metrics.data_path import DataPaths  # noqa: PLC0415
    except ImportError as error:
        msg = f"A package is missing ({error}): install octavia-ovn[health,metrics]"
        raise BadConfiguration(msg) from error
    found = sources.build(settings)
    paths = DataPaths(_KEPT * interval)
    wanted = live.Wanted(None, None, _CONNECTIONS, folder, continual=True)
    try:
        with (
            live.staged(found, wanted, found.rows) as stage,
            exporter.served(paths.registry, address, port, "octavia-ovn watch"),
        ):
            watcher = Watcher(found, stage, paths)
            while True:
                began = time.monotonic()
                watcher.round()
                time.sleep(max(1.0, began + interval - time.monotonic()))
    except KeyboardInterrupt:
        return RIGHT


@dataclass
class Watcher:
    """Probes the load balancers that ask for it, and prints what changes."""

    found: sources.Sources
    stage: live.Stage
    paths: DataPaths
    lb_ids: tuple[str, ...] | None = None
    states: dict[str, str] = field(default_factory=dict)
    """What a line is about → what it has said last; nothing where all is well."""

    def round(self) -> None:
        """Probe all once.

        :raises OctaviaOvnError: when Octavia has not said yet which these are
        """
        before = self.lb_ids
        try:
            self.lb_ids = self.found.parts.listing.flavored(_KEY)
            self._say("Octavia", "", "Octavia answers again")
        except OctaviaOvnError as error:
            if before is None:
                raise
            self._say("Octavia", "away", f"Load balancers are those of the round before: {error}")
        for lb_id in set(before or ()).difference(self.lb_ids or ()):
            self.paths.put(lb_id, {})
        for lb_id in self.lb_ids or ():
            self._probe(lb_id)

    def _probe(self, lb_id: str) -> None:
        try:
            lives, _ = self.stage.play(lb_id)
        except OctaviaOvnError as error:
            # What is known stays until it is out of date.
            self._say(lb_id, "failed", f"Load balancer {lb_id} is not probed: {error}")
            if not isinstance(error, NotFound):
                self._begin_again()
            return
        self._say(lb_id, "", f"Load balancer {lb_id} is probed again")
        results: dict[str, float | None] = {}
        for each in lives:
            listener = each.explanation.path.listener
            if listener is not None:
                results[listener.id] = _worst(each.availability, results.get(listener.id, 1.0))
                self._report(listener.id, each)
        self.paths.put(lb_id, results)
        if any(a.outcome is Outcome.NOT_TRIED for each in lives for a in each.attempts):
            self._begin_again()

    def _begin_again(self) -> None:
        """Have ports made again: Open vSwitch may have lost them."""
        error = failure(self.stage.clear)
        text = f"Ports of this command are left: {error}" if error else "No ports are left"
        self._say("ports", "left" if error else "", text)

    def _report(self, listener_id: str, found: Live) -> None:
        path, share = found.explanation.path, found.availability
        name = f"Listener {listener_id} at {path.key}"
        if share is None:
            state, sentence = "unknown", f"it is not known: {found.excuse or found.sentence}"
        elif share < 1.0:
            state, sentence = "failed", found.sentence
        else:
            state, sentence = "", "all connections are accepted"
        self._say(name, state, f"{name}: {sentence}")

    def _say(self, key: str, state: str, sentence: str) -> None:
        """Print a sentence if the state is another one than before."""
        if self.states.get(key, "") != state:
            click.echo(plain(sentence))
        self.states[key] = state


def _worst(one: float | None, other: float | None) -> float | None:
    """Return the smaller of two shares; None if one of them is not known."""
    return None if one is None or other is None else min(one, other)
