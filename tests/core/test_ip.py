# SPDX-License-Identifier: Apache-2.0

import pytest

from octavia_ovn.core import ip


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("10.0.0.1", "10.0.0.1"), ("FD00:0:0::1", "fd00::1"), ("fd00::10.0.0.1", "fd00::a00:1")],
)
def test_spells_addresses_in_one_way(text, canonical):
    assert canonical == ip.canonical_address(text)


@pytest.mark.parametrize(
    ("texts", "canonical"),
    [
        ([], ()),
        (["FD00::1/8", "10.0.0.1/8", "10.0.0.0/8"], ("10.0.0.0/8", "fd00::/8")),
        (["11.0.0.0/8", "10.0.0.1"], ("10.0.0.1/32", "11.0.0.0/8")),
    ],
)
def test_spells_networks_in_one_way(texts, canonical):
    assert canonical == ip.canonical_networks(texts)


@pytest.mark.parametrize("text", ["all", "10.0.0.0/33", "fe80::%x/64", ""])
def test_refuses_what_is_no_network(text):
    with pytest.raises(ValueError, match=r"does not appear to be|others can be in"):
        ip.canonical_networks([text])


@pytest.mark.parametrize(("address", "family"), [("10.0.0.1", 4), ("fd00::1", 6)])
def test_knows_families(address, family):
    assert family == ip.family(address)
