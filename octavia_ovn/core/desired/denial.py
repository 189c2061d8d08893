# SPDX-License-Identifier: Apache-2.0
"""What the rows that deny clients have in common: a port group with ACLs, and address sets."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from octavia_ovn.core import ip, model
from octavia_ovn.core.rows import Acl, AddressSet, PortGroup, Strings

PRIORITY = 3000
"""Above rules that allow packets: Neutron's security groups (1002) and firewalls (2000)."""

ALL = {4: ("0.0.0.0/0",), 6: ("::/0",)}
"""IP version → the network of all addresses."""

Rule = tuple[Acl, AddressSet | None]
"""What denies clients of a listener, and the set of them; without one it denies all."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """A listener at the addresses of one IP version."""

    listener: model.Listener
    version: int
    addresses: tuple[str, ...]

    @property
    def match(self) -> str:
        """What all packets of clients match."""
        served = ", ".join(self.addresses)
        protocol, port = self.listener.protocol.value, self.listener.port
        return f"ip{self.version}.dst == {{{served}}} && {protocol}.dst == {port}"

    def deny(self, denied: Sequence[str] | None, name: str, owner: Strings) -> Rule | None:
        """Return the rule that denies clients; None when all are allowed.

        :param denied: networks; None for all clients
        :param name: of their address set, before the IP version
        :param owner: the external_ids
        """
        if denied is None:
            return Acl(self.match, owner, PRIORITY), None
        if not denied:
            return None
        name = f"{name}_v{self.version}"
        acl = Acl(f"{self.match} && ip{self.version}.src == ${name}", owner, PRIORITY)
        return acl, AddressSet(name, frozenset(denied), owner)


def entrances(listeners: Iterable[model.Listener], addresses: Iterable[str]) -> Iterator[Entrance]:
    """Yield each listener with the addresses of each IP version."""
    served = tuple(addresses)
    for listener in listeners:
        for version in sorted(set(map(ip.family, served))):
            same = tuple(each for each in served if ip.family(each) == version)
            yield Entrance(listener, version, same)


def gathered(
    name: str, ports: frozenset[str], rules: Sequence[Rule], owner: Strings
) -> tuple[tuple[PortGroup, ...], tuple[AddressSet, ...]]:
    """Return the port group of some rules, and their address sets; nothing without rules.

    :param ports: of the switches where clients enter
    """
    if not rules:
        return (), ()
    acls = sorted((acl for acl, _ in rules), key=lambda acl: acl.match)
    sets = sorted((each for _, each in rules if each is not None), key=lambda each: each.name)
    return (PortGroup(name, ports, tuple(acls), owner),), tuple(sets)


def word(object_id: str) -> str:
    """Return an id in the form that is valid in names that ACLs refer to."""
    return object_id.replace("-", "_")


def outside(cidrs: Iterable[str], version: int) -> Iterator[str]:
    """Yield the networks of all addresses of one IP version that are in none of some networks.

    :param cidrs: networks; those of the other version do not matter
    :param version: 4 or 6
    """
    address = ipaddress.IPv6Address if version == 6 else ipaddress.IPv4Address  # noqa: PLR2004
    networks = (ipaddress.ip_network(each) for each in cidrs if ip.family(each) == version)
    spans = sorted((int(each[0]), int(each[-1])) for each in networks)
    beyond = 2 ** address(0).max_prefixlen
    first = 0
    for start, last in (*spans, (beyond, beyond)):
        if first < start:
            gap = ipaddress.summarize_address_range(address(first), address(start - 1))
            yield from map(str, gap)
        first = max(first, last + 1)
