# SPDX-License-Identifier: Apache-2.0
"""Addresses that no host can have, and so no VIP and no member; with the reason."""

from __future__ import annotations

import functools
import ipaddress

_LIMITED_BROADCAST = "255.255.255.255"
_KINDS = {
    "is_unspecified": "the unspecified address",
    "is_loopback": "a loopback address",
    "is_multicast": "a multicast address",
    "is_link_local": "a link-local address",
}


def kind_of_no_host(address: str) -> str | None:
    """Return the kind of an address that no host can have; None for others.

    :param address: a valid address; of those that are mapped or embedded, the outer one counts
    """
    if address == _LIMITED_BROADCAST:
        return "the broadcast address"
    found = ipaddress.ip_address(address)
    return next((words for name, words in _KINDS.items() if getattr(found, name)), None)


@functools.lru_cache(maxsize=4096)
def misfit(address: str, cidr: str) -> str | None:
    """Return why no host of a subnet can have an address; None when one can.

    :param cidr: the subnet's network
    """
    network = ipaddress.ip_network(cidr)
    found = ipaddress.ip_address(address)
    if found not in network:
        return f"is not in {cidr}"
    # Networks of two addresses or one have nothing but hosts.
    if network.num_addresses > 2:  # noqa: PLR2004
        if found == network.network_address:
            return f"is the network address of {cidr}"
        if network.version == 4 and found == network.broadcast_address:  # noqa: PLR2004 - IPv4
            return f"is the broadcast address of {cidr}"
    return None
