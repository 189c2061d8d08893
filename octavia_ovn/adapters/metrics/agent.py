# SPDX-License-Identifier: Apache-2.0
"""Metrics of the agent for Prometheus. Imported only when `[ovn] metrics_port` is set.

Names follow https://prometheus.io/docs/practices/naming/: base units, `_total` for counters. Series
whose labels are known beforehand exist from the start, because Prometheus cannot see the increase
of a series that begins with its first event.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import metadata

from octavia_ovn.adapters.metrics.instruments import ChassisMetrics
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.request import names as naming
from octavia_ovn.core.statistics.messages import Reason
from octavia_ovn.core.status import Operating, Tree
from octavia_ovn.errors import NotFound, OctaviaOvnError, Refused, Unavailable
from octavia_ovn.observer import Defect, Drift, Step

_REQUEST_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_CALL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TRANSACTION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30)

SUCCESS, ERROR, FAILED, REMOVED = "success", "error", "failed", "removed"
_RESULTS: Mapping[type[OctaviaOvnError], str] = {
    NotFound: "not_found",
    Refused: "refused",
    Unavailable: "unavailable",
    OctaviaOvnError: FAILED,
}
"""The results of calls and transactions that end in errors; the first that fits."""
CALL_RESULTS = (SUCCESS, *_RESULTS.values())
DATAGRAM_RESULTS = ("accepted", *(each.value for each in Reason))
"""How a datagram with statistics is handled."""
NOTIFICATION_RESULTS = ("sent", "dropped", "failed")
"""What becomes of a notification."""
THREADS = ("reporter", "watch", "statistics", "chassis", "notifications", "metrics")
"""The threads of an agent beside its main loop."""

_Shown = tuple[Operating, Mapping[Operating, int]]
"""The operating status of a load balancer, and how many members have which."""


class Metrics(ChassisMetrics):
    """What an agent has seen, in a registry of its own.

    :param clock: seconds, monotonic
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._since: dict[tuple[str, str], float] = {}
        """When each request was seen first that Octavia waits for, the oldest first."""
        self._waiting: dict[str, tuple[str, ...]] = {}
        self._shown: dict[str, _Shown] = {}
        self._defective: set[tuple[str, Defect]] = set()
        self._active = False
        self._make_agent()
        self._make_requests()
        self._make_defects()
        self._make_outside()
        self._make_findings()
        self._make_statistics()
        self.leads(is_leader=False)

    # --- definitions

    def _make_agent(self) -> None:
        build = self._gauge("build_info", "Always 1; the label names the version.", "version")
        build.labels(metadata.version("octavia-ovn")).set(1)
        self._lock_held = self._gauge(
            "lock_held",
            "Whether this agent holds the OVSDB lock and is active (1), or stands by (0).",
        )
        self._connected = self._gauge(
            "database_connected",
            "Whether this agent is connected to a database (1) or not (0).",
            "database",
        )
        self._last_turn = self._gauge(
            "loop_last_turn_timestamp_seconds",
            "When the main loop last completed an iteration, in seconds since 1970.",
        )

    def _make_requests(self) -> None:
        self._requests = self._counter(
            "requests",
            "Requests whose end Octavia has accepted, by kind and result.",
            ("kind", (*naming.KINDS.values(), naming.UNKNOWN)),
            ("result", (SUCCESS, ERROR, REMOVED)),
        )
        self._request_duration = self._histogram(
            "request_duration_seconds",
            "Seconds from when the agent saw a request until Octavia accepted its end.",
            _REQUEST_BUCKETS,
            "kind",
        )
        pending = self._gauge("requests_pending", "Requests that Octavia waits for.")
        pending.set_function(lambda: len(self._since))
        oldest = self._gauge(
            "oldest_request_age_seconds",
            "Seconds for which Octavia has been waiting for the oldest request; 0 if for none.",
        )
        oldest.set_function(self._oldest)
        self._queue_length = self._gauge(
            "queue_length", "Load balancers in the queue to be reconciled, retries included."
        )
        self._queue_age = self._gauge(
            "queue_age_seconds",
            "Seconds for which the oldest load balancer in the queue has been waiting.",
        )
        self._retries = self._counter(
            "retries",
            "Failed steps that are tried again, by step.",
            ("step", [each.value for each in Step]),
        )

    def _make_defects(self) -> None:
        defective = self._gauge(
            "defective_load_balancers",
            "Load balancers that a defect of the agent keeps from being realised.",
        )
        defective.set_function(lambda: len({lb_id for lb_id, _ in list(self._defective)}))
        self._defects = self._counter(
            "defects",
            "Unexpected errors, by the step that raised them.",
            ("step", [each.value for each in Defect]),
        )
        self._crashes = self._counter(
            "thread_crashes",
            "Crashes of threads beside the main loop, each of which runs again, by thread.",
            ("thread", THREADS),
        )

    def _make_outside(self) -> None:
        self._transactions = self._counter(
            "transactions",
            "Transactions of the main loop that write to the Northbound database, by result.",
            ("result", (SUCCESS, "refused", "unavailable")),
        )
        self._conflicts = self._counter(
            "transaction_conflicts",
            "Transactions that were planned again because rows that they depend on had changed.",
        )
        self._transaction_duration = self._histogram(
            "transaction_duration_seconds",
            "Seconds that a transaction took that has written, planning and conflicts included.",
            _TRANSACTION_BUCKETS,
        )
        self._calls = self._counter(
            "calls",
            "Calls of other services, by service, operation and result.",
            ("service", ()),
            ("operation", ()),
            ("result", CALL_RESULTS),
        )
        self._call_duration = self._histogram(
            "call_duration_seconds",
            "Seconds that a call of another service took.",
            _CALL_BUCKETS,
            "service",
            "operation",
        )

    def _make_findings(self) -> None:
        self._load_balancers = self._gauge(
            "load_balancers",
            "Load balancers that the active agent knows, by operating status.",
            "operating_status",
        )
        self._members = self._gauge(
            "members",
            "Members of load balancers that the active agent knows, by operating status.",
            "operating_status",
        )
        drifts = ("drift", [each.value for each in Drift])
        self._found = self._counter(
            "drift_found",
            "Differences between Octavia, OVN and Neutron that were found, by kind.",
            drifts,
        )
        self._repaired = self._counter(
            "drift_repaired", "Differences that the agent has begun to repair, by kind.", drifts
        )
        self._comparisons = self._counter(
            "comparisons",
            "Comparisons of Octavia, OVN and Neutron, by result.",
            ("result", (SUCCESS, ERROR)),
        )

    def _make_statistics(self) -> None:
        self._datagrams = self._counter(
            "statistics_messages",
            "Datagrams of collectors that have arrived, by result.",
            ("result", DATAGRAM_RESULTS),
        )
        text = "How often the traffic of a listener was dropped, because Octavia refuses it."
        self._dropped = self._counter("statistics_dropped", text)
        text, results = "Notifications for billing, by result.", ("result", NOTIFICATION_RESULTS)
        self._notifications = self._counter("notifications", text, results)

    # --- the observer

    def leads(self, *, is_leader: bool) -> None:
        """Forget what has been seen: another agent may have changed it, or will from now on."""
        self._active = is_leader
        self._lock_held.set(is_leader)
        self._since.clear()
        self._waiting.clear()
        self._shown.clear()
        self._defective.clear()
        self.probes(connected=0, silent=0, members=0)
        self.limits(limited=0, closed=0)
        for gauge, status in itertools.product((self._load_balancers, self._members), Operating):
            gauge.labels(status.value).set(0)

    def follows(self, length: Callable[[], int], age: Callable[[], float]) -> None:
        """Read the queue at each scrape; that of a standby agent does not count."""
        self._queue_length.set_function(lambda: length() if self._active else 0)
        self._queue_age.set_function(lambda: age() if self._active else 0.0)

    def turns(self, *, northbound: bool, southbound: bool) -> None:
        """Record an iteration of the main loop, and which databases are connected."""
        self._last_turn.set_to_current_time()
        self._connected.labels("northbound").set(northbound)
        self._connected.labels("southbound").set(southbound)

    def waits(self, lb_id: str, requests: Collection[str]) -> None:
        """Remember when each pending request was first seen."""
        before, now = self._waiting.get(lb_id, ()), tuple(requests)
        if now == before:
            return
        for request in set(before).difference(now):
            del self._since[lb_id, request]
        for request in now:
            self._since.setdefault((lb_id, request), self._clock())
        self._waiting[lb_id] = now
        if not now:
            del self._waiting[lb_id]

    def ends(self, lb_id: str, requests: Collection[str], *, failed: bool) -> None:
        """Count requests, and how long they took."""
        for request in requests:
            kind = naming.kind(request)
            self._requests.labels(kind, ERROR if failed else SUCCESS).inc()
            since = self._since.get((lb_id, request))
            if since is not None:
                self._request_duration.labels(kind).observe(self._clock() - since)
        left = [each for each in self._waiting.get(lb_id, ()) if each not in requests]
        self.waits(lb_id, left)

    def shows(self, lb_id: str, statuses: Tree) -> None:
        """Count a load balancer and its members under their statuses."""
        members = collections.Counter(
            status for (kind, _), status in statuses.items() if kind is Kind.MEMBER
        )
        self._forget(lb_id)
        shown = (statuses[Kind.LOAD_BALANCER, lb_id], dict(members))
        self._shown[lb_id] = shown
        self._count(shown, 1)

    def vanishes(self, lb_id: str) -> None:
        """Stop counting a load balancer; its open requests count as removed."""
        self._forget(lb_id)
        self.overcomes(lb_id, *Defect)
        for request in self._waiting.get(lb_id, ()):
            self._requests.labels(naming.kind(request), REMOVED).inc()
        self.waits(lb_id, ())

    def _forget(self, lb_id: str) -> None:
        shown = self._shown.pop(lb_id, None)
        if shown is not None:
            self._count(shown, -1)

    def _count(self, shown: _Shown, sign: int) -> None:
        status, members = shown
        self._load_balancers.labels(status.value).inc(sign)
        for each, count in members.items():
            self._members.labels(each.value).inc(sign * count)

    def _oldest(self) -> float:
        since = next(iter(list(self._since.values())), None)
        return 0.0 if since is None else max(0.0, self._clock() - since)

    def retries(self, step: Step) -> None:
        """Count a retry."""
        self._retries.labels(step.value).inc()

    def meets(self, defect: Defect, lb_id: str | None = None) -> None:
        """Count a defect, and the load balancer that it concerns."""
        self._defects.labels(defect.value).inc()
        if lb_id is not None:
            self._defective.add((lb_id, defect))

    def overcomes(self, lb_id: str, *defects: Defect) -> None:
        """Stop counting a load balancer as defective, unless another step fails."""
        self._defective.difference_update((lb_id, each) for each in defects)

    def crashes(self, thread: str) -> None:
        """Count a crash."""
        self._crashes.labels(thread).inc()

    def finds(self, drift: Drift) -> None:
        """Count a difference."""
        self._found.labels(drift.value).inc()

    def repairs(self, drift: Drift) -> None:
        """Count a repair."""
        self._repaired.labels(drift.value).inc()

    def compares(self, *, succeeded: bool) -> None:
        """Count a comparison."""
        self._comparisons.labels(SUCCESS if succeeded else ERROR).inc()

    def receives_statistics(self, result: str) -> None:
        """Count a datagram."""
        self._datagrams.labels(result).inc()

    def drops_statistics(self) -> None:
        """Count a listener's traffic that is dropped."""
        self._dropped.inc()

    def announces(self, result: str) -> None:
        """Count a notification."""
        self._notifications.labels(result).inc()

    @contextlib.contextmanager
    def calls(self, service: str, operation: str) -> Iterator[None]:
        """Count a call, and how long it takes."""
        for result in CALL_RESULTS:
            self._calls.labels(service, operation, result)
        began = self._clock()
        result = FAILED
        try:
            yield
            result = SUCCESS
        except OctaviaOvnError as error:
            result = _result(error)
            raise
        finally:
            self._calls.labels(service, operation, result).inc()
            self._call_duration.labels(service, operation).observe(self._clock() - began)

    def commits(self, seconds: float, error: OctaviaOvnError | None = None) -> None:
        """Count a transaction, and how long it took if it has written."""
        self._transactions.labels(SUCCESS if error is None else _result(error)).inc()
        if error is None:
            self._transaction_duration.observe(seconds)

    def conflicts(self) -> None:
        """Count a conflict."""
        self._conflicts.inc()


def _result(error: OctaviaOvnError) -> str:
    return next(result for kind, result in _RESULTS.items() if isinstance(error, kind))
