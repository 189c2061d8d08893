# SPDX-License-Identifier: Apache-2.0
"""Metrics of the agent in general, and those of what chassis check and count."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

from octavia_ovn.core.health import HealthState
from octavia_ovn.observer import Observer

_PREFIX = "octavia_ovn"


class Instruments(Observer):
    """Makes metrics in a registry of its own."""

    def __init__(self) -> None:
        # Otherwise each counter is exported with a second series, of when it was made.
        prometheus_client.disable_created_metrics()
        self.registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: tuple[str, Iterable[str]]) -> Counter:
        """Return a counter; its series exist from now on if the values of its labels are known."""
        names = [label for label, _ in labels]
        counter = Counter(f"{_PREFIX}_{name}", text, names, registry=self.registry)
        for values in itertools.product(*(values for _, values in labels)) if labels else ():
            counter.labels(*values)
        return counter


class ChassisMetrics(Instruments):
    """What chassis check and count."""

    def __init__(self) -> None:
        super().__init__()
        text = "Chassis of probed members: whether their program is connected or silent."
        self._chassis = self._gauge("chassis", text, "state")
        self._probed = self._gauge("probed_members", "Members that chassis probe.")
        states = ("state", [HealthState.UP.value, HealthState.DOWN.value])
        text = "How often chassis have found a member in another state, by state."
        self._flips = self._counter("probe_results", text, states)
        text = "Listeners with a limit of connections: whether they let new ones in or are full."
        self._limited = self._gauge("limited_listeners", text, "state")

    def probes(self, *, connected: int, silent: int, members: int) -> None:
        """Record how many chassis probe, and what."""
        self._chassis.labels("connected").set(connected)
        self._chassis.labels("silent").set(silent)
        self._probed.set(members)

    def flips(self, state: HealthState, count: int) -> None:
        """Count members that have been found in another state."""
        self._flips.labels(state.value).inc(count)

    def limits(self, *, limited: int, closed: int) -> None:
        """Record how many listeners have as many connections as they may."""
        self._limited.labels("open").set(limited - closed)
        self._limited.labels("full").set(closed)
