# SPDX-License-Identifier: Apache-2.0
"""Security groups of VIPs: which clients their rules let in."""

from __future__ import annotations

import functools
import ipaddress
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from octavia_ovn.core import model

LAST_PORT = 65535

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class GroupRule:
    """A rule that allows clients in.

    :param version: 4 or 6
    :param source: a network, or the name of an address set with `$` before it; empty for all
    :param protocol: None for all
    :param first: the first port of a range
    """

    version: int
    source: str = ""
    protocol: model.Protocol | None = None
    first: int = 0
    last: int = LAST_PORT

    @property
    def address_set(self) -> str:
        """The name of the address set that holds the clients; empty when none does."""
        return self.source[1:] if self.source.startswith("$") else ""

    def admits_to(self, listener: model.Listener, version: int) -> bool:
        """Whether clients of an IP version may use a listener, if they are in its source."""
        return (
            self.version == version
            and self.protocol in (None, listener.protocol)
            and self.first <= listener.port <= self.last
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who the security groups of a VIP let in.

    :param rules: those of all its groups
    :param sets: the address sets that the rules name → addresses and networks
    :param most: networks of one IP version that may describe what a listener denies; 0 for any
        number
    """

    rules: tuple[GroupRule, ...] = ()
    sets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    most: int = 0

    def clients(self, listener: model.Listener, version: int) -> frozenset[str]:
        """Return the networks of one IP version whose clients may use a listener."""
        # Many rules may name the same set, and sets may be large.
        sources = {
            (each.address_set, each.source)
            for each in self.rules
            if each.admits_to(listener, version)
        }
        found = (self._networks(*each, version) for each in sources)
        return frozenset(itertools.chain.from_iterable(found))

    def _networks(self, address_set: str, source: str, version: int) -> Iterator[str]:
        if address_set:
            yield from _valid(self.sets.get(address_set, ()), version)
        else:
            yield source or ("::/0" if version == 6 else "0.0.0.0/0")  # noqa: PLR2004


def _valid(texts: Iterable[str], version: int) -> Iterator[str]:
    """Yield what is a network of an IP version; a set can be written by others, too."""
    for text in texts:
        found = network(text)
        if found is not None and found.version == version:
            yield str(found)


@functools.lru_cache(maxsize=16_384)  # each reconciliation reads the same addresses
def network(text: str) -> Network | None:
    """Return the network, or the single address, that a text names; None for other texts."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
