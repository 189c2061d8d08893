"""What Prometheus reads from a collector."""

import sys
import types

import prometheus_client
import pytest

from octavia_ovn import adapters, collector
from octavia_ovn.adapters.statistics_metrics import registry
from octavia_ovn.core.statistics.traffic import Key, Traffic
from octavia_ovn.errors import BadConfiguration

NUMBERS = types.SimpleNamespace(
    totals={Key("aaaaaaaa", 80): Traffic(3, 300), Key("bbbbbbbb", 53): Traffic(1, 60)},
    open={Key("aaaaaaaa", 80): 2},
    names={"aaaaaaaa": "1c5b"},
)


def test_metrics():
    lines = prometheus_client.generate_latest(registry(NUMBERS)).decode().splitlines()

    assert 'octavia_ovn_connections_total{load_balancer="1c5b",port="80"} 3.0' in lines
    assert 'octavia_ovn_in_bytes_total{load_balancer="bbbbbbbb",port="53"} 60.0' in lines
    assert 'octavia_ovn_active_connections{load_balancer="1c5b",port="80"} 2.0' in lines


def test_the_library_may_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "octavia_ovn.adapters.statistics_metrics", None)
    monkeypatch.delattr(adapters, "statistics_metrics")
    settings = types.SimpleNamespace(metrics_port=9000, metrics_address="127.0.0.1")

    with (
        pytest.raises(BadConfiguration, match=r"\[ovn_statistics\] metrics_port"),
        collector.offered(NUMBERS, settings),
    ):
        pytest.fail("it is served")
