# SPDX-License-Identifier: Apache-2.0
"""Reading rows of ovn-octavia-provider."""

import pytest

from octavia_ovn.core import codec, model
from octavia_ovn.core.rows import HealthCheck
from tests.core.builders import (
    monitor,
)
from tests.core.codec.rows import legacy_row


@pytest.mark.parametrize(
    ("fields", "algorithm"),
    [
        ((), model.Algorithm.ROUND_ROBIN),
        (("ip_src", "ip_dst"), model.Algorithm.SOURCE_IP),
        (("ip_src", "ip_dst", "tp_src", "tp_dst"), model.Algorithm.SOURCE_IP_PORT),
    ],
)
def test_reads_algorithm_of_a_foreign_row_from_what_it_does(fields, algorithm):
    lb = codec.decode([legacy_row(selection_fields=frozenset(fields))]).lb

    assert algorithm is lb.pools[0].algorithm


def test_reads_affinity_of_a_foreign_row():
    lb = codec.decode([legacy_row(options={"affinity_timeout": "500"})]).lb

    wanted = model.SessionPersistence(model.Mechanism.AFFINITY, 500)
    assert wanted == lb.pools[0].persistence


def test_reads_disabled_member_of_a_foreign_row_only_if_it_does_not_serve():
    lb = codec.decode(
        [
            legacy_row(
                external_ids={"neutron:member_status": '{"m1": "OFFLINE", "m2": "OFFLINE"}'},
                vips={"10.0.0.100:80": "10.0.0.2:80"},
            )
        ]
    ).lb

    assert [each.enabled for each in lb.pools[0].members] == [False, True]


def test_reads_monitor_of_a_foreign_row_from_its_check():
    check = HealthCheck(
        "10.0.0.100:80",
        {"interval": "5", "timeout": "3", "success_count": "4", "failure_count": "2"},
        {"octavia:healthmonitor": "hm1", "octavia:pool_id": "p1", "octavia:vip": "10.0.0.100"},
    )

    lb = codec.decode([legacy_row(health_checks=(check,))]).lb

    assert monitor() == lb.pools[0].monitor


def foreign_check(pool_id="p1", **numbers):
    ids = {"octavia:healthmonitor": "hm1", "octavia:pool_id": pool_id}
    return HealthCheck("10.0.0.100:80", numbers, ids)


def test_reads_numbers_that_are_none_as_the_defaults():
    check = foreign_check(interval="often", timeout="²", success_count="4")

    found = codec.decode([legacy_row(health_checks=(check,), protocol="udp")]).lb.pools[0].monitor

    wanted = model.HealthMonitor("hm1", model.MonitorType.UDP_CONNECT, 3, 3, 4, 3)
    assert wanted == found


def test_reads_no_monitor_from_the_check_of_another_pool():
    lb = codec.decode([legacy_row(health_checks=(foreign_check("p9"),))]).lb

    assert lb.pools[0].monitor is None


@pytest.mark.parametrize("timeout", ["", "soon", "²"])
def test_reads_no_affinity_from_something_else(timeout):
    lb = codec.decode([legacy_row(options={"affinity_timeout": timeout})]).lb

    assert lb.pools[0].persistence is None
