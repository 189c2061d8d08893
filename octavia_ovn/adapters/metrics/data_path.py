# SPDX-License-Identifier: Apache-2.0
"""What probes through VIPs show, for Prometheus. Imported only by `octavia-ovn watch`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Key: TypeAlias = "tuple[str, str]"
"""Load balancer and listener."""


class DataPaths(Collector):
    """The last results, as far as they are recent: what is not probed any more is not shown.

    :param patience: seconds for which a result counts
    :param clock: seconds, monotonic
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._results: dict[Key, tuple[float, float | None]] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def put(self, lb_id: str, results: Mapping[str, float | None]) -> None:
        """Set what is known of a load balancer.

        :param results: listener → share of connections that were accepted; None if not known
        """
        old = self._results.items()
        rest = {key: value for key, value in old if key[0] != lb_id}
        new = {(lb_id, each): (self._clock(), value) for each, value in results.items()}
        # Another thread reads it: it is replaced as a whole.
        self._results = {**rest, **new}

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are."""
        available = Gauge(
            "octavia_ovn_data_path_available",
            "Share of connections through a VIP that were accepted.",
            labels=("loadbalancer", "listener"),
        )
        unknown = Gauge(
            "octavia_ovn_data_path_unknown",
            "Listeners of which it is not known whether a client may connect to them.",
        )
        since, missing = self._clock() - self._patience, 0
        for key, (at, value) in self._results.items():
            if at >= since and value is not None:
                available.add_metric(key, value)
            missing += value is None or at < since
        unknown.add_metric((), missing)
        yield available
        yield unknown
