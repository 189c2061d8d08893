# SPDX-License-Identifier: Apache-2.0
"""Neutron's security groups in OVN, read to decide who may reach a VIP.

OVN applies the ACLs of a group where packets enter and leave ports, and no packet passes the port
of a VIP. So the rules are read from these ACLs, and computed into what a VIP denies. The ACLs
count, not Neutron's answers: Neutron removes the ACL of a rule before its own record of it.

Only what is understood allows clients.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from octavia_ovn.core import model

_GROUP, _ADDRESSES = "pg_", "_ip"
_ALLOWING = frozenset({"allow", "allow-related", "allow-stateless"})
_SOURCE = re.compile(r"ip([46])\.src == (\$?)([\w.:/]+)")
_VERSION = re.compile("ip([46])")
_PORT = re.compile(r"(tcp|udp|sctp)\.dst (==|>=|<=) (\d+)")
_LAST_PORT = 65535

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
    last: int = _LAST_PORT

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
        found: set[str] = set()
        for rule in self.rules:
            if rule.admits_to(listener, version):
                found.update(self._networks(rule))
        return frozenset(found)

    def _networks(self, rule: GroupRule) -> Iterator[str]:
        if rule.address_set:
            yield from _valid(self.sets.get(rule.address_set, ()), rule.version)
        else:
            yield rule.source or ("::/0" if rule.version == 6 else "0.0.0.0/0")  # noqa: PLR2004


def _valid(texts: Iterable[str], version: int) -> Iterator[str]:
    """Yield what is a network of an IP version; a set can be written by others, too."""
    for text in texts:
        network = _network(text)
        if network is not None and network.version == version:
            yield str(network)


@functools.lru_cache(maxsize=16_384)  # each reconciliation reads the same addresses
def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def port_group(group_id: str) -> str:
    """Return the name of the Port_Group of a security group."""
    return _GROUP + group_id.replace("-", "_")


def group_id(name: str) -> str:
    """Return the id of the security group whose Port_Group has a name."""
    return name.removeprefix(_GROUP).replace("_", "-")


def rule(group: str, direction: str, match: str, action: str) -> GroupRule | None:
    """Return what a row of ACL lets in; None when it lets nobody in, or is not understood.

    :param group: the name of the Port_Group that has it
    """
    port, *terms = match.split(" && ")
    if direction != "to-lport" or action not in _ALLOWING or port != f"outport == @{group}":
        return None
    return _Reader().read(terms)


class _Reader:
    """Reads the terms of a match, as Neutron writes them, in order."""

    def __init__(self) -> None:
        self._version = 0
        self._source = ""
        self._protocol: model.Protocol | None = None
        self._ports = {">=": 0, "<=": _LAST_PORT}

    def read(self, terms: Iterable[str]) -> GroupRule | None:
        if not all(map(self._term, terms)) or not self._version:
            return None
        first, last = self._ports[">="], self._ports["<="]
        return GroupRule(self._version, self._source, self._protocol, first, last)

    def _term(self, term: str) -> bool:
        """Take note of a term; return whether it is understood."""
        if version := _VERSION.fullmatch(term):
            self._version = int(version[1])
        elif source := _SOURCE.fullmatch(term):
            return self._read_source(int(source[1]), *source.groups()[1:])
        elif port := _PORT.fullmatch(term):
            return self._read_port(*port.groups())
        elif term in {each.value for each in model.Protocol} and self._protocol is None:
            self._protocol = model.Protocol(term)
        else:
            return False
        return True

    def _read_source(self, version: int, sign: str, text: str) -> bool:
        network = None if sign else _network(text)
        known = sign or (network is not None and network.version == version)
        if version != self._version or self._source or not known:
            return False
        self._source = f"${text}" if sign else str(network)
        return True

    def _read_port(self, protocol: str, comparison: str, number: str) -> bool:
        if self._protocol is None or protocol != self._protocol.value:
            return False
        bounds = (">=", "<=") if comparison == "==" else (comparison,)
        self._ports |= dict.fromkeys(bounds, int(number))
        return True
