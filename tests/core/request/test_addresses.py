# SPDX-License-Identifier: Apache-2.0
"""Addresses that no host has."""

import pytest

from octavia_ovn.core.request import addresses

NO_HOSTS = {
    "0.0.0.0": "unspecified",
    "::": "unspecified",
    "127.0.0.1": "loopback",
    "::1": "loopback",
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
    "255.255.255.255": "broadcast",
    "169.254.3.4": "link-local",
    "fe80::1": "link-local",
}


@pytest.mark.parametrize(("address", "kind"), NO_HOSTS.items(), ids=NO_HOSTS)
def test_some_addresses_are_nowhere_a_host(address, kind):
    assert kind in addresses.kind_of_no_host(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "198.51.100.255", "2001:db8::", "fd00::1"])
def test_others_may_be_one(address):
    assert addresses.kind_of_no_host(address) is None


@pytest.mark.parametrize(
    ("address", "cidr", "why"),
    [
        ("10.0.1.1", "10.0.0.0/24", "is not in 10.0.0.0/24"),
        ("fd00::1", "10.0.0.0/24", "is not in 10.0.0.0/24"),
        ("10.0.0.0", "10.0.0.0/24", "is the network address"),
        ("fd00::", "fd00::/64", "is the network address"),
        ("10.0.0.255", "10.0.0.0/24", "is the broadcast address"),
    ],
)
def test_addresses_that_no_host_of_a_subnet_has(address, cidr, why):
    assert addresses.misfit(address, cidr).startswith(why)


@pytest.mark.parametrize(
    ("address", "cidr"),
    [
        ("10.0.0.1", "10.0.0.0/24"),
        ("10.0.0.255", "10.0.0.0/23"),
        ("10.0.0.0", "10.0.0.0/31"),
        ("10.0.0.1", "10.0.0.0/31"),
        ("10.0.0.0", "10.0.0.0/32"),
        ("fd00::ffff:ffff:ffff:ffff", "fd00::/64"),
        ("fd00::", "fd00::/127"),
    ],
)
def test_addresses_that_one_may_have(address, cidr):
    assert addresses.misfit(address, cidr) is None
