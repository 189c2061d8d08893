# SPDX-License-Identifier: Apache-2.0
"""The command `octavia-ovn-chassis`, on each chassis: statistics, and health checks if enabled.

`octavia-ovn-stats` is the same command: its name of when statistics were all that it did.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from octavia_ovn import without_eventlet  # noqa: F401 - before the library

# isort: split
from oslo_config import cfg
from oslo_log import log

from octavia_ovn.adapters.openvswitch.host import LocalSwitch
from octavia_ovn.adapters.openvswitch.probe_ports import ProbePorts
from octavia_ovn.collector import Collector
from octavia_ovn.config import health, statistics
from octavia_ovn.config.command_line import configured
from octavia_ovn.config.reader import value
from octavia_ovn.errors import BadConfiguration, failure

if TYPE_CHECKING:
    from octavia_ovn.adapters.probing.job import HealthJob

LOG = log.getLogger(__name__)

_NAME, _OLD_NAME = "octavia-ovn-chassis", "octavia-ovn-stats"
_CLEAN = cfg.BoolOpt(
    "clean",
    default=False,
    help="Remove the ports and network namespaces that checks of members came from, and exit:"
    " after health checks have been turned off.",
)
_TIMEOUT = 10.0
"""Seconds that Open vSwitch's database may take."""
_PATIENCE = 5.0
"""Seconds for health checks to end."""
_DESCRIPTION = (
    "Count the traffic of load balancers on this chassis and check their members that run here, and"
    " report both to the provider agents."
)
_EPILOG = (
    "Exit status: 0 - ended by SIGTERM or SIGINT; 1 - an option or a package is wrong or missing;"
    " 2 - the command line or a configuration file cannot be read."
    " Example: octavia-ovn-chassis --config-file /etc/octavia-ovn-chassis/octavia-ovn-chassis.conf"
)
_FAILED = 1
_USAGE = 2


def _project() -> str:
    """Return the project of the default configuration file: the old one if only that is there."""
    return next((each for each in (_NAME, _OLD_NAME) if cfg.find_config_files(each)), _NAME)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command until SIGTERM or SIGINT.

    :param arguments: of the command line; None for those of the process
    :returns: 0, 1 after an error, 2 when the command line is wrong
    """
    conf = configured(
        arguments,
        name=_OLD_NAME if Path(sys.argv[0]).name == _OLD_NAME else _NAME,
        project=_project(),
        description=_DESCRIPTION,
        epilog=_EPILOG,
        opts=statistics.list_opts(),
        switches=[_CLEAN],
    )
    if conf is None:
        return _USAGE
    error = failure(lambda: _run(conf))
    if error is not None:
        LOG.error("%s", error)
        return _FAILED
    return 0


def _run(conf: cfg.ConfigOpts) -> None:
    settings = statistics.collector(conf)
    switch = LocalSwitch(settings.ovs_rundir)
    ports = ProbePorts(switch, settings.ovs_rundir, _TIMEOUT)
    if conf.clean:
        _clean(ports)
        return
    job = None
    if value(conf, health.SECTION, "enabled"):
        job = _health(conf, settings, switch, ports)
    collector = Collector(settings)
    with offered(collector, settings, job), _stopping() as running, _working(job):
        collector.run(running)


@contextlib.contextmanager
def _requiring(packages: str, option: str, otherwise: str) -> Iterator[None]:
    """Import what an option needs.

    :param packages: the extra that has them
    :param otherwise: the other way out
    :raises BadConfiguration: when a package is missing
    """
    try:
        yield
    except ImportError as error:
        msg = (
            f"{option}, but a package is missing ({error}): install octavia-ovn[{packages}],"
            f" or {otherwise}"
        )
        raise BadConfiguration(msg) from error


def _health(
    conf: cfg.ConfigOpts,
    settings: statistics.CollectorStatistics,
    switch: LocalSwitch,
    ports: ProbePorts,
) -> HealthJob:
    option = f"[{health.SECTION}] enabled is True"
    with _requiring("health", option, "set enabled to False"):
        from octavia_ovn.adapters.probing.job import HealthJob  # noqa: PLC0415 - packages of an extra
    return HealthJob(
        settings.controllers,
        settings.key,
        lambda: switch.identity().chassis,
        ports,
        value(conf, health.SECTION, "max_probes_per_project"),
    )


def _clean(ports: ProbePorts) -> None:
    with _requiring("health", "--clean is given", "use `ovs-vsctl del-port` and `ip netns delete`"):
        from octavia_ovn.adapters.probing import sources  # noqa: PLC0415 - packages of an extra
    LOG.info("Removed ports and network namespaces of checks: %d and %d", *sources.clean(ports))


@contextlib.contextmanager
def _working(job: HealthJob | None) -> Iterator[None]:
    """Check members, if that is enabled, during a `with` block."""
    if job is None:
        yield
        return
    job.start()
    try:
        yield
    finally:
        job.close(_PATIENCE)


@contextlib.contextmanager
def offered(
    collector: Collector,
    settings: statistics.CollectorStatistics,
    job: HealthJob | None = None,
) -> Iterator[None]:
    """Serve counters to Prometheus if `metrics_port` is set; the library is imported only then.

    :raises BadConfiguration: when the library is not installed
    """
    if not settings.metrics_port:
        yield
        return
    option = f"[{statistics.SECTION}] metrics_port is {settings.metrics_port}"
    with _requiring("metrics", option, "set metrics_port to 0"):
        from octavia_ovn.adapters.metrics import (  # noqa: PLC0415 - see above
            collector as statistics_metrics,
        )
        from octavia_ovn.adapters.metrics import exporter, probes  # noqa: PLC0415
    registry = statistics_metrics.registry(collector)
    if job is not None:
        probes.register(registry, job)
    address = settings.metrics_address, settings.metrics_port
    with exporter.served(registry, *address, statistics.SECTION):
        yield


@contextlib.contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns True until SIGTERM or SIGINT."""
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: signals.append(received))
    yield lambda: not signals


if __name__ == "__main__":
    sys.exit(main())
