# SPDX-License-Identifier: Apache-2.0
"""What an availability zone may say, and what is refused."""

import pytest

from octavia_ovn.core import zones


@pytest.mark.parametrize("values", [{}, {"valid_vip_networks": []}, {"valid_vip_networks": ["n1"]}])
def test_accepts_networks(values):
    zones.check(values)
    assert values.keys() <= zones.DESCRIPTIONS.keys()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"compute_zone": "here"}, "compute_zone: .* know valid_vip_networks"),
        ({"valid_vip_networks": "n1"}, "valid_vip_networks: must be a list"),
        ({"valid_vip_networks": [1]}, "valid_vip_networks: must be a list"),
        ({"valid_vip_networks": None}, "valid_vip_networks: must be a list"),
    ],
)
def test_refuses_and_names_the_key(values, words):
    with pytest.raises(ValueError, match=words):
        zones.check(values)


@pytest.mark.parametrize("values", [[], "zone", None])
def test_a_zone_is_an_object(values):
    with pytest.raises(TypeError, match="must be a JSON object"):
        zones.check(values)
