# SPDX-License-Identifier: Apache-2.0
"""Which members cannot be reached or checked, whatever their checks say."""

import dataclasses

import pytest

from octavia_ovn.core.diagnosis import reach
from octavia_ovn.core.health import HealthState
from tests.core.builders import VIP, balancer, listener, member, monitor, pool
from tests.core.diagnosis.snapshots import NET1, port, snapshot, with_ports


def health_states(*members, ports=(), checked=True, **fields):
    lb = balancer([listener()], [pool(members=members, monitor=monitor() if checked else None)])
    return reach.health_states(with_ports(snapshot(lb, **fields), *ports))


@pytest.mark.parametrize(
    ("given", "ports", "expected"),
    [
        (member(1), (), {}),
        (member(9), (), {"m9": HealthState.UNCHECKED}),
        (
            member(9),
            (port("nine", NET1, "10.0.0.9", type="virtual"),),
            {"m9": HealthState.UNCHECKED},
        ),
        (
            member(9),
            (port("nine", NET1, "10.0.0.9", chassis=""),),
            {"m9": HealthState.UNREACHABLE},
        ),
        (member(9), (port("nine", NET1, "10.0.0.9", chassis=None),), {}),
        (member(9, subnet_id="gone"), (), {"m9": HealthState.UNREACHABLE}),
    ],
    ids=["bound", "no port", "virtual", "not bound", "chassis not known", "subnet gone"],
)
def test_of_a_monitored_pool(given, ports, expected):
    assert health_states(given, ports=ports) == expected


@pytest.mark.parametrize("address", [VIP, "10.0.0.254"], ids=["the VIP", "a router"])
@pytest.mark.parametrize("checked", [True, False])
def test_an_address_that_something_else_has_is_unreachable(address, checked):
    found = health_states(member(9, address=address), checked=checked)

    assert found == {"m9": HealthState.UNREACHABLE}


def test_without_a_monitor_nothing_else_is_known():
    assert health_states(member(9), member(8, subnet_id="gone"), checked=False) == {}


def test_without_a_load_balancer_there_are_no_members():
    assert reach.health_states(dataclasses.replace(snapshot(), intent=None, octavia=None)) == {}
