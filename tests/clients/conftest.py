# SPDX-License-Identifier: Apache-2.0
"""The sandbox of tests/sandbox, and clients beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import packages
from sandbox.console import Console
from tests.clients.site import Site
from tests.sandbox.conftest import scenery, stack

if TYPE_CHECKING:
    from sandbox.stack import Stack
    from tests.sandbox.scenery import Scenery

__all__ = ["scenery", "stack"]


@pytest.fixture(scope="package")
def _clients(stack: Stack) -> None:
    packages.install_clients(stack.settings, Console())


@pytest.fixture(scope="package")
def site(scenery: Scenery, _clients: None) -> Site:
    """Where the clients work."""
    return Site(scenery)


@pytest.fixture(autouse=True, scope="module")
def _no_load_balancers(site: Site) -> object:
    """End each module without load balancers; its tests may depend on each other."""
    yield
    site.scenery.delete_load_balancers()
