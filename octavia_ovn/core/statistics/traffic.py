# SPDX-License-Identifier: Apache-2.0
"""Counted traffic, and the listeners that it belongs to."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from octavia_ovn.core import codec

ROW_UUID_PREFIX_DIGITS = 8


class Key(NamedTuple):
    """A listener, as a chassis knows it.

    :param row_uuid_prefix: the first ROW_UUID_PREFIX_DIGITS hexadecimal digits of the UUID of a row
        of Load_Balancer in the Northbound database
    :param port: of the listener; all of a row's have the row's protocol
    """

    row_uuid_prefix: str
    port: int


class Balancer(NamedTuple):
    """A row of Load_Balancer in the Southbound database.

    :param name: of Octavia's load balancers, the id
    :param protocol: `tcp`, `udp` or `sctp`
    """

    name: str
    protocol: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """Incoming traffic of a period; bytes include frame headers."""

    connections: int = 0
    bytes_in: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.connections + other.connections, self.bytes_in + other.bytes_in)

    def __bool__(self) -> bool:
        return bool(self.connections or self.bytes_in)


def add(sums: dict[Key, Traffic], more: Mapping[Key, Traffic]) -> None:
    """Add to sums, without keys that have no traffic."""
    for key, traffic in more.items():
        if traffic:
            sums[key] = sums.get(key, Traffic()) + traffic


def listeners(row_uuid_prefix: str, rows: Iterable[Mapping[str, str]]) -> dict[Key, str]:
    """Return the ids of listeners by key.

    Where two rows have the same prefix and port, a flow does not identify its listener: the key is
    left out.

    :param row_uuid_prefix: the beginning of the UUIDs of some rows of Load_Balancer
    :param rows: the external_ids of all of those
    """
    found = [codec.listeners_by_port(external_ids) for external_ids in rows]
    times = collections.Counter(port for by_port in found for port in by_port)
    return {
        Key(row_uuid_prefix, port): listener_id
        for by_port in found
        for port, listener_id in by_port.items()
        if times[port] == 1
    }
