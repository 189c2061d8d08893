# SPDX-License-Identifier: Apache-2.0
"""The match expressions of OVN's ACLs, evaluated for one packet.

The language is that of the column `match` of `Logical_Flow`, ovn-sb(5): comparisons of fields with
constants, address sets ($name) and port groups (@name), joined by `&&`, `||`, `!`. What a packet
does not say, and what is not understood, is None: neither true nor false.
"""

from __future__ import annotations

import ipaddress
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from octavia_ovn.core import ip

Sets = Mapping[str, Iterable[str]]
"""Address set → addresses and networks in CIDR form."""

_TOKEN = re.compile(r'\s*(&&|\|\||[=!<>]=|[!<>(){},]|"[^"]*"|[^\s!<>(){},&|="]+)')
_SET_NAMES = re.compile(r"\$([A-Za-z_.][\w.]*)")
_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_IP_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection, as a rule sees it.

    :param protocol: `tcp`, `udp` or `sctp`
    :param port: of the destination; that of the source is any
    :param inport: switch port that it comes from; so with `outport`, where it goes
    :param in_groups: port groups that `inport` is in; so with `out_groups`
    """

    source: str
    destination: str
    protocol: str
    port: int
    inport: str = ""
    outport: str = ""
    in_groups: frozenset[str] = field(default_factory=frozenset)
    out_groups: frozenset[str] = field(default_factory=frozenset)


def address_sets(text: str) -> frozenset[str]:
    """Return the names of the address sets that an expression refers to."""
    return frozenset(_SET_NAMES.findall(text))


def matches(text: str, packet: Packet, sets: Sets) -> bool | None:
    """Evaluate an expression; None when that is not known."""
    words = _words(text)
    if words is None:
        return None
    parser = _Parser(words, packet, sets)
    try:
        result = parser.disjunction()
    except (IndexError, ValueError):
        return None
    return None if parser.left else result


def _words(text: str) -> list[str] | None:
    words, position = [], 0
    while text[position:].strip():
        found = _TOKEN.match(text, position)
        if found is None:
            return None
        words.append(found[1])
        position = found.end()
    return words


class _Parser:
    """Evaluates while it parses: expressions are short, and each is evaluated once."""

    def __init__(self, words: list[str], packet: Packet, sets: Sets) -> None:
        self.left = words
        self._packet = packet
        self._sets = sets

    def disjunction(self) -> bool | None:
        results = [self._conjunction()]
        while self._take("||"):
            results.append(self._conjunction())
        return _any(results)

    def _conjunction(self) -> bool | None:
        results = [self._term()]
        while self._take("&&"):
            results.append(self._term())
        return _not(_any(map(_not, results)))

    def _term(self) -> bool | None:
        if self._take("!"):
            return _not(self._term())
        if self._take("("):
            result = self.disjunction()
            self._expect(")")
            return result
        name = self.left.pop(0)
        if not self.left or self.left[0] not in _COMPARISONS:
            return _predicate(name, self._packet)
        comparison = self.left.pop(0)
        results = [self._compare(name, comparison, each) for each in self._constants()]
        # A field differs from a set when it differs from each of its items.
        return _not(_any(map(_not, results))) if comparison == "!=" else _any(results)

    def _constants(self) -> list[str]:
        if not self._take("{"):
            return [self.left.pop(0)]
        constants = [self.left.pop(0)]
        while not self._take("}"):
            self._take(",")
            constants.append(self.left.pop(0))
        return constants

    def _compare(self, name: str, comparison: str, constant: str) -> bool | None:
        if name in ("inport", "outport"):
            equal: bool | None = _is_port(name, constant, self._packet)
        elif name.startswith(("ip4.", "ip6.")):
            equal = _is_address(name, constant, self._packet, self._sets)
        else:
            value = _number(name, self._packet)
            if value is None or value is False:
                return value  # of a field that is not known, the constant need not be a number
            return _COMPARISONS[comparison](value, int(constant, 0))
        if comparison not in ("==", "!="):
            return None
        return _not(equal) if comparison == "!=" else equal

    def _take(self, word: str) -> bool:
        if self.left and self.left[0] == word:
            self.left.pop(0)
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise ValueError(word)


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _any(values: Iterable[bool | None]) -> bool | None:
    found = list(values)
    return True if True in found else (None if None in found else False)


def _predicate(name: str, packet: Packet) -> bool | None:
    """Return whether a packet is what one word says."""
    known = {
        "ip": True,
        "ip4": ip.family(packet.source) == 4,  # noqa: PLR2004 - an IP version
        "ip6": ip.family(packet.source) == 6,  # noqa: PLR2004
        "1": True,
        "0": False,
        **dict.fromkeys(("arp", "nd", "nd_ns", "nd_na", "icmp", "icmp4", "icmp6"), False),
        **{each: each == packet.protocol for each in _IP_NUMBERS},
    }
    return known.get(name)


def _is_port(name: str, constant: str, packet: Packet) -> bool:
    port, groups = (
        (packet.inport, packet.in_groups)
        if name == "inport"
        else (packet.outport, packet.out_groups)
    )
    return constant[1:] in groups if constant.startswith("@") else constant.strip('"') == port


def _is_address(name: str, constant: str, packet: Packet, sets: Sets) -> bool | None:
    version, _, end = name.partition(".")
    address = {"src": packet.source, "dst": packet.destination}.get(end)
    if address is None:
        return None
    if f"ip{ip.family(address)}" != version:
        return False
    if not constant.startswith("$"):
        return _lies_in(address, constant)
    members = sets.get(constant[1:])
    return None if members is None else any(_lies_in(address, each) for each in members)


def _lies_in(address: str, network: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)


def _number(name: str, packet: Packet) -> int | bool | None:
    """Return the value of a numeric field; False when a packet has none, None when it is any."""
    if name == "ip.proto":
        return _IP_NUMBERS[packet.protocol]
    protocol, _, end = name.partition(".")
    if protocol not in _IP_NUMBERS or end not in ("src", "dst"):
        return None
    if protocol != packet.protocol:
        return False
    return packet.port if end == "dst" else None
