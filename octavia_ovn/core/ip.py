# SPDX-License-Identifier: Apache-2.0
"""Addresses and networks as text: one spelling each, and nothing but an address."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable


@functools.lru_cache(maxsize=8192)  # each reconciliation reads the same addresses
def canonical_address(text: str) -> str:
    """Return an IPv4 or IPv6 address in its canonical spelling.

    :raises ValueError: when the text is no address, or names a zone: that may hold any text
    """
    address = str(ipaddress.ip_address(text))
    if "%" in address:
        msg = f"{text!r} is not an address that others can reach"
        raise ValueError(msg)
    return address


def check_address(value: str) -> None:
    """Refuse an address that is not in its canonical spelling.

    :raises ValueError: unless it is what :func:`canonical_address` returns
    """
    if canonical_address(value) != value:
        msg = f"{value!r} is not an address in canonical form"
        raise ValueError(msg)


@functools.lru_cache(maxsize=1024)
def check_network(value: str) -> None:
    """Refuse a text that is no network.

    :raises ValueError: unless it is an address and a prefix without host bits
    """
    ipaddress.ip_network(value)


def canonical_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Return networks in CIDR form, each once, in canonical spelling and order.

    :raises ValueError: when one of the texts is no network, or names a zone
    """
    networks = set()
    for text in texts:
        if "%" in text:
            msg = f"{text!r} is not a network that others can be in"
            raise ValueError(msg)
        networks.add(ipaddress.ip_network(text, strict=False))
    return tuple(map(str, sorted(networks, key=ipaddress.get_mixed_type_key)))


def family(address: str) -> int:
    """Return 4 or 6 for a valid address or network."""
    return 6 if ":" in address else 4
