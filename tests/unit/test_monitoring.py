"""What the documentation and the files for Prometheus and Grafana say of metrics is so."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from octavia_ovn.adapters.prometheus import Metrics
from octavia_ovn.core import requests
from octavia_ovn.observer import Drift

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/monitoring.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(octavia_ovn_\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def exported():
    """Type and labels of each metric, by name."""
    # The library offers no public way from a registry to labels.
    collectors = Metrics().registry._collector_to_names
    return {
        collector._name + ("_total" if collector._type == "counter" else ""): (
            collector._type,
            collector._labelnames,
        )
        for collector in collectors
        if isinstance(collector, MetricWrapperBase)
    }


def test_the_table_of_metrics_is_complete(exported):
    described = {
        name: (kind, tuple(re.findall("`(.*?)`", labels)))
        for name, kind, labels, _ in ROW.findall(PAGE)
    }

    assert described == exported


@pytest.mark.parametrize("word", [*requests.KINDS.values(), requests.UNKNOWN, *Drift])
def test_each_value_of_a_label_is_explained(word):
    assert f"`{word.value if isinstance(word, Drift) else word}`" in PAGE
