# SPDX-License-Identifier: Apache-2.0
"""The command `octavia-ovn bundle`."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from oslo_config import cfg

from octavia_ovn.cli import output, settings, show, sources, trace
from octavia_ovn.cli.archive import Archive, create
from octavia_ovn.cli.comparing import compare
from octavia_ovn.cli.options import RIGHT, WRONG, configured
from octavia_ovn.cli.output import text
from octavia_ovn.cli.selection import Selection
from octavia_ovn.config.masked import MASK, MaskedConfiguration
from octavia_ovn.controller.drift.compare import DriftState
from octavia_ovn.controller.drift.once import Result
from octavia_ovn.core.codec.neutron import is_uuid
from octavia_ovn.core.diagnosis.overview import overview
from octavia_ovn.core.diagnosis.path import NoPath, paths
from octavia_ovn.core.diagnosis.trace import explain
from octavia_ovn.errors import NotFound, Refused

_FORMAT = 1
_OUTSIDE = "203.0.113.1"
"""The client of traces unless others are named: an address of documentation, so outside."""
_LIMIT = 50
_PACKAGES = (
    "octavia-ovn", "octavia", "octavia-lib", "ovs", "keystoneauth1", "oslo.config", "oslo.log",
    "oslo.messaging", "click", "rich", "prometheus-client",
)  # fmt: skip
_NEVER = {
    "secrets": f"{MASK} stands for passwords, keys, tokens and accounts in URLs",
    "logs": "those of octavia-driver-agent and Octavia's API may be about other tenants",
    "databases of Octavia and Neutron": "only what their APIs say of these load balancers is read",
}

_HELP = """\
Write one archive for support: what show, trace and check say of load balancers, their rows in
OVN's databases, versions, and the configuration without its secrets. Nothing is changed.

LB is an id or a name. Without any, all load balancers are compared with Octavia, and those that
differ come first.

The archive has no passwords, keys or tokens. It has names, ids and addresses of the tenants whose
load balancers are in it. manifest.json in it says what is inside, and what could not be read and
why; that does not stop the rest.

\b
Exit status
  0  the archive is written
  1  it is written, and something could not be read; the output names it
  2  it could not be written; a file that exists is not overwritten

\b
Examples
  octavia-ovn bundle web
  octavia-ovn bundle web --from client-port --output /tmp/case-17.tar.gz
  octavia-ovn bundle --limit 10
