# SPDX-License-Identifier: Apache-2.0
"""A sandbox for all tests of this folder, and what stands in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import chassis, namespaces, network, octavia, packages, settings
from sandbox.console import Console
from sandbox.stack import Stack, locked
from tests.sandbox.plane import Plane
from tests.sandbox.scenery import Scenery

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each worker of a parallel run has a sandbox of its own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
# Beside a sandbox with the default ports.
_PORT_BASE = int(os.environ.get("SANDBOX_TEST_PORT_BASE") or 19600) + 10 * _WORKER
_NOTIFICATIONS = ("ovn.event_notifications=true", "oslo_messaging_notifications.driver=log")


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """A sandbox that is up.

    SANDBOX_TEST_STATE, SANDBOX_TEST_PORT_BASE, SANDBOX_VENV, SANDBOX_PROVIDER_PACKAGE and
    OVN_PREFIX choose another place, driver or OVN; a sandbox that is up already is used and stays
    up.
    """
    if os.geteuid() != 0:
        pytest.fail("Network namespaces need root: run the tests as root")
    state = Path(
        os.environ.get("SANDBOX_TEST_STATE") or settings.PROJECT / ".sandbox-test"
    ).absolute()
    if _WORKER:
        state = state.with_name(f"{state.name}-{_WORKER}")
    running = _running(state)
    if running and "PYTEST_XDIST_WORKER" in os.environ:
        pytest.fail(f"Workers cannot use the sandbox in {state}: take it down, or omit -n")
    chosen = running or settings.Settings(
        state=state,
        venv=settings.default_venv(settings.PROJECT / ".sandbox"),
        ports=settings.port_numbers(_PORT_BASE, {}),
        # Tests take databases away and wait for the complaint.
        octavia_options=(
            "ovn.ovsdb_connection_timeout=5",
            *chassis.options(_PORT_BASE + 5),
            *_NOTIFICATIONS,
            octavia.WITH_AMPHORA,
        ),
        provider_package=os.environ.get("SANDBOX_PROVIDER_PACKAGE") or ".",
        ovn_prefix=settings.default_ovn_prefix(),
    )
    stack = Stack(chosen)
    with locked(state):
        try:
            packages.install(chosen, Console())
            stack.up()
            yield stack
        finally:
            if not running:
                stack.down()
                _assert_nothing_is_left(stack)


@pytest.fixture(scope="package")
def scenery(stack: Stack) -> Scenery:
    """Networks, router, machines."""
    return Scenery.build(stack)


@pytest.fixture(scope="package")
def plane(scenery: Scenery) -> Plane:
    """What the packet tests need beside that."""
    return Plane.build(scenery)


@pytest.fixture(autouse=True)
def _no_load_balancers(request: pytest.FixtureRequest) -> Iterator[None]:
    """End each test without load balancers, so that what one leaves cannot fail another."""
    yield
    if "scenery" in request.fixturenames:
        request.getfixturevalue("scenery").delete_load_balancers()


def _running(state: Path) -> settings.Settings | None:
    """Return the settings of a sandbox that is up; a machine that was reset leaves only files."""
    found = settings.load(state)
    supervisor = Stack(found).supervisor if found else None
    if supervisor and any(supervisor.alive(each.name) for each in supervisor.records()):
        return found
    return None


def _assert_nothing_is_left(stack: Stack) -> None:
    assert stack.supervisor.records() == []
    assert namespaces.names(stack.settings.prefix) == []
    for prefix in ("ovn-lb-probe-", "ovn-lb-live-"):
        assert namespaces.names(prefix) == []
    for port in stack.settings.ports.values():
        assert network.is_free(stack.settings.host, port)
    assert not stack.settings.run.exists()
