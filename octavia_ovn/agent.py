# SPDX-License-Identifier: Apache-2.0
"""The provider agent: octavia-driver-agent forks a process and calls :func:`run` in it.

Of all controllers' agents the one with the OVSDB lock is active; the others stand by with warm
replicas. The main loop owns the replicas; other threads call Neutron and Octavia.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event

from octavia_ovn import without_eventlet  # noqa: F401 - before the library

# isort: split
import ovs.poller
from oslo_log import log

from octavia_ovn import wiring
from octavia_ovn.adapters.northbound.replica import DATABASE, Northbound
from octavia_ovn.adapters.octavia.notifications import announcer
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.replica import fetch_schema
from octavia_ovn.adapters.ovsdb.wire import Schema
from octavia_ovn.adapters.statistics.datagrams import AgentSocket
from octavia_ovn.config import octavia as config
from octavia_ovn.config.statistics import AgentStatistics, check_master_key
from octavia_ovn.controller.connection_limits import ConnectionLimits
from octavia_ovn.controller.drift.periodic import POPULATED, DriftCheck, PeriodicThread
from octavia_ovn.controller.listener_counters import Accounts
from octavia_ovn.controller.loop import Controller
from octavia_ovn.controller.statistics import Chassis, Listeners, Statistics, StatisticsReceiver
from octavia_ovn.core.dependencies import Dependency
from octavia_ovn.core.text import plain
from octavia_ovn.errors import BadConfiguration, failure
from octavia_ovn.health import Health
from octavia_ovn.observer import SILENT, Defect, Observer
from octavia_ovn.supervised import DaemonExecutor
from octavia_ovn.waker import Waker

LOG = log.getLogger(__name__)

LOCK = "octavia_ovn_agent"
_EXIT_POLL = 0.5
"""Seconds between two checks of the exit event, which cannot be polled with sockets."""
_NEUTRON_THREADS = 8
_NEW_OBJECTS = 10_000
"""Between two searches for garbage, instead of 700: what is made of rows is none."""
_CLOSE_TIMEOUT = 20.0
"""Seconds for messages that are being sent when the agent stops; octavia-driver-agent waits for 60.
A deletion that is interrupted, or that the next leader sends meanwhile, is counted down twice."""


class Agent:
    """Replicas, controller and the loop that drives them; nothing is connected before it runs.

    :param schema: of the Northbound database
    :raises BadConfiguration: naming the option that is wrong
    :raises Refused: when OVN lacks something that is needed
    """

    def __init__(
        self, settings: config.Settings, schema: Schema, observer: Observer = SILENT
    ) -> None:
        with contextlib.ExitStack() as opened:
            self._build(settings, schema, observer, opened)
            self._opened = opened.pop_all()

    def _build(
        self,
        settings: config.Settings,
        schema: Schema,
        observer: Observer,
        opened: contextlib.ExitStack,
    ) -> None:
        """Make the parts; what has been opened is closed when one of them cannot be made.

        The process stays: octavia-driver-agent calls again and again.
        """
        self._observer = observer
        self._waker = Waker()
        opened.callback(self._waker.close)
        self._executor = concurrent.futures.ThreadPoolExecutor(
            _NEUTRON_THREADS, thread_name_prefix="task"
        )
        opened.callback(self._executor.shutdown, wait=False, cancel_futures=True)
        parts = wiring.build(settings, observer)
        self._nb = self._northbound(settings, schema)
        opened.callback(self._nb.close)
        self._health = Health(
            settings,
            self._nb,
            self._executor,
            changed=self._changed,
            wake=self._waker.wake,
            observer=observer,
        )
        opened.callback(self._health.close)
        self._limits = ConnectionLimits(self._nb, wake=self._waker.wake, observer=observer)
        self._controller = self._control(settings, parts, opened)
        opened.callback(self._controller.close, timeout=_CLOSE_TIMEOUT)
        self._drift_check = DriftCheck(
            parts.repair(patience=0.0),
            parts.octavia,
            parts.neutron,
            self._controller.release_source,
            grace=settings.pending_grace,
            observer=observer,
        )
        self._watch = PeriodicThread(
            self._round, settings.sync_interval, observer=observer, single=self._drift_check.compare
        )
        opened.callback(self._watch.close, timeout=0.0)
        self._listeners = Listeners(self._waker.wake)
        self._statistics = self._collect(settings.statistics, parts)
        if self._statistics is not None:
            opened.callback(self._statistics.close, timeout=0.0)
        self._is_leader = False
        self._is_first_round = True

    def _northbound(self, settings: config.Settings, schema: Schema) -> Northbound:
        return Northbound(
            Endpoint.parse(*settings.nb),
            schema,
            changed=self._changed,
            row_changed=self._row_changed,
            row_lost=self._row_lost,
            lock=LOCK,
            timeout=settings.connection_timeout,
            probe_interval=settings.probe_interval,
            max_backoff=1000 * settings.ovsdb_retry_max_interval,
            observer=self._observer,
        )

    def _control(
        self, settings: config.Settings, parts: wiring.Runtime, opened: contextlib.ExitStack
    ) -> Controller:
        return Controller(
            self._nb,
            self._health.sb,
            parts.neutron,
            parts.octavia,
            parts.driver_agent,
            self._executor,
            self._waker.wake,
            sender=DaemonExecutor("reporter", self._observer),
            retry_max=settings.retry_max_interval,
            populated=lambda lb_id: self._watch.suspect(lb_id, POPULATED),
            announce=announcer(opened, self._observer, enabled=settings.event_notifications),
            probing=self._health.probing,
            max_denied=settings.admission.max_denied_cidrs,
            limits=self._limits,
            recorded_projects=settings.statistics.flow_records_projects,
            observer=self._observer,
        )

    def _collect(self, options: AgentStatistics, parts: wiring.Runtime) -> Statistics | None:
        """Return what collects statistics; None when they are switched off."""
        if not options.master_key:
            return None
        error = failure(lambda: check_master_key(options.master_key))
        if error is not None:
            # Load balancers do not depend on it.
            LOG.error("Statistics are not collected: %s", error)
            return None

        def ledger(chassis: Chassis) -> StatisticsReceiver:
            accounts = Accounts(
                parts.listing, parts.driver_agent, self._listeners.ask, self._observer
            )
            return StatisticsReceiver(chassis, accounts, options.report_interval, self._limits)

        return Statistics(
            lambda: AgentSocket(
                options.bind_host, options.bind_port, options.master_key, self._observer
            ),
            ledger,
            self._observer,
        )

    def _round(self, running: Callable[[], bool]) -> bool:
        """Compare with Octavia and Neutron, then reconcile every load balancer."""
        succeeded = self._drift_check.round(running)
        _give_memory_back()
        if self._is_first_round:  # all have been enqueued seconds ago
            self._is_first_round = False
        else:
            self._controller.resync()
        return succeeded

    def _changed(self, dependency: Dependency) -> None:
        self._controller.changed(dependency)

    def _row_changed(self, lb_id: str) -> None:
        if self._is_leader:  # otherwise all are enqueued at the next leadership change
            self._controller.enqueue(lb_id)

    def _row_lost(self, lb_id: str) -> None:
        """Have a load balancer compared of which another client has deleted a row."""
        if self._is_leader:  # otherwise all are compared soon after the next leadership change
            LOG.warning("A row of load balancer %s was deleted by another client", plain(lb_id))
            self._watch.suspect(lb_id)

    def run(self, exit_event: Event) -> None:
        """Work until the event is set or octavia-driver-agent has gone."""
        with self._opened:
            self._watch.start()
            self._health.start()
            if self._statistics is not None:
                self._statistics.start()
            while not exit_event.is_set() and not _is_orphan():
                self._turn()

    def _turn(self) -> None:
        self._waker.clear()
        self._nb.run()
        self._health.run()
        self._update_leadership()
        self._observer.turns(
            northbound=self._nb.replica.connected, southbound=self._health.sb.connected
        )
        self._answer()
        due = self._controller.turn() if self._is_leader else None
        poller = ovs.poller.Poller()
        self._nb.wait(poller)
        self._health.wait(poller)
        self._waker.wait(poller)
        poller.timer_wait(int(1000 * min(_EXIT_POLL, _EXIT_POLL if due is None else due)))
        poller.block()

    def _update_leadership(self) -> None:
        """Begin or end a leadership term, as the lock says."""
        is_leader = self._nb.replica.has_lock and self._nb.replica.synced
        if is_leader and not self._is_leader:
            LOG.info("Acquired OVSDB lock %s; this agent is now active", LOCK)
            self._controller.enqueue_all()
            gc.freeze()  # rows are no garbage: no collection needs to search them
            self._is_first_round = True
            _give_memory_back()
        elif self._is_leader and not is_leader:
            LOG.info("Lost OVSDB lock %s; standing by", LOCK)
            self._controller.stand_by()
        if is_leader is not self._is_leader:
            self._observer.leads(is_leader=is_leader)
            self._watch.set_leader(is_leader=is_leader)
            self._health.set_leader(is_leader=is_leader)
            if self._statistics is not None:
                self._statistics.set_leader(is_leader=is_leader)
        self._is_leader = is_leader

    def _answer(self) -> None:
        """Answer look-ups of the statistics."""
        try:
            self._listeners.answer(self._nb.listeners)
        # Load balancers do not depend on statistics, which ask again.
        except Exception:
            LOG.exception("Listeners could not be looked up for the statistics")
            self._observer.meets(Defect.RESULT)


def _is_orphan() -> bool:
    """Whether octavia-driver-agent, which has started this process, has gone.

    When it is killed this process stays; a successor starts another agent, and this one would
    continue with an old configuration.
    """
    parent = multiprocessing.parent_process()
    if parent is None or os.getppid() == parent.pid:
        return False
    LOG.warning("octavia-driver-agent has gone; its OVN provider agent stops")
    return True


def _give_memory_back() -> None:
    """Return what large answers have left behind to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def start(settings: config.Settings, observer: Observer = SILENT) -> Agent:
    """Read the schema of the Northbound database, and return an agent for it.

    :raises BadConfiguration: naming the option that is wrong
    :raises Unavailable: when the database does not answer
    :raises Refused: when OVN lacks something that is needed
    """
    endpoint = Endpoint.parse(*settings.nb)
    return Agent(settings, fetch_schema(endpoint, DATABASE, settings.connection_timeout), observer)


