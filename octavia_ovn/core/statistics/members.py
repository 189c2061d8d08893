# SPDX-License-Identifier: Apache-2.0
"""Connections of members since the collector was started, from the buckets of OpenFlow groups.

A flow of a listener sends the first packet of each connection to a group, which has a bucket for
each backend of the logical flow, in the same order. Open vSwitch counts the packets of buckets.

ovn-controller gives one group to all flows of the same backends, also if these belong to different
listeners: then a bucket does not tell whose connections it counts. What is read of a group counts
only if all flows that use it, which Open vSwitch counts, too, are known to be of one listener, both
before and after the group was read.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.meter import Growth, Meter
from octavia_ovn.core.statistics.openflow import FlowCounters, GroupCounters
from octavia_ovn.core.statistics.traffic import Key

MOST_BACKENDS = 1024
"""Groups with more buckets are not read: an answer has 64 kB, a bucket 16 bytes."""


class Member(NamedTuple):
    """A member, as a chassis knows it.

    :param address: address and port, as in an entry of `vips`
    """

    listener: Key
    address: str


class _User(NamedTuple):
    """A listener whose flows use a group, and their backends."""

    listener: Key
    backends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Use:
    """How a group is used, by the flows of one reading: by whom, and by how many flows."""

    users: frozenset[_User]
    flows: int


class MemberConnections:
    """Counts the connections of members.

    :param most: members that are counted at most
    :param since: when counting began, in seconds of the monotonic clock
    """

    def __init__(self, most: int, since: float) -> None:
        self._most = most
        self._meter = Meter(since)
        self._before: Mapping[int, _Use] = {}
        self._uses: Mapping[int, _Use] = {}
        self.counts: dict[Member, int] = {}
        self.left_out = False
        """Whether connections were not counted because of `most`."""

    def groups(self) -> list[int]:
        """Return the groups to read now: before the flows are read again."""
        self._before, self._uses = self._uses, {}
        return sorted(self._before)

    def add_flows(self, catalog: Mapping[int, LogicalFlow], grown: Iterable[Growth]) -> None:
        """Count the connections of listeners with a single member, for which flows suffice.

        :param catalog: logical flows by cookie
        :param grown: the flows that have grown
        """
        for growth in grown:
            logical = catalog[growth.flow.cookie]
            if logical.meaning is Meaning.CONNECTIONS and len(set(logical.backends)) == 1:
                self._add(Member(_key(logical), logical.backends[0]), growth.packets, catalog)

    def add_groups(
        self,
        catalog: Mapping[int, LogicalFlow],
        flows: Iterable[FlowCounters],
        groups: Iterable[GroupCounters],
        now: float,
        delay: float,
    ) -> None:
        """Process a reading of groups.

        :param catalog: logical flows by cookie
        :param flows: a complete reading, after that of the groups; all of it is in the catalog
        :param groups: those that :meth:`groups` has asked for
        :param now: when the groups had arrived, in seconds of the monotonic clock
        :param delay: seconds since they had been asked for
        """
        self._uses = _uses(catalog, flows)
        found = {each.group: each for each in groups}
        # A flow has come or gone meanwhile: the next reading has these packets, too.
        held = {number for number, group in found.items() if self._is_changing(group)}
        buckets = (_as_flows(group) for number, group in found.items() if number not in held)
        read = itertools.chain.from_iterable(buckets)
        for growth in self._meter.advance(self._before.keys() - held, read, now, delay):
            group = found[growth.flow.cookie]
            user = self._user(group)
            if user is not None and len(user.backends) == len(group.buckets):
                number = int.from_bytes(growth.flow.identity, "big")
                self._add(Member(user.listener, user.backends[number]), growth.packets, catalog)

    def keep(self, listeners: Collection[Key]) -> None:
        """Forget the members of all other listeners."""
        for member in [each for each in self.counts if each.listener not in listeners]:
            del self.counts[member]

    def _is_changing(self, group: GroupCounters) -> bool:
        before, after = self._before[group.group], self._uses.get(group.group)
        return (
            after is not None
            and before.users == after.users
            and before.flows != after.flows
            and group.references <= max(before.flows, after.flows)
        )

    def _user(self, group: GroupCounters) -> _User | None:
        """Return whose flows alone use a group; None if it is shared, or may be."""
        before, after = self._before[group.group], self._uses.get(group.group)
        if before != after or before.flows != group.references or len(before.users) != 1:
            return None
        return next(iter(before.users))

    def _add(self, member: Member, packets: int, catalog: Mapping[int, LogicalFlow]) -> None:
        if member not in self.counts and len(self.counts) >= self._most:
            self._drop_old(catalog)
            if len(self.counts) >= self._most:
                self.left_out = True
                return
        self.counts[member] = self.counts.get(member, 0) + packets

    def _drop_old(self, catalog: Mapping[int, LogicalFlow]) -> None:
        """Forget members that do not serve any more."""
        serving = {Member(_key(flow), each) for flow in catalog.values() for each in flow.backends}
        for member in self.counts.keys() - serving:
            del self.counts[member]


def _uses(catalog: Mapping[int, LogicalFlow], flows: Iterable[FlowCounters]) -> dict[int, _Use]:
    """Return the groups that distribute connections to several members."""
    users: dict[int, list[_User]] = collections.defaultdict(list)
    for flow in flows:
        logical = catalog[flow.cookie]
        if flow.group is not None and logical.meaning is Meaning.CONNECTIONS:
            users[flow.group].append(_User(_key(logical), logical.backends))
    return {
        group: _Use(frozenset(each), len(each))
        for group, each in users.items()
        if all(1 < len(user.backends) <= MOST_BACKENDS for user in each)
    }


def _as_flows(group: GroupCounters) -> list[FlowCounters]:
    """Return the buckets of a group as flows, for a meter."""
    return [
        FlowCounters(
            cookie=group.group,
            identity=number.to_bytes(2, "big"),
            datapath=None,
            address=b"",
            packets=packets,
            bytes=octets,
            age=group.age,
        )
        for number, (packets, octets) in enumerate(group.buckets)
    ]


def _key(logical: LogicalFlow) -> Key:
    return Key(logical.row_uuid_prefix, logical.port)
