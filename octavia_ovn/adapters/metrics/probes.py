# SPDX-License-Identifier: Apache-2.0
"""Counters of probes on a chassis for Prometheus. Imported only when `metrics_port` is set."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from octavia_ovn.core.probing.counters import BUCKETS, Counters

_PREFIX = "octavia_ovn_chassis_"


_PROBES = partial(Counter, f"{_PREFIX}probes", "Probes of members.", labels=("type", "result"))
_MEMBERS = partial(Gauge, f"{_PREFIX}probed_members", "Members, by state.", labels=("state",))
_DELAYED = partial(
    Counter, f"{_PREFIX}probes_delayed", "Probes that came late for their project.", labels=()
)
_CHANGES = partial(Counter, f"{_PREFIX}probe_changes", "Changes to a state.", labels=("state",))
_SOURCES = partial(
    Gauge, f"{_PREFIX}probe_sources", "Ports that probes come from.", labels=("ready",)
)
_CONNECTED = partial(
    Gauge, f"{_PREFIX}agent_connected", "Whether an agent takes results (1) or not (0).", labels=()
)


class Numbers(Protocol):
    """What is exported."""

    counters: Counters

    @property
    def connected(self) -> bool:
        """Whether an agent takes the results."""

    @property
    def states(self) -> Mapping[str, int]:
        """How many members are in each state."""

    @property
    def sources(self) -> Mapping[bool, int]:
        """How many sources are ready, and how many are not."""


class _Metrics(Collector):
    """Called by the library's server in another thread, for each scrape."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are."""
        counters, numbers = self._numbers.counters, self._numbers
        ready = {"yes" if each else "no": count for each, count in numbers.sources.items()}
        yield _fill(_PROBES(), dict(counters.endings))
        yield self._durations()
        yield _fill(_DELAYED(), {(): counters.delayed})
        yield _fill(_MEMBERS(), _one(numbers.states))
        yield _fill(_CHANGES(), _one(dict(counters.changes)))
        yield _fill(_SOURCES(), _one(ready))
        yield _fill(_CONNECTED(), {(): int(numbers.connected)})

    def _durations(self) -> Metric:
        counters = self._numbers.counters
        text = "Duration of probes, in seconds."
        family = Histogram(f"{_PREFIX}probe_duration_seconds", text, labels=("type",))
        bounds = ["+Inf" if bound == math.inf else f"{bound}" for bound in BUCKETS]
        for kind, row in dict(counters.durations).items():
            buckets = list(zip(bounds, itertools.accumulate(row), strict=True))
            family.add_metric((kind,), buckets, counters.seconds.get(kind, 0.0))
        return family


_Series = Mapping[tuple[str, ...], int]


def _one(values: Mapping[str, int]) -> _Series:
    """Return series with one label."""
    return {(label,): number for label, number in values.items()}


def _fill(family: Counter | Gauge, series: _Series) -> Metric:
    for values, number in series.items():
        family.add_metric(values, number)
    return family


def register(registry: CollectorRegistry, numbers: Numbers) -> None:
    """Have a registry show numbers as they are whenever it is asked."""
    registry.register(_Metrics(numbers))
