# SPDX-License-Identifier: Apache-2.0
"""Health checks at the agent: the Southbound database, and the chassis that probe members."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable

import ovs.poller
from oslo_log import log

from octavia_ovn.adapters.northbound.replica import Northbound
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.wire import Schema
from octavia_ovn.adapters.probing.server import ChassisServer
from octavia_ovn.adapters.southbound.chassis import ChassisRows
from octavia_ovn.adapters.southbound.service_monitors import Southbound
from octavia_ovn.attempts import Attempts
from octavia_ovn.config import octavia as config
from octavia_ovn.config.statistics import AgentStatistics, check_master_key
from octavia_ovn.controller.chassis_connections import ChassisConnections
from octavia_ovn.controller.probing import Probing
from octavia_ovn.core.dependencies import Dependency
from octavia_ovn.errors import BadConfiguration, failure
from octavia_ovn.observer import SILENT, Observer

LOG = log.getLogger(__name__)


class HealthChecks:
    """Follows the Southbound database, once it has been reached.

    Only load balancers with health checks need it, so its absence must not stop the others.

    :param executor: fetches the schema, beside the main loop
    :param wake: makes the main loop run
    :param clock: seconds, monotonic
    """

    def __init__(
        self,
        sb: Southbound,
        executor: concurrent.futures.Executor,
        wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sb = sb
        self._executor = executor
        self._wake = wake
        self._attempts = Attempts(
            "Health checks are not followed: %s",
            "Health checks are followed",
            first_pause=1.0,
            clock=clock,
        )
        self._schema: concurrent.futures.Future[Schema] | None = None

    def run(self) -> None:
        """Process what the database has sent, or connect to it; called by the main loop."""
        if self._sb.is_open:
            self._sb.run()
        elif self._schema is None:
            if self._attempts.is_due:
                self._schema = self._executor.submit(self._sb.fetch_schema)
                self._schema.add_done_callback(lambda _: self._wake())
        elif self._schema.done():
            asked, self._schema = self._schema, None
            self._attempts.run(lambda: self._sb.open(asked.result()))


class Health:
    """What the agent needs to know the health of members.

    :param changed: called with a dependency when a health state has changed
    :param wake: makes the main loop turn
    """

    def __init__(  # noqa: PLR0913 - by keyword
        self,
        settings: config.Settings,
        nb: Northbound,
        executor: concurrent.futures.Executor,
        *,
        changed: Callable[[Dependency], None],
        wake: Callable[[], None],
        observer: Observer = SILENT,
    ) -> None:
        enabled = settings.health.enabled
        chassis = ChassisRows(self._locate)
        self.sb = Southbound(
            Endpoint.parse(*settings.sb),
            changed=changed,
            timeout=settings.connection_timeout,
            probe_interval=settings.probe_interval,
            max_backoff=1000 * settings.ovsdb_retry_max_interval,
            chassis=chassis if enabled else None,
        )
        self._checks = HealthChecks(self.sb, executor, wake)
        self.probing = Probing(
            nb,
            chassis if enabled else None,
            wake=wake,
            timeout=settings.health.chassis_timeout,
            observer=observer,
        )
        self._connections = (
            _connections(settings.statistics, self.probing, observer) if enabled else None
        )

    def _locate(self, port: str, *chassis: str) -> None:
        self.probing.locate(port, *chassis)

    def start(self) -> None:
        """Start the thread that serves chassis."""
        if self._connections is not None:
            self._connections.start()

    def set_leader(self, *, is_leader: bool) -> None:
        """Set whether this agent is the leader: only then chassis are served."""
        if self._connections is not None:
            self._connections.set_leader(is_leader=is_leader)

    def run(self) -> None:
        """Process what the Southbound database has sent."""
        self._checks.run()

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have the poller return when there is something to process."""
        self.sb.wait(poller)

    def close(self) -> None:
        """Disconnect."""
        if self._connections is not None:
            self._connections.close(timeout=0.0)
        self.sb.close()


def _connections(
    options: AgentStatistics, probing: Probing, observer: Observer
) -> ChassisConnections | None:
    """Return what serves chassis; None when they have no keys."""
    error = failure(lambda: _check_key(options.master_key))
    if error is not None:
        LOG.error("No chassis can report the health of members: %s", error)
        return None
    return ChassisConnections(
        lambda: ChassisServer(options.bind_host, options.bind_port, options.master_key, probing),
        observer,
    )


def _check_key(key: str) -> None:
    if not key:
        msg = (
            "[ovn_health] enabled is true, but [ovn_statistics] master_key is empty: set it on all"
            " controllers, and the key that follows from it on each chassis"
        )
        raise BadConfiguration(msg)
    check_master_key(key)
