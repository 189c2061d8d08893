# SPDX-License-Identifier: Apache-2.0
"""A Southbound database beside the Northbound one."""

import pytest

from tests.functional.ovsdb.server import SCHEMA, Server


@pytest.fixture
def sb(tmp_path):
    with Server(tmp_path / "sb", schema=SCHEMA.with_name("ovn-sb.ovsschema")) as running:
        yield running
