# SPDX-License-Identifier: Apache-2.0
"""One laboratory for many scenarios: each works in networks of its own."""

import contextlib
import sys

import pytest

from tests.lab.harness import Lab
from tests.lab.ovsdb import insert, omap
from tests.scenarios.steps import Project

API_PATIENCE = 4  # seconds that the API waits for the northbound database


def pytest_addoption(parser):
    parser.addoption(
        "--driver-venv",
        default=sys.prefix,
        help="virtual environment whose driver is tested; by default the one that runs the tests",
    )
    parser.addoption(
        "--invariants",
        choices=("all", "none"),
        default="all",
        help="none: assert only what each scenario says itself",
    )
    parser.addoption("--lab-logs", help="directory that gets the log files of all processes")


@pytest.fixture(scope="session")
def driver_venv(request):
    return request.config.getoption("--driver-venv", sys.prefix)


@pytest.fixture(scope="session")
def new_lab(request, driver_venv):
    """A function that puts a laboratory of its own together, for a test that breaks things."""
    logs = request.config.getoption("--lab-logs", None)

    def make(**options):
        config = {"ovn": {"ovsdb_connection_timeout": str(API_PATIENCE)}}
        options = {"taps": True, "keep_logs": logs, "config": config} | options
        return Lab(driver_venv, **options)

    return make


class SharedLab:
    """A laboratory that the tests share until one fails, which may leave anything behind."""

    def __init__(self, make):
        self._make = make
        self._stack = contextlib.ExitStack()
        self._lab = None
        self.has_failed = False

    def get(self):
        if self.has_failed:
            self.close()
        if self._lab is None:
            self._lab = self._stack.enter_context(self._make(northd=True))
        return self._lab

    def close(self):
        self._lab, self.has_failed = None, False
        self._stack.close()


@pytest.fixture(scope="package")
def _shared_lab(request, own_run_dir, new_lab):
    shared = request.config.stash[SHARED_LAB] = SharedLab(new_lab)
    with contextlib.closing(shared):
        yield shared
    del request.config.stash[SHARED_LAB]


@pytest.fixture
def lab(_shared_lab):
    """Databases, clouds, an API worker and the agent."""
    return _shared_lab.get()


@pytest.fixture
def project(request, lab):
    """Networks and load balancers of one test; nothing of them may remain."""
    check = request.config.getoption("--invariants", "all") == "all"
    foreign = _foreign_rows(lab)
    project = Project(lab, check)
    yield project
    if request.node.stash.get(FAILED, False):
        return
    if check:
        project.look_again()
    project.clean_up()
    if check:
        assert _rows(lab, foreign) == foreign, "rows of others were touched"
    project.leave()


FAILED = pytest.StashKey()
SHARED_LAB = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    if report.failed and (shared := item.config.stash.get(SHARED_LAB, None)):
        shared.has_failed = True
    return report


def _foreign_rows(lab):
    """Rows of Neutron's port forwarding, and of an unknown owner."""
    for name, external_ids in (
        ("pf-floatingip-10-tcp", {"neutron:device_owner": "port_forwarding_plugin"}),
        ("somebody-else", {"owner": "unknown"}),
    ):
        if not lab.nb.select("Load_Balancer", [["name", "==", name]]):
            lab.nb.transact(
                insert(
                    "Load_Balancer",
                    {
                        "name": name,
                        "protocol": "tcp",
                        "vips": omap({"192.0.2.1:80": "192.0.2.2:80"}),
                        "external_ids": omap(external_ids),
                    },
                )
            )
    return _rows(lab, ("pf-floatingip-10-tcp", "somebody-else"))


def _rows(lab, names):
    return {name: lab.nb.select("Load_Balancer", [["name", "==", name]])[0] for name in names}
