# SPDX-License-Identifier: Apache-2.0
"""Connections that are open, from what `ovs-appctl dpctl/dump-conntrack` prints."""

from __future__ import annotations

import collections
import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.traffic import Key

_NATTED = 2
"""The bit of a connection's mark by which OVN says that it goes through a load balancer."""
_ENTRY = re.compile(
    r"(?P<protocol>\w+),orig=\(src=[^,]+,dst=(?P<address>[^,]+),sport=\d+,dport=(?P<port>\d+)"
    r".*,mark=(?P<mark>\w+)"
)
_STATE = re.compile(r"protoinfo=\(state(?:_orig)?=(\w+)")
_OPEN = "ESTABLISHED"


class Destination(NamedTuple):
    """The destination of a connection; the address is packed."""

    protocol: str
    address: bytes
    port: int


def destination(line: str) -> Destination | None:
    """Return where an open connection goes; None when it does not go through a load balancer.

    Open are TCP and SCTP connections that are established, and any other while Open vSwitch
    remembers it.

    :param line: one entry
    """
    entry = _ENTRY.match(line)
    state = _STATE.search(line)
    if entry is None or (state is not None and state[1] != _OPEN):
        return None
    try:
        marked = int(entry["mark"], 0) & _NATTED
        address = ipaddress.ip_address(entry["address"]).packed
    except ValueError:
        return None
    if not marked:
        return None
    return Destination(entry["protocol"], address, int(entry["port"]))


def open_connections(lines: Iterable[str], logical_flows: Iterable[LogicalFlow]) -> dict[Key, int]:
    """Count the open connections of listeners.

    Where two tenants have the same VIP and port on one chassis, an entry does not identify its
    listener, and is left out.

    :param lines: entries
    :param logical_flows: those that are in use on the chassis
    """
    owners = _owners(logical_flows)
    counter: collections.Counter[Key] = collections.Counter()
    for line in lines:
        found = destination(line)
        keys = owners.get(found, ()) if found is not None else ()
        if len(keys) == 1:
            counter.update(keys)
    return dict(counter)


def _owners(logical_flows: Iterable[LogicalFlow]) -> Mapping[Destination, set[Key]]:
    owners: dict[Destination, set[Key]] = collections.defaultdict(set)
    for each in logical_flows:
        if each.meaning is Meaning.CONNECTIONS:
            place = Destination(each.protocol, each.address, each.port)
            owners[place].add(Key(each.row_uuid_prefix, each.port))
    return owners
