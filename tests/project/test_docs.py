# SPDX-License-Identifier: Apache-2.0
"""What the documentation says about tests, fields and limits is true."""

import ast
import configparser
import functools
import importlib.metadata
import inspect
import pathlib
import re

import pytest
from octavia_lib.api.drivers import data_models

from octavia_ovn.config import octavia
from octavia_ovn.core.request import limits

PROJECT = pathlib.Path(__file__).parents[2]
DOCS = PROJECT / "docs"
MATRICES = {
    "load-balancer": data_models.LoadBalancer,
    "listener": data_models.Listener,
    "pool": data_models.Pool,
    "member": data_models.Member,
    "health-monitor": data_models.HealthMonitor,
}
# Fields of octavia-lib that no user sets, or that the matrix has under one heading.
_IDENTITIES = re.compile(r"(?:loadbalancer|listener|pool|member|healthmonitor|project)_id|\w+_data")
_TOGETHER = {
    "hsts_include_subdomains": "hsts",
    "hsts_max_age": "hsts",
    "hsts_preload": "hsts",
    "default_pool_id": "default_pool",
    "pools": "listeners",
}
_TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")


def _matrix(name):
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(DOCS / "tenants/feature-matrix" / f"{name}.ini", encoding="utf-8")
    prefix = f"operation.{name}."
    return {
        section.removeprefix(prefix): dict(parser[section])
        for section in parser.sections()
        if section.startswith(prefix)
    }


@functools.cache
def _tests(file):
    tree = ast.parse((PROJECT / file).read_text(encoding="utf-8"))
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


FEATURES = [(name, key) for name in MATRICES for key in _matrix(name)]


@pytest.mark.parametrize(("name", "key"), FEATURES)
def test_each_cell_of_this_driver_names_tests_that_exist(name, key):
    named = _TEST.findall(_matrix(name)[key].get("driver-notes.octavia-ovn", ""))

    assert named
    for file, function in named:
        assert function in _tests(file)


@pytest.mark.parametrize("name", MATRICES)
def test_the_matrix_has_every_field_that_a_user_can_set(name):
    fields = set(inspect.signature(MATRICES[name].__init__).parameters) - {"self"}
    wanted = {_TOGETHER.get(each, each) for each in fields if not _IDENTITIES.fullmatch(each)}

    assert wanted <= {key.partition(".")[0] for key in _matrix(name)}


@pytest.mark.parametrize(
    ("kind", "limit"), [(kind, limit) for kind, table in limits.TABLE.items() for limit in table]
)
def test_each_limit_is_in_the_page(kind, limit):
    usual = "" if limit.usual is None else f" (`{limit.usual}`)"
    rows = [row for row in _page("tenants/limits").splitlines() if row.startswith(f"| {kind} |")]

    assert any(f"`{limit.option}`{usual}" in row and limit.reason in row for row in rows)


SENTENCES = {
    name: value
    for name, value in vars(limits).items()
    if name.isupper() and not name.startswith("_") and isinstance(value, str)
}


@pytest.mark.parametrize("sentence", SENTENCES.values(), ids=SENTENCES)
def test_each_sentence_is_in_the_page(sentence):
    assert re.sub(r"\{\w+\}", "…", sentence) in _page("tenants/limits")


def _pages(*patterns):
    return [page for pattern in patterns for page in sorted(PROJECT.glob(pattern))]


@pytest.mark.parametrize("page", _pages("docs/**/*.md", "README.md"), ids=lambda page: page.stem)
def test_options_that_a_page_names_exist(page):
    options = {opt.dest for group, opts in octavia.list_opts() if group == "ovn" for opt in opts}
    named = set(re.findall(r"`\[ovn\] (\w+)[` ]", page.read_text(encoding="utf-8")))

    assert named <= options


# They are absolute, because PyPI shows the page, too.
_OWN = r"https://(?:github\.com|raw\.githubusercontent\.com)/octavia-ovn/octavia-ovn/(?:blob/)?main/(\S+)"


def test_links_of_the_readme_lead_somewhere():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    links = dict(re.findall(r"^\[(\w+)\]: (\S+)$", text, re.MULTILINE))
    own = [match[1] for target in links.values() if (match := re.fullmatch(_OWN, target))]

    assert own
    assert [path for path in own if not (PROJECT / path).exists()] == []
    assert set(re.findall(r"\]\[(\w+)\]", text)) == links.keys()
    assert re.findall(r"\]\([^)]*\)", text) == []


def test_log_messages_to_look_for_are_logged():
    rows = _page("operators/troubleshooting").splitlines()
    cells = [cell for row in rows for cell in row.split(" | ") if cell.startswith("agent log")]
    messages = [message for cell in cells for message in re.findall("`([^`]+)`", cell)]
    source = "".join(file.read_text(encoding="utf-8") for file in _pages("octavia_ovn/**/*.py"))

    assert messages
    assert [message for message in messages if message.strip("… ") not in source] == []


def _page(name):
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def test_octavia_has_the_policies_that_a_page_names():
    policies = pytest.importorskip("octavia.policies")
    known = {rule.name for rule in policies.list_rules()}
    octavia = int(importlib.metadata.version("octavia").partition(".")[0])
    page = _page("operators/operations")
    named = re.findall(r'"(os_load-balancer_api:[\w:-]+)"', page)
    roles = re.findall(r"`rule:([\w:-]+)`", page)

    assert named
    assert roles
    unknown = {*named, *roles} - known
    # VIPs have security groups since Octavia 16.
    assert {each for each in unknown if octavia >= 16 or not each.endswith(":vip_sg_ids")} == set()
