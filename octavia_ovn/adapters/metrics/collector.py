# SPDX-License-Identifier: Apache-2.0
"""A collector's counters for Prometheus. Imported only when `metrics_port` is set."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from octavia_ovn.core.statistics.conntrack import MemberOpen
from octavia_ovn.core.statistics.member_bytes import Bytes
from octavia_ovn.core.statistics.members import Member
from octavia_ovn.core.statistics.traffic import Balancer, Key, Traffic

_LABELS = ("load_balancer", "protocol", "port")
_Labels = tuple[str, ...]
_Series = dict[_Labels, int]


class Numbers(Protocol):
    """What is exported."""

    totals: dict[Key, Traffic]
    open: dict[Key, int]
    open_by_member: MemberOpen

    @property
    def balancers(self) -> Mapping[str, Balancer]:
        """The load balancers by `row_uuid_prefix`."""

    @property
    def by_member(self) -> Mapping[Member, int]:
        """The connections of members."""

    @property
    def bytes_by_member(self) -> Mapping[Member, Bytes]:
        """The bytes of members."""

    @property
    def working(self) -> Mapping[str, bool]:
        """Whether each part of the collector works, by name."""

    @property
    def defects(self) -> Mapping[str, int]:
        """How many unexpected errors each part had."""


class _Metrics(Collector):
    """Called by the library's server in another thread, for each scrape."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are."""
        totals, current = dict(self._numbers.totals), dict(self._numbers.open)
        series = self._series({key: each.connections for key, each in totals.items()})
        yield _metric(Counter, "connections", "Connections to a listener.", series)
        series = self._series({key: each.bytes_in for key, each in totals.items()})
        yield _metric(Counter, "in_bytes", "Bytes from clients to a listener.", series)
        series = self._series(current)
        yield _metric(Gauge, "active_connections", "Connections that are open.", series)
        yield from self._of_members()
        working: _Series = {(name,): works for name, works in self._numbers.working.items()}
        text = "Whether a part of the collector works (1) or not (0)."
        yield _metric(Gauge, "collector_working", text, working, "part")
        defects: _Series = {(name,): number for name, number in self._numbers.defects.items()}
        yield _metric(Counter, "collector_defects", "Unexpected errors, by part.", defects, "part")

    def _of_members(self) -> Iterator[Metric]:
        labels = _labels(self._numbers.balancers)
        current: _Series = collections.defaultdict(int)
        for key, members in dict(self._numbers.open_by_member).items():
            for member, number in members.items():
                if member:
                    current[(*labels(key), member)] += number
        text = "Connections that are open to a member through a listener."
        names = (*_LABELS, "member")
        yield _metric(Gauge, "member_active_connections", text, current, *names)
        totals: _Series = collections.defaultdict(int)
        for each, number in dict(self._numbers.by_member).items():
            totals[(*labels(each.listener), each.address)] += number
        text = "Connections to a member through a listener."
        yield _metric(Counter, "member_connections", text, totals, *names)
        yield from self._bytes_of_members()

    def _bytes_of_members(self) -> Iterator[Metric]:
        labels = _labels(self._numbers.balancers)
        counted = dict(self._numbers.bytes_by_member)
        for name, field, text in (
            ("member_in_bytes", 0, "Bytes from clients to a member through a listener."),
            ("member_out_bytes", 1, "Bytes to clients from a member through a listener."),
        ):
            series: _Series = collections.defaultdict(int)
            for each, octets in counted.items():
                series[(*labels(each.listener), each.address)] += octets[field]
            yield _metric(Counter, name, text, series, *_LABELS, "member")

    def _series(self, values: Mapping[Key, int]) -> _Series:
        """Add up what has the same labels: Prometheus takes no series twice."""
        labels = _labels(self._numbers.balancers)
        series: _Series = collections.defaultdict(int)
        for key, value in values.items():
            series[labels(key)] += value
        return series


def _labels(balancers: Mapping[str, Balancer]) -> Callable[[Key], _Labels]:
    """Return a function that returns the labels of a listener."""

    def of(key: Key) -> _Labels:
        found = balancers.get(key.row_uuid_prefix)
        name, protocol = (found.name, found.protocol) if found else (key.row_uuid_prefix, "")
        return name, protocol, f"{key.port}"

    return of


def _metric(
    kind: type[Counter | Gauge],
    name: str,
    text: str,
    series: Mapping[_Labels, int],
    *labels: str,
) -> Metric:
    family = kind(f"octavia_ovn_{name}", text, labels=labels or _LABELS)
    for values, number in series.items():
        family.add_metric(values, number)
    return family


def registry(numbers: Numbers) -> CollectorRegistry:
    """Return a registry that shows numbers as they are whenever it is asked."""
    made = CollectorRegistry()
    made.register(_Metrics(numbers))
    return made
