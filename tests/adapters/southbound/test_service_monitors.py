# SPDX-License-Identifier: Apache-2.0
"""What a row of Service_Monitor says about a member, as versions of OVN write it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.idl import CREATE, DELETE
from octavia_ovn.adapters.southbound.service_monitors import (
    TABLE,
    Southbound,
    member_state,
)
from octavia_ovn.core.health import HealthState

KEY = ("one", "fd00::1", 80, "tcp")


def row(status=(), **values):
    checked = {"logical_port": "one", "ip": "FD00::1", "port": 80, "protocol": []}
    return SimpleNamespace(**checked, status=list(status), **values)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ((), HealthState.UNKNOWN),
        (("online",), HealthState.UP),
        (("offline",), HealthState.DOWN),
        (("error",), HealthState.DOWN),
    ],
)
def test_the_health_state_of_a_member(status, state):
    assert member_state(row(status)) == (KEY, state)


@pytest.mark.parametrize("kind", ["load-balancer", ["load-balancer"], [], ""])
def test_the_type_is_that_of_load_balancers_or_none(kind):
    assert member_state(row(("online",), type=kind)) == (KEY, HealthState.UP)


@pytest.mark.parametrize("kind", ["network-function", ["logical-switch-port"]])
def test_checks_of_other_kinds_are_ignored(kind):
    assert member_state(row(("offline",), type=kind)) is None


def test_a_recreated_row_appears_before_the_old_one_disappears():
    endpoint = Endpoint(("unix:nowhere",))
    sb = Southbound(endpoint, changed=lambda _: None, timeout=1, probe_interval=0)
    old, new = row(("offline",), uuid="old"), row(("online",), uuid="new")

    for event, each in ((CREATE, old), (CREATE, new), (DELETE, old)):
        sb._event(TABLE, event, each, None)
    assert sb.health_state("one", "fd00::1", 80, "tcp") is HealthState.UP

    sb._event(TABLE, DELETE, new, None)
    assert sb.health_state("one", "fd00::1", 80, "tcp") is HealthState.UNKNOWN