def run(exit_event: Event) -> None:
    """Run the provider agent until octavia-driver-agent sets the event.

    :raises BadConfiguration: naming the option that is wrong
    :raises Unavailable: when OVN's databases do not answer; octavia-driver-agent calls again
    """
    if _is_orphan():  # after a start that failed, too
        return
    started = time.monotonic()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
    settings = config.load()
    with _observer(settings) as observer:
        agent = start(settings, observer)
        LOG.info("The OVN provider agent has started in %.1f s", time.monotonic() - started)
        agent.run(exit_event)


@contextlib.contextmanager
def _observer(settings: config.Settings) -> Iterator[Observer]:
    """Serve metrics if they are switched on; only then the library is loaded.

    :raises BadConfiguration: when the library is not installed
    """
    if not settings.metrics_port:
        yield SILENT
        return
    try:
        from octavia_ovn.adapters.metrics import agent as prometheus  # noqa: PLC0415 - see above
        from octavia_ovn.adapters.metrics import exporter  # noqa: PLC0415
    except ImportError as error:
        msg = (
            f"[ovn] metrics_port is {settings.metrics_port}, but metrics need a package that is not"
            f" installed ({error}): install octavia-ovn[metrics], or set metrics_port to 0"
        )
        raise BadConfiguration(msg) from error
    metrics = prometheus.Metrics()
    address = settings.metrics_address, settings.metrics_port
    with exporter.served(metrics.registry, *address, observer=metrics):
        yield metrics
