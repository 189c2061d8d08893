# SPDX-License-Identifier: Apache-2.0
"""What the agent has for health checks, by its options."""

import concurrent.futures
import dataclasses

import pytest
from oslo_config import cfg

from octavia_ovn.config import octavia
from octavia_ovn.config.health import AgentHealth
from octavia_ovn.core.probing.plan import Probes
from octavia_ovn.health import Health
from tests.functional.ovsdb.server import free_ports

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def settings():
    conf = cfg.ConfigOpts()
    conf([], project="octavia", default_config_files=[])
    return octavia.load(conf)


@pytest.fixture
def make(settings):
    made = []

    def health(*, enabled, master_key=KEY):
        (port,) = free_ports(1)
        statistics = dataclasses.replace(
            settings.statistics, master_key=master_key, bind_host="127.0.0.1", bind_port=port
        )
        given = dataclasses.replace(
            settings, statistics=statistics, health=AgentHealth(enabled=enabled)
        )
        executor = concurrent.futures.ThreadPoolExecutor(1)
        found = Health(given, None, executor, changed=lambda _: None, wake=lambda: None)
        made.append(found)
        return found

    yield health
    for each in made:
        each.close()


def test_ovn_checks_unless_the_operator_wants_something_else(make, caplog):
    health = make(enabled=False, master_key="")
    assert not health.probing.enabled
    assert health._connections is None
    health.start()
    health.set_leader(is_leader=True)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("key", "why"),
    [("", r"[ovn_statistics] master_key is empty"), ("short", "master_key has 5 characters")],
)
def test_without_a_key_no_chassis_can_report(make, caplog, key, why):
    health = make(enabled=True, master_key=key)
    assert health.probing.enabled
    assert health._connections is None
    assert "No chassis can report the health of members: " in caplog.text
    assert why in caplog.text


def test_with_a_key_chassis_are_served(make):
    health = make(enabled=True)
    health.start()
    assert health._connections is not None
    health.probing.registry.want("lb1", Probes())
    health._locate("port1", "a")
