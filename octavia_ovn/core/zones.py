# SPDX-License-Identifier: Apache-2.0
"""Availability zones: the keys of Octavia's availability zone profiles.

OVN balances on every hypervisor, so a zone cannot place a load balancer.
"""

from __future__ import annotations

from collections.abc import Mapping

_NETWORKS = "valid_vip_networks"
DESCRIPTIONS: Mapping[str, str] = {
    _NETWORKS: "List of network IDs that are allowed for VIPs. Octavia enforces it."
    " It replaces [networking] valid_vip_networks.",
}
"""Each key with its meaning, for operators."""


def check(values: object) -> None:
    """Check the metadata of an availability zone profile.

    :raises ValueError: naming the key that is unknown or whose value is wrong
    :raises TypeError: when it is no JSON object at all
    """
    if not isinstance(values, Mapping):
        msg = "an availability zone's data must be a JSON object"
        raise TypeError(msg)
    for key in values:
        if key not in DESCRIPTIONS:
            known = ", ".join(DESCRIPTIONS)
            msg = f"{key}: OVN balances on every hypervisor; availability zones of OVN know {known}"
            raise ValueError(msg)
    networks = values.get(_NETWORKS, [])
    if not (isinstance(networks, list) and all(isinstance(each, str) for each in networks)):
        msg = f"{_NETWORKS}: must be a list of network IDs"
        raise ValueError(msg)
