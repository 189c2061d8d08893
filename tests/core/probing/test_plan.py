# SPDX-License-Identifier: Apache-2.0
"""Which probe a monitored member needs."""

from __future__ import annotations

import dataclasses

import pytest

from octavia_ovn.core.model import HealthMonitor, MonitorType, Protocol
from octavia_ovn.core.probing import plan
from octavia_ovn.core.probing.spec import Source
from tests.core.builders import member, monitor, pool

PORT = "a3a4c9a2-1111-4222-8333-444444444444"
SOURCE = Source(PORT, "fa:16:3e:00:00:07", "10.0.0.7/24")
HTTP = HealthMonitor(
    "hm1",
    MonitorType.HTTP,
    5,
    3,
    2,
    4,
    http_method="HEAD",
    url_path="/up",
    expected_codes="200-204",
    http_version="1.1",
    domain_name="a.example",
)


def test_a_probe_has_all_that_the_monitor_says() -> None:
    found = plan.probe(pool(monitor=HTTP), member(1), SOURCE)

    assert found is not None
    values = {name: getattr(found, name) for name in ("delay", "timeout", "rise", "fall")}
    assert values == {"delay": 5, "timeout": 3, "rise": 2, "fall": 4}
    for name in ("type", "http_method", "url_path", "expected_codes", "http_version"):
        assert getattr(found, name) == getattr(HTTP, name)
    assert (found.domain_name, found.source) == ("a.example", SOURCE)
    assert (found.id, found.address, found.port) == ("m1", "10.0.0.1", 80)


def test_what_a_monitor_does_not_say_has_defaults() -> None:
    found = plan.probe(
        pool(monitor=HealthMonitor("hm1", MonitorType.HTTP, 0, 0, 0, 0)), member(1), SOURCE
    )

    assert found is not None
    assert (found.delay, found.timeout, found.rise, found.fall) == (1, 1, 1, 1)
    assert (found.http_method, found.url_path, found.expected_codes) == ("GET", "/", "200")


def test_another_address_and_port_may_be_probed() -> None:
    found = plan.probe(
        pool(monitor=HTTP), member(1, monitor_address="10.0.0.99", monitor_port=8080), SOURCE
    )

    assert found is not None
    assert (found.address, found.port) == ("10.0.0.99", 8080)


def test_a_ping_has_no_port() -> None:
    ping = dataclasses.replace(HTTP, type=MonitorType.PING)
    found = plan.probe(pool(monitor=ping), member(1, monitor_port=8080), SOURCE)
    assert found is not None
    assert found.port == 0


def test_what_is_not_in_the_subnet_is_not_probed() -> None:
    assert plan.probe(pool(monitor=HTTP), member(1, address="10.9.0.1"), SOURCE) is None
    assert plan.probe(pool(), member(1), SOURCE) is None


@pytest.mark.parametrize(
    ("protocol", "type_", "expected"),
    [
        (Protocol.TCP, MonitorType.TCP, False),
        (Protocol.UDP, MonitorType.UDP_CONNECT, False),
        (Protocol.UDP, MonitorType.TCP, True),
        (Protocol.TCP, MonitorType.PING, True),
    ],
)
def test_what_ovn_cannot_check(protocol: Protocol, type_: MonitorType, expected: bool) -> None:
    found = pool(protocol=protocol, monitor=HealthMonitor("hm1", type_, 5, 3, 2))
    assert plan.needs_probes(found) is expected
    assert not plan.needs_probes(dataclasses.replace(found, monitor=None))


def test_ovn_checks_no_other_address_and_port() -> None:
    assert plan.needs_probes(pool(members=[member(1, monitor_port=81)], monitor=monitor()))
    other = member(1, monitor_address="10.0.0.99")
    assert plan.needs_probes(pool(members=[member(2), other], monitor=monitor()))
    assert not plan.needs_probes(pool(members=[member(1)], monitor=monitor()))


def test_the_source_is_the_port_with_the_prefix_of_its_subnet() -> None:
    assert plan.source(PORT, SOURCE.mac, ("10.0.0.7",), "10.0.0.0/24") == SOURCE
    assert plan.source(PORT, "unknown", ("10.0.0.7",), "10.0.0.0/24") is None


def test_the_source_has_the_address_of_its_subnet_among_others() -> None:
    addresses = ("fd00::7", "10.0.0.7")
    assert plan.source(PORT, SOURCE.mac, addresses, "10.0.0.0/24") == SOURCE
    assert plan.source(PORT, SOURCE.mac, addresses, "10.0.1.0/24") is None
