# SPDX-License-Identifier: Apache-2.0
"""Bytes of members since the collector was started, from readings of the connection tracker.

They are the growth of the counters of single connections, where the tracker has such.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from octavia_ovn.core.statistics.conntrack import Destination
from octavia_ovn.core.statistics.flow_records import Entry, Identity, place
from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.members import Member
from octavia_ovn.core.statistics.traffic import Key


class Bytes(NamedTuple):
    """Bytes of IP packets, from clients and to them."""

    bytes_in: int = 0
    bytes_out: int = 0

    def grown(self, before: Bytes, now: Bytes) -> Bytes:
        """Return these with what has been added between two readings."""
        return Bytes(
            self.bytes_in + now.bytes_in - before.bytes_in,
            self.bytes_out + now.bytes_out - before.bytes_out,
        )


def rival_flows(catalog: Mapping[int, LogicalFlow]) -> Mapping[int, LogicalFlow]:
    """Return the flows, by cookie, to a VIP, protocol and port which several tenants have.

    Whose connections those are depends on which of them are on a chassis at that moment.
    """
    users: dict[Destination, set[Key]] = collections.defaultdict(set)
    flows = {
        cookie: flow
        for cookie, flow in catalog.items()
        if flow.meaning is Meaning.CONNECTIONS and flow.backends
    }
    for flow in flows.values():
        users[place(flow)].add(Key(flow.row_uuid_prefix, flow.port))
    return {cookie: flow for cookie, flow in flows.items() if len(users[place(flow)]) > 1}


class MemberBytes:
    """Counts the bytes of members.

    :param most: members that are counted at most
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: dict[Identity, tuple[int, Bytes]] = {}
        self._first = True
        self.counts: dict[Member, Bytes] = {}

    def advance(
        self, entries: Iterable[Entry], owners: Mapping[Destination, Collection[Key]]
    ) -> None:
        """Process a reading.

        :param entries: complete
        :param owners: the listeners that connections to a destination may belong to
        """
        seen: dict[Identity, tuple[int, Bytes]] = {}
        for entry in entries:
            if entry.counters is None:
                continue
            now = Bytes(entry.counters.bytes_in, entry.counters.bytes_out)
            before = self._before(entry, now)
            keys = owners.get(entry.identity.destination, ())
            if len(keys) == 1:
                self._add(Member(next(iter(keys)), entry.member), before, now)
            # OVN may be replacing the flows of the listener: the next reading has these bytes, too.
            seen[entry.identity] = entry.number, now if keys else before
        self._seen, self._first = seen, False

    def _before(self, entry: Entry, now: Bytes) -> Bytes:
        """Return the part of a connection's bytes that is not new."""
        known = self._seen.get(entry.identity)
        if known is None:
            return now if self._first else Bytes()
        number, before = known
        same = number == entry.number and all(a <= b for a, b in zip(before, now, strict=True))
        return before if same else Bytes()

    def _add(self, member: Member, before: Bytes, now: Bytes) -> None:
        if before != now and (member in self.counts or len(self.counts) < self._most):
            self.counts[member] = self.counts.get(member, Bytes()).grown(before, now)

    def keep(self, listeners: Collection[Key]) -> None:
        """Forget the members of all other listeners."""
        for member in [each for each in self.counts if each.listener not in listeners]:
            del self.counts[member]
