# SPDX-License-Identifier: Apache-2.0
"""Which path a packet takes: listener, address and gateway."""

import dataclasses

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.diagnosis.findings import Severity
from octavia_ovn.core.diagnosis.path import Client, NoPath, paths
from octavia_ovn.core.diagnosis.snapshot import Snapshot
from tests.core.builders import VIP, balancer, listener
from tests.core.diagnosis.snapshots import (
    ALONE,
    EXT,
    FAR,
    FIP,
    FIPS,
    LB,
    NEAR,
    OUTSIDE,
    client,
    faults,
    port,
    snapshot,
    trace,
    with_ports,
)


def test_each_listener_has_a_path():
    lb = balancer(
        [listener(), listener("l2", 443), listener("l3", 53, protocol=model.Protocol.UDP)], LB.pools
    )
    found = snapshot(lb)
    every = paths(found, client(found, NEAR))
    assert [(each.protocol, each.port) for each in every] == [
        ("udp", 53),
        ("tcp", 80),
        ("tcp", 443),
    ]
    (secure,) = paths(found, client(found, NEAR), port=443)
    assert secure.port == 443
    assert "no listener on port 444" in faults(trace(found, port=444))[0].sentence


def test_addresses():
    found = snapshot(fips=FIPS)
    for sender, address in ((NEAR, VIP), (FAR, VIP), (OUTSIDE, FIP), (ALONE, FIP)):
        (path,) = paths(found, client(found, sender))
        assert path.destination == address
    assert trace(found, NEAR, FIP).severity is Severity.OK
    assert trace(found, OUTSIDE, VIP).severity is Severity.FAULT


def test_a_client_on_the_provider_network_is_outside():
    found = with_ports(snapshot(fips=FIPS), port("ext", EXT, "172.24.4.77"))
    explanation = trace(found, "ext")
    assert explanation.path.destination == FIP
    assert not explanation.path.is_inside
    assert explanation.severity is Severity.OK


@pytest.mark.parametrize(
    ("found", "sender", "address", "words"),
    [
        (Snapshot("lb1"), NEAR, None, "Neither the Northbound database nor Octavia"),
        (snapshot(), "fd00::1", None, "No VIP has an address of the IP version of fd00::1"),
        (
            snapshot(),
            OUTSIDE,
            "10.0.0.99",
            f"no address 10.0.0.99 that 172.24.4.200, outside can use; it has {VIP}",
        ),
    ],
)
def test_no_path(found, sender, address, words):
    with pytest.raises(NoPath, match=words):
        paths(found, Client((sender,)), address)


def test_titles():
    found = snapshot()
    assert client(found, NEAR).title == "port near-name (near), 10.0.0.7"
    assert dataclasses.replace(found.ports[NEAR], label="").title == NEAR
