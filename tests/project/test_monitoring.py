# SPDX-License-Identifier: Apache-2.0
"""What the documentation and the files for Prometheus and Grafana say of metrics is so."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from octavia_ovn.adapters.metrics import collector as statistics_metrics
from octavia_ovn.adapters.metrics import probes
from octavia_ovn.adapters.metrics.agent import Metrics
from octavia_ovn.adapters.metrics.data_path import DataPaths
from octavia_ovn.core.request import names as requests
from octavia_ovn.observer import Drift
from tests.adapters.metrics.test_collector import NUMBERS
from tests.adapters.metrics.test_probes import PROBES

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/operators/monitoring.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(octavia_ovn_\w+)`<br>(\w+)(?:: (.*?))? \| .+ \|$", re.MULTILINE)


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
        for name, kind, labels in ROW.findall(PAGE)
    }

    assert described == exported


@pytest.mark.parametrize("word", [*requests.KINDS.values(), requests.UNKNOWN, *Drift])
def test_each_value_of_a_label_is_explained(word):
    assert f"`{word.value if isinstance(word, Drift) else word}`" in PAGE


# --- files for Prometheus and Grafana

FILES = PROJECT / "docs/operators/monitoring"
RULES = [
    rule
    for group in yaml.safe_load((FILES / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
NAME = re.compile(r"\b(?:octavia_ovn|process)_[a-z_]+")
LABEL = re.compile(r"(\w+)(?:=~|!~|!=|=)\"(.*?)\"")
SUFFIX = re.compile("_(bucket|sum|count)$")


def expressions():
    yield from (rule["expr"] for rule in RULES)
    for panel in PANELS:
        yield from (target["expr"] for target in panel["targets"])
    for variable in DASHBOARD["templating"]["list"]:
        yield variable["definition"] if variable["type"] == "query" else ""


def chassis_metrics():
    registry = statistics_metrics.registry(NUMBERS)
    probes.register(registry, PROBES)
    paths = DataPaths(60.0)
    paths.put("lb1", {"l1": 1.0})
    registry.register(paths)
    return registry


@pytest.fixture(scope="module")
def known(exported):
    """All names that a scrape has, and the labels of this project's."""
    families = Metrics().registry.collect()
    foreign = {sample.name: () for each in families for sample in each.samples}
    chassis = {
        sample.name: tuple(sample.labels)
        for each in chassis_metrics().collect()
        for sample in each.samples
    }
    return foreign | chassis | {name: labels for name, (_, labels) in exported.items()}


def metrics_of(expression, known):
    """The metrics that an expression asks for; a histogram without its suffix."""
    bases = {name: SUFFIX.sub("", name) for name in NAME.findall(expression)}
    return {base if base in known else name for name, base in bases.items()}


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_what_is_asked_for_is_exported(known, exported, expression):
    named = metrics_of(expression, known)

    assert named <= known.keys()

    # Prometheus adds where a series comes from.
    labels = {"job", "instance", "region", "le"}.union(*(known[name] for name in named))
    asked = {label for label, _ in LABEL.findall(expression)}
    grouped = re.findall(r"by \((.*?)\)", expression)
    asked |= {label.strip() for each in grouped for label in each.split(",")}
    assert asked <= labels


def test_the_dashboard_shows_every_metric(known, exported):
    shown = {
        name
        for panel in PANELS
        for target in panel["targets"]
        for name in metrics_of(target["expr"], known)
    }

    assert exported.keys() <= shown


def test_the_dashboard_can_be_imported_anywhere():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    sources = [each["datasource"]["uid"] for each in PANELS]
    sources += [target["datasource"]["uid"] for each in PANELS for target in each["targets"]]

    assert len(set(ids)) == len(ids)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert set(sources) == {"${datasource}"}
    assert all(panel["title"] and panel["description"] for panel in PANELS)


def test_alerts_say_what_to_do():
    names = [rule["alert"] for rule in RULES]

    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert f"`{rule['alert']}`" in PAGE


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alerts_tell_regions_apart(rule):
    aggregations = re.findall(r"\b(?:sum|max|min|count|avg)\b(.{0,12})", rule["expr"])

    assert all(each.startswith(" by (region") for each in aggregations)


def test_metrics_of_chassis_are_documented():
    pages = [
        (PROJECT / f"docs/operators/{name}.md").read_text(encoding="utf-8")
        for name in ("statistics", "health-checks", "show-and-trace")
    ]
    described = set(re.findall(r"^\| `(octavia_ovn_\w+)` \|", "".join(pages), re.MULTILINE))

    assert described == {
        family.name + ("_total" if family.type == "counter" else "")
        for family in chassis_metrics().collect()
    }
