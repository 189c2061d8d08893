# SPDX-License-Identifier: Apache-2.0
"""Connections that are open, from what `ovs-appctl dpctl/dump-conntrack` prints."""

from __future__ import annotations

import collections
import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from octavia_ovn.core.codec import endpoint
from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.traffic import Key

NATTED = 2
"""The bit of a connection's mark by which OVN says that it goes through a load balancer."""
_ENTRY = re.compile(
    r"(?P<protocol>\w+),orig=\(src=[^,]+,dst=(?P<address>[^,]+),sport=\d+,dport=(?P<port>\d+)"
    r"(?:[^)]*\),reply=\(src=(?P<member>[^,]+),dst=[^,]+,sport=(?P<member_port>\d+))?"
    r".*,mark=(?P<mark>\w+)"
)
_STATE = re.compile(r"protoinfo=\(state(?:_orig)?=(\w+)")
_OPEN = "ESTABLISHED"


class Destination(NamedTuple):
    """The destination of a connection; the address is packed."""

    protocol: str
    address: bytes
    port: int


class Connection(NamedTuple):
    """An open connection through a load balancer.

    :param member: the address and port that answer, as in an entry of `vips`; empty if unknown
    """

    destination: Destination
    member: str


MemberOpen = Mapping[Key, Mapping[str, int]]
"""Listener → member → its open connections."""


def connection(line: str) -> Connection | None:
    """Return an open connection; None when it does not go through a load balancer.

    Open are TCP and SCTP connections that are established, and any other while Open vSwitch
    remembers it.

    :param line: one entry
    """
    entry = _ENTRY.match(line)
    state = _STATE.search(line)
    if entry is None or (state is not None and state[1] != _OPEN):
        return None
    try:
        marked = int(entry["mark"], 0) & NATTED
        address = ipaddress.ip_address(entry["address"]).packed
    except ValueError:
        return None
    if not marked:
        return None
    member, port = entry["member"], entry["member_port"]
    return Connection(
        Destination(entry["protocol"], address, int(entry["port"])),
        endpoint(member, int(port)) if member else "",
    )


def open_connections(lines: Iterable[str], logical_flows: Iterable[LogicalFlow]) -> MemberOpen:
    """Count the open connections of listeners, by member.

    Where two tenants have the same VIP and port on one chassis, an entry does not identify its
    listener, and is left out.

    :param lines: entries
    :param logical_flows: those that are in use on the chassis
    """
    owners = owners_of(logical_flows)
    counters: dict[Key, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for line in lines:
        found = connection(line)
        keys = owners.get(found.destination, ()) if found is not None else ()
        if found is not None and len(keys) == 1:
            counters[next(iter(keys))][found.member] += 1
    return counters


def by_listener(counted: MemberOpen) -> dict[Key, int]:
    """Return the open connections of listeners."""
    return {key: sum(members.values()) for key, members in counted.items()}


def owners_of(logical_flows: Iterable[LogicalFlow]) -> Mapping[Destination, set[Key]]:
    """Return the listeners that connections to a destination may belong to."""
    owners: dict[Destination, set[Key]] = collections.defaultdict(set)
    for each in logical_flows:
        if each.meaning is Meaning.CONNECTIONS:
            place = Destination(each.protocol, each.address, each.port)
            owners[place].add(Key(each.row_uuid_prefix, each.port))
    return owners
