"""A collector's counters for Prometheus. Imported only when they are wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from octavia_ovn.core.statistics.traffic import Key, Traffic

_LABELS = ("load_balancer", "port")


class Numbers(Protocol):
    """What is offered."""

    totals: dict[Key, Traffic]
    open: dict[Key, int]

    @property
    def names(self) -> Mapping[str, str]:
        """The names of load balancers by hint."""


class _Metrics(Collector):
    """Asked by the library's server in another thread, whenever Prometheus comes."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are."""
        totals, current = dict(self._numbers.totals), dict(self._numbers.open)
        names = self._numbers.names
        connections = CounterMetricFamily(
            "octavia_ovn_connections", "Connections to a listener.", labels=_LABELS
        )
        octets = CounterMetricFamily(
            "octavia_ovn_in_bytes", "Bytes from clients to a listener.", labels=_LABELS
        )
        active = GaugeMetricFamily(
            "octavia_ovn_active_connections", "Connections that are open.", labels=_LABELS
        )
        for key, traffic in totals.items():
            labels = _labels(key, names)
            connections.add_metric(labels, traffic.connections)
            octets.add_metric(labels, traffic.bytes_in)
        for key, number in current.items():
            active.add_metric(_labels(key, names), number)
        yield from (connections, octets, active)


def _labels(key: Key, names: Mapping[str, str]) -> tuple[str, str]:
    return names.get(key.hint, key.hint), f"{key.port}"


def registry(numbers: Numbers) -> CollectorRegistry:
    """Return a registry that shows numbers as they are whenever it is asked."""
    made = CollectorRegistry()
    made.register(_Metrics(numbers))
    return made
