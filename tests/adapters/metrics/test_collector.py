# SPDX-License-Identifier: Apache-2.0
"""What Prometheus reads from a collector."""

import sys
import types

import prometheus_client
import pytest

from octavia_ovn import chassis
from octavia_ovn.adapters import metrics
from octavia_ovn.adapters.metrics.collector import registry
from octavia_ovn.adapters.southbound.logical_flows import Balancer
from octavia_ovn.core.statistics.member_bytes import Bytes
from octavia_ovn.core.statistics.members import Member
from octavia_ovn.core.statistics.traffic import Key, Traffic
from octavia_ovn.errors import BadConfiguration

ID = "1c5b"
NUMBERS = types.SimpleNamespace(
    totals={
        Key("aaaaaaaa", 80): Traffic(3, 300),
        Key("bbbbbbbb", 53): Traffic(1, 60),
        Key("cccccccc", 53): Traffic(2, 120),
        Key("dddddddd", 53): Traffic(4, 40),
        Key("eeeeeeee", 53): Traffic(5, 50),
    },
    open={Key("aaaaaaaa", 80): 2},
    open_by_member={
        Key("aaaaaaaa", 80): {"10.0.0.1:80": 2, "": 1},
        Key("dddddddd", 53): {"10.0.0.2:53": 1},
        Key("eeeeeeee", 53): {"10.0.0.2:53": 1},
    },
    by_member={
        Member(Key("aaaaaaaa", 80), "10.0.0.1:80"): 7,
        Member(Key("dddddddd", 53), "10.0.0.2:53"): 3,
        Member(Key("eeeeeeee", 53), "10.0.0.2:53"): 4,
    },
    bytes_by_member={
        Member(Key("aaaaaaaa", 80), "10.0.0.1:80"): Bytes(300, 5000),
        Member(Key("dddddddd", 53), "10.0.0.2:53"): Bytes(100, 2000),
        Member(Key("eeeeeeee", 53), "10.0.0.2:53"): Bytes(200, 3000),
    },
    balancers={
        "aaaaaaaa": Balancer(ID, "tcp"),
        "bbbbbbbb": Balancer(ID, "tcp"),
        "cccccccc": Balancer(ID, "udp"),
        # Rows of others may have one name.
        "dddddddd": Balancer("other", "tcp"),
        "eeeeeeee": Balancer("other", "tcp"),
    },
    working={"southbound": False, "switch": True},
    defects={"southbound": 2, "switch": 0},
)


def samples():
    text = prometheus_client.generate_latest(registry(NUMBERS)).decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_metrics_of_listeners():
    lines = samples()

    labels = f'load_balancer="{ID}",port="80",protocol="tcp"'
    assert f"octavia_ovn_connections_total{{{labels}}} 3.0" in lines
    assert f"octavia_ovn_active_connections{{{labels}}} 2.0" in lines


def test_metrics_of_members():
    lines = [line for line in samples() if "member_active" in line]

    assert lines == [
        f'octavia_ovn_member_active_connections{{load_balancer="{lb}",member="{member}",'
        f'port="{port}",protocol="tcp"}} 2.0'
        for lb, member, port in ((ID, "10.0.0.1:80", 80), ("other", "10.0.0.2:53", 53))
    ]


def test_connections_of_members():
    lines = [line for line in samples() if "member_connections" in line]

    assert lines == [
        f'octavia_ovn_member_connections_total{{load_balancer="{lb}",member="{member}",'
        f'port="{port}",protocol="tcp"}} 7.0'
        for lb, member, port in ((ID, "10.0.0.1:80", 80), ("other", "10.0.0.2:53", 53))
    ]


@pytest.mark.parametrize(("direction", "expected"), [("in", 300.0), ("out", 5000.0)])
def test_bytes_of_members(direction, expected):
    lines = [line for line in samples() if f"member_{direction}_bytes" in line]

    assert lines == [
        f'octavia_ovn_member_{direction}_bytes_total{{load_balancer="{lb}",member="{member}",'
        f'port="{port}",protocol="tcp"}} {expected}'
        for lb, member, port in ((ID, "10.0.0.1:80", 80), ("other", "10.0.0.2:53", 53))
    ]


def test_one_port_of_two_protocols_are_two_series():
    lines = samples()

    for protocol, octets in (("tcp", 60.0), ("udp", 120.0)):
        labels = f'load_balancer="{ID}",port="53",protocol="{protocol}"'
        assert f"octavia_ovn_in_bytes_total{{{labels}}} {octets}" in lines


def test_no_series_comes_twice():
    names = [line.rpartition(" ")[0] for line in samples()]

    assert len(set(names)) == len(names)
    labels = 'load_balancer="other",port="53",protocol="tcp"'
    assert f"octavia_ovn_in_bytes_total{{{labels}}} 90.0" in samples()


def test_metrics_of_parts():
    lines = samples()

    assert 'octavia_ovn_collector_working{part="southbound"} 0.0' in lines
    assert 'octavia_ovn_collector_working{part="switch"} 1.0' in lines
    assert 'octavia_ovn_collector_defects_total{part="southbound"} 2.0' in lines


def test_the_library_may_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "octavia_ovn.adapters.metrics.collector", None)
    monkeypatch.delattr(metrics, "collector")
    settings = types.SimpleNamespace(metrics_port=9000, metrics_address="127.0.0.1")

    with (
        pytest.raises(BadConfiguration, match=r"\[ovn_statistics\] metrics_port"),
        chassis.offered(NUMBERS, settings),
    ):
        pytest.fail("it is served")
