# SPDX-License-Identifier: Apache-2.0
"""Reads single connections on a chassis: for records of them, and for the bytes of members."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence

from octavia_ovn.adapters.openvswitch.bridge import Bridge
from octavia_ovn.adapters.openvswitch.host import LocalSwitch
from octavia_ovn.adapters.southbound.logical_flows import SouthboundFlows
from octavia_ovn.adapters.statistics.flow_log import FlowLog
from octavia_ovn.config.statistics import SECTION, CollectorStatistics
from octavia_ovn.core.statistics import flow_records
from octavia_ovn.core.statistics.conntrack import Destination, owners_of
from octavia_ovn.core.statistics.flow_records import Connections, Entry, Moment
from octavia_ovn.core.statistics.logical_flows import LogicalFlow
from octavia_ovn.core.statistics.member_bytes import MemberBytes, rival_flows
from octavia_ovn.core.statistics.tally import serves
from octavia_ovn.core.statistics.traffic import Key

LOG = logging.getLogger(__name__)

_MOST = 100_000
"""Connections that are followed at once: some 100 MB."""
_LONGEST = 10.0
"""Seconds for which Linux remembers a TCP connection that was reset; others longer."""


class ConnectionReader:
    """Follows connections.

    :param settings: whether there are records, and how many members have their bytes counted
    """

    def __init__(
        self, settings: CollectorStatistics, switch: LocalSwitch, southbound: SouthboundFlows
    ) -> None:
        self._log = FlowLog(settings.flow_records)
        self._counts_bytes = settings.counts_member_bytes
        self.bytes = MemberBytes(settings.member_series)
        self._switch = switch
        self._southbound = southbound
        self._connections = Connections(_MOST)
        self._last: float | None = None
        """When the last reading began, if anything was to be followed."""
        self._late = False
        self._left_out = 0

    def read(self, bridge: Bridge, chassis: str, present: Collection[LogicalFlow]) -> None:
        """Read the connections once; write records of those that have ended.

        :param present: flows that have been on the chassis a moment ago
        :raises Unavailable: when Open vSwitch or the file cannot be used
        """
        recorded, catalog = self._southbound.recorded, self._southbound.flows
        flows = flow_records.candidates(catalog, recorded)
        follows = bool(flows or len(self._connections))
        if not follows and not (self._counts_bytes and present):
            self._last = None
            self._log.append(())
            return
        wall, began = time.time(), time.monotonic()
        entries = self._entries({flow_records.place(each) for each in flows.values()})
        moment = Moment(wall, began, time.monotonic())
        if self._counts_bytes:
            self._count_bytes(bridge, entries, present)
        records = self._connections.advance(
            entries,
            recorded,
            flow_records.owned(_present(bridge, flows), recorded),
            {
                (Key(each.row_uuid_prefix, each.port), backend)
                for each in flows.values()
                for backend in each.backends
            },
            moment,
        )
        self._check(began)
        self._log.append([each.line(chassis) for each in records])

    def _entries(self, places: Collection[Destination]) -> list[Entry]:
        """Return the connections that are followed, or may be."""
        return [
            entry
            for line in self._switch.connections("-m", "-s")
            if (entry := flow_records.read(line)) is not None
            and (
                self._counts_bytes
                or entry.identity.destination in places
                or entry.identity in self._connections
            )
        ]

    def _count_bytes(
        self, bridge: Bridge, entries: Sequence[Entry], present: Collection[LogicalFlow]
    ) -> None:
        catalog = self._southbound.flows
        rivals = rival_flows(catalog)
        places = {flow_records.place(each) for each in rivals.values()}
        certain = (
            each for each in present if each.backends and flow_records.place(each) not in places
        )
        self.bytes.advance(entries, owners_of([*certain, *_present(bridge, rivals)]))

    def _check(self, began: float) -> None:
        """Log once when records may be missing."""
        late = self._last is not None and began - self._last > _LONGEST
        if late and not self._late:
            LOG.warning(
                "Connections were read %.0f s after the reading before: short ones may be missing"
                " in [%s] flow_records. This host has too many connections, or is busy",
                began - (self._last or 0.0),
                SECTION,
            )
        self._last, self._late = began, late
        left_out, self._left_out = self._left_out, self._connections.left_out
        if self._left_out and not left_out:
            LOG.warning("More than %d connections at once: others are not recorded", _MOST)


def _present(bridge: Bridge, flows: Mapping[int, LogicalFlow]) -> list[LogicalFlow]:
    """Return those of some flows that are on the chassis now."""
    return [
        flows[each.cookie]
        for reading in bridge.read(sorted(flows))
        for each in reading.flows
        if serves(flows.get(each.cookie), each)
    ]
