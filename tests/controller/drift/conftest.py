# SPDX-License-Identifier: Apache-2.0
"""What is compared."""

import pytest

from octavia_ovn.controller.drift.compare import Repair
from tests.controller.drift.databases import Octavia, Store


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def octavia():
    return Octavia()


@pytest.fixture
def repair(store, octavia):
    return Repair(store, octavia, octavia, sleep=lambda _: None)