"""


@click.command("bundle", help=_HELP, short_help="Write an archive for support, without secrets.")
@click.argument("lbs", metavar="[LB]...", nargs=-1)
@click.option(
    "--from",
    "senders",
    multiple=True,
    metavar="PORT|ADDRESS",
    help="A client to trace from: id or name of a Neutron port, or an IP address. May be repeated;"
    " by default an address outside.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=_LIMIT,
    show_default=True,
    help="Most load balancers in the archive, unless they are named.",
)
@click.option(
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The archive; by default octavia-ovn-bundle-DATE.tar.gz in the current folder.",
)
@functools.partial(configured, load=settings.parse)
def bundle(
    conf: cfg.ConfigOpts,
    lbs: tuple[str, ...],
    senders: tuple[str, ...],
    limit: int,
    file: Path | None,
) -> int:
    """Collect, write and say what is missing."""
    now = datetime.datetime.now(datetime.timezone.utc)
    path = file or Path(f"octavia-ovn-bundle-{now:%Y-%m-%d-%H%M%S}.tar.gz")
    masked = MaskedConfiguration(conf)
    with create(path, masked.conceal) as archive:
        archive.add("configuration.json", "options in effect", lambda: masked.options)
        found = archive.read("the databases and services", lambda: _sources(conf))
        archive.add("versions.json", "versions", lambda: _versions(archive, found))
        request = _Request(lbs, senders or (_OUTSIDE,), limit)
        ids = _Collector(found, archive, request).collect() if found else []
        archive.finish(
            {
                "format": _FORMAT,
                "created": now.isoformat(timespec="seconds"),
                "load_balancers": ids,
                "never_included": _NEVER,
            }
        )
    _report(path, archive, len(ids))
    return WRONG if archive.left_out else RIGHT


def _report(path: Path, archive: Archive, count: int) -> None:
    console = output.terminal()
    found = output.counted(count, "load balancer")
    console.print(text(f"{path}: {len(archive.files) + 1} files, {found}"))
    for each in archive.left_out:
        console.print(text((f"! {each['what']}: {each['why']}", "yellow")))


def _sources(conf: cfg.ConfigOpts) -> sources.Sources:
    return sources.build(settings.read(conf))


def _versions(archive: Archive, found: sources.Sources | None) -> dict[str, Any]:
    packages = {name: _version(name) for name in _PACKAGES}
    versions = {"python": platform.python_version(), "system": platform.platform()}
    databases = {}
    if found is not None:
        for name, read in (
            ("OVN_Northbound", found.raw.northbound_version),
            ("OVN_Southbound", found.raw.southbound_version),
        ):
            databases[name] = archive.read(f"the version of {name}", read)
    return {**versions, "packages": packages, "databases": databases}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@dataclass(frozen=True, slots=True)
class _Request:
    """What the command line asks for."""

    lbs: tuple[str, ...]
    senders: tuple[str, ...]
    limit: int


class _Collector:
    """Adds what is known of load balancers to an archive."""

    def __init__(self, found: sources.Sources, archive: Archive, request: _Request) -> None:
        self._sources = found
        self._archive = archive
        self._request = request

    def collect(self) -> list[str]:
        """Add all; return the ids of the load balancers in the archive."""
        ids = self._named() if self._request.lbs else self._all()
        with output.progress() as progress:
            for lb_id in progress.track(ids, description="Collecting"):
                self._add(lb_id)
        return ids

    def _named(self) -> list[str]:
        """Return the ids of the load balancers on the command line, each once."""
        found = {}
        for each in self._request.lbs:
            find = functools.partial(self._sources.id_of, each)
            found[self._archive.read(f"load balancer {each}", find)] = each
        ids = [each for each in found if each is not None]
        if ids:
            self._check(Selection(ids))
        return ids

    def _check(self, selection: Selection) -> list[Result] | None:
        """Add the comparison with Octavia."""
        found: list[Result] = []

        def read() -> dict[str, Any]:
            found.extend(compare(self._sources.parts, selection, dry_run=True))
            return output.to_json(found, acted=False)

        done = self._archive.add("check.json", "what octavia-ovn check says", read)
        return None if done is None else found

    def _all(self) -> list[str]:
        """Return the ids of all load balancers up to the limit, those that differ first."""
        results = self._check(Selection())
        if results is None:
            rows = self._archive.read("all rows", self._sources.parts.recorder.load_balancers)
            ids = sorted(rows or ())
        else:
            results.sort(key=lambda each: each.finding.state is DriftState.RIGHT)
            ids = [each.finding.lb_id for each in results]
        # Rows can be written by others, and a name is not to lead out of the folder of the archive.
        for name in [each for each in ids if not is_uuid(each)]:
            self._archive.leave_out(f"load balancer {name}", "that is no id")
        ids = [each for each in ids if is_uuid(each)]
        rest = len(ids) - self._request.limit
        if rest > 0:
            why = f"--limit {self._request.limit} leaves out {rest}"
            self._archive.leave_out("load balancers beyond the limit", why)
        return ids[: self._request.limit]

    def _add(self, lb_id: str) -> None:
        """Add what is known of a load balancer."""
        folder = f"load-balancers/{lb_id}"
        add, raw = self._archive.add, self._sources.raw
        add(f"{folder}/show.json", "what octavia-ovn show says", lambda: self._show(lb_id))
        for number, sender in enumerate(self._request.senders, 1):
            add(
                f"{folder}/trace-{number}.json",
                f"what octavia-ovn trace says of a client {sender}",
                functools.partial(self._trace, lb_id, sender),
            )
        rows = add(
            f"{folder}/northbound.json", "rows in OVN_Northbound", lambda: raw.northbound(lb_id)
        )
        name = f"{folder}/southbound.json"
        if rows is None:
            self._archive.leave_out(
                name, "the rows in OVN_Northbound, which name its ports, are not known"
            )
        else:
            add(name, "rows in OVN_Southbound", lambda: raw.southbound(lb_id, rows))

    def _show(self, lb_id: str) -> dict[str, Any]:
        snapshot, _ = self._sources.snapshot(lb_id)
        found = overview(snapshot)
        if found is None:
            raise Refused(f"its rows do not say what it is ({'; '.join(snapshot.problems)}).")
        return show.to_json(found)

    def _trace(self, lb_id: str, sender: str) -> dict[str, Any]:
        snapshot, client = self._sources.snapshot(lb_id, sender)
        if client is None:
            raise NotFound(f"--from: there is no port and no address {sender!r}.")
        try:
            explanations: Sequence[Any] = [explain(path) for path in paths(snapshot, client)]
        except NoPath as error:
            raise NotFound(str(error)) from error
        return {
            "from": sender,
            "paths": [trace.to_json(each) for each in explanations],
            "notes": list(snapshot.notes),
        }
