# SPDX-License-Identifier: Apache-2.0
"""Compare this driver with `ovn-octavia-provider`: `python -m bench --help`."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import goals, plots, profile, scale
from bench.results import Results
from bench.side import Cloud, Side, Subject

QUICK = (Cloud(0, 0), Cloud(2000, 0))
DEFAULT = (Cloud(0, 0), Cloud(10000, 0), Cloud(50000, 1000), Cloud(0, 5000))
FULL = (*DEFAULT[:2], Cloud(50000, 0), Cloud(0, 1000), *DEFAULT[2:])
OTHERS = "an empty cloud"
HEALTH = Cloud(0, 5000)


class Run:
    """One comparison."""

    def __init__(self, options: argparse.Namespace, templates: Path) -> None:
        self._options = options
        self._templates = templates
        self._subjects = [Subject(name, Path(venv)) for name, venv in options.driver]
        self.results = Results([subject.name for subject in self._subjects])

    def all(self) -> None:
        """Take all measures."""
        for cloud in self._options.clouds:
            self.cloud(cloud)
        for measures in ("many", "throughput", "events", "sync"):
            if measures in self._options.measures:
                getattr(self, measures)()

    def cloud(self, cloud: Cloud) -> None:
        """Start, operations, memory and health events in a cloud of some size."""
        with self._sides(str(cloud), cloud, agent=False) as sides:
            self._take(str(cloud), sides, "start")
            for _ in range(self._options.rounds):
                self._take(str(cloud), sides, "operations")
            self._take(str(cloud), sides, "health")
            self._take(str(cloud), sides, "memory")
            self._take(str(cloud), sides[-1:], "take_over")
            if cloud.lbs:
                self._take(str(cloud), sides[-1:], "check")

    def many(self) -> None:
        """Large requests."""
        with self._sides(OTHERS) as sides:
            for count in self._options.batches:
                self._take(OTHERS, sides, "batch", count)
            self._take(OTHERS, sides, "populated", 5, 20)

    def throughput(self) -> None:
        """Several clients."""
        with self._sides("4 clients", workers=2) as sides:
            for _ in range(self._options.rounds):
                self._take(OTHERS, sides, "throughput", 20)

    def events(self) -> None:
        """What the agent does by itself."""
        with self._sides("events") as sides:
            self._take(OTHERS, sides, "router_interface", self._options.event_lbs)
            for _ in range(self._options.rounds):
                self._take(OTHERS, sides, "floating_ip")
            self._take(OTHERS, sides, "wide_router", self._options.networks)

    def sync(self) -> None:
        """Compare with Octavia, as many load balancers as each driver can in reasonable time."""
        first, *_, last = self._options.sync_lbs
        counts = [first] * (len(self._subjects) - 1) + [last]
        with self._sides("sync") as sides:
            for side, count in zip(sides, counts, strict=True):
                self._take(OTHERS, [side], "sync", count)

    # --- helpers

    @contextlib.contextmanager
    def _sides(self, what: str, cloud: Cloud | None = None, **lab: object) -> Iterator[list[Side]]:
        print(f"{datetime.datetime.now():%H:%M:%S} {what}", file=sys.stderr, flush=True)
        with contextlib.ExitStack() as stack:
            sides = [
                stack.enter_context(Side(each, self._template(each, cloud or Cloud()), **lab))
                for each in self._subjects
            ]
            if cloud and cloud.lbs:
                for side in sides:
                    side.run("know", str(self._filled(side.subject, cloud)))
            yield sides

    def _take(self, case: str, sides: Sequence[Side], measure: str, *args: object) -> None:
        """Take a measure on each side in turn."""
        for side in sides:
            start = time.monotonic()
            self.results.add(side.subject.name, case, side.run(measure, *args))
            seconds = time.monotonic() - start
            print(f"  {measure} {side.subject.name}: {seconds:.0f} s", file=sys.stderr, flush=True)

    def _template(self, subject: Subject, cloud: Cloud) -> Path | None:
        """Return the database of a cloud, made when it is first needed."""
        if cloud == Cloud():
            return None
        path = self._templates / f"{subject.name if cloud.lbs else 'any'}-{cloud}.db"
        if path.exists():
            return path
        base = None
        if cloud.lbs:
            base = self._filled(subject, cloud)
            if not base.exists():
                with Side(subject, None) as side:
                    side.run("fill", cloud.lbs, cloud.members, str(base))
        scale.make(path, cloud.ports, base)
        return path

    def _filled(self, subject: Subject, cloud: Cloud) -> Path:
        return self._templates / f"{subject.name}-{cloud.lbs}-{cloud.members}.db"


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--driver",
        action="append",
        type=_name_and_path,
        metavar="NAME=VENV",
        help="a driver and its virtual environment; ratios are the first one's figures over the"
        " last one's",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small clouds, few rounds (2 minutes)")
    size.add_argument("--full", action="store_true", help="all sizes of clouds (half an hour)")
    parser.add_argument(
        "--clouds",
        type=_clouds,
        metavar="PORTS/LBS/MEMBERS,…",
        help="sizes of clouds, instead of the usual; none: no clouds",
    )
    parser.add_argument("--rounds", type=int, help="rounds, in which the drivers alternate")
    parser.add_argument(
        "--measures", default="many,throughput,events,sync", help="besides those of the clouds"
    )
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--text", type=Path, help="file for the table")
    parser.add_argument("--plots", type=Path, help="directory for plots of cost against size")
    parser.add_argument("--replay", type=Path, help="show the figures of an earlier --json")
    options = parser.parse_args()
    if not (options.driver or options.replay):
        parser.error("--driver is needed")
    usual = QUICK if options.quick else FULL if options.full else DEFAULT
    options.clouds = usual if options.clouds is None else options.clouds
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.measures = options.measures.split(",")
    options.batches = (10, 50) if options.quick else (10, 100, 500)
    options.event_lbs = 20 if options.quick else 100
    options.networks = 10 if options.quick else 50
    options.sync_lbs = (10, 100) if options.quick else (20, 1000)
    return options


def _name_and_path(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VENV")
    return name, str(Path(path).absolute())


def _clouds(text: str) -> tuple[Cloud, ...]:
    sizes = [each.split("/") for each in text.split(",")] if text != "none" else []
    return tuple(Cloud(*map(int, size)) for size in sizes)


def about(options: argparse.Namespace) -> dict[str, object]:
    """Return what is to be known about a run: machine, versions."""
    server = subprocess.run(["ovsdb-server", "--version"], capture_output=True, check=True)
    return {
        "when": f"{datetime.datetime.now():%Y-%m-%d %H:%M}",
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "ovsdb-server": server.stdout.decode().split()[-1],
        "drivers": {name: _versions(venv) for name, venv in options.driver},
    }


def _versions(venv: str) -> dict[str, str]:
    """Return the versions that matter in a virtual environment, and who parses JSON there."""
    code = """
import importlib.metadata, ovs.json
for name in ("octavia-ovn", "ovn-octavia-provider", "octavia-lib", "ovs", "ovsdbapp"):
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        pass
print("JSON-parser-of-ovs", ovs.json.PARSER)
"""
    python = Path(venv) / "bin" / "python"
    done = subprocess.run([python, "-c", code], capture_output=True, check=True, cwd="/", text=True)
    return dict(line.split() for line in done.stdout.splitlines())


def main() -> None:
    """Run the comparison and show it."""
    options = parse_arguments()
    if options.replay:
        text = options.replay.read_text(encoding="utf-8")
        show(Results.from_json(text), options)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    templates = Path(tempfile.mkdtemp(prefix="octavia-ovn-bench-"))
    run = Run(options, templates)
    try:
        run.all()
    finally:
        shutil.rmtree(templates)
        if options.json:
            options.json.write_text(run.results.to_json(about(options)), encoding="utf-8")
        show(run.results, options)


def show(results: Results, options: argparse.Namespace) -> None:
    """Print, and write what was asked for."""
    table = results.to_table()
    print(table)
    print(goals.table(results))
    print(profile.table(results, str(Cloud())))
    if options.text:
        options.text.write_text(table, encoding="utf-8")
    if options.plots:
        plots.write(results, options.plots)


if __name__ == "__main__":
    main()
