# SPDX-License-Identifier: Apache-2.0
"""The job `statistics` of a chassis: counts the traffic of load balancers there.

It reads counters of the local Open vSwitch and sends their growth to the agents. It writes only its
own state file.
"""

from __future__ import annotations

import dataclasses
import math
import resource
import time
from collections.abc import Callable, Collection, Iterator, Mapping

from octavia_ovn import without_eventlet  # noqa: F401 - before the library

# isort: split
import ovs.poller
from oslo_log import log

from octavia_ovn.adapters.openvswitch.bridge import Bridge
from octavia_ovn.adapters.openvswitch.host import Identity, LocalSwitch
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.southbound.logical_flows import SouthboundFlows
from octavia_ovn.adapters.statistics.ack_watchdog import AckWatchdog
from octavia_ovn.adapters.statistics.datagrams import CollectorSocket
from octavia_ovn.adapters.statistics.state_file import StatisticsFile
from octavia_ovn.attempts import Attempts
from octavia_ovn.config import statistics
from octavia_ovn.connection_reader import ConnectionReader
from octavia_ovn.core.statistics.conntrack import MemberOpen, by_listener, open_connections
from octavia_ovn.core.statistics.limited import Reported, present
from octavia_ovn.core.statistics.logical_flows import LogicalFlow
from octavia_ovn.core.statistics.member_bytes import Bytes
from octavia_ovn.core.statistics.members import Member, MemberConnections
from octavia_ovn.core.statistics.messages import (
    Acknowledgement,
    Challenge,
    Message,
    OpenConnections,
    Report,
    in_parts,
)
from octavia_ovn.core.statistics.meter import Growth, Watchlist
from octavia_ovn.core.statistics.openflow import FlowCounters
from octavia_ovn.core.statistics.tally import attribute, serves
from octavia_ovn.core.statistics.traffic import Balancer, Key, Traffic, add
from octavia_ovn.schedule import Schedule

LOG = log.getLogger(__name__)

_PROBE = 60000  # milliseconds
_LINGER = 60
"""Readings for which a listener without open connections is still reported, so that an agent that
has just taken over receives the 0."""
_LOAD = 20
"""A reading is followed by a pause of that many times its duration, with any interval: so
this process and the switch use 5 % of a processor for it at most."""
_ANNOUNCE = 60.0
"""Seconds between two messages that this chassis counts for limits, though there are none here."""
_IDENTIFY = 300.0
"""Seconds between two readings of the chassis's identity from Open vSwitch."""
_REPEAT = 0.2
"""Seconds until messages are repeated under a new session: two agents cannot make the
collector repeat them in a loop without a pause."""
SOUTHBOUND, SWITCH, CONNECTIONS = "southbound", "switch", "connections"
STATE_FILE, AGENTS, WAIT, RECORDS = "state_file", "agents", "wait", "records"
_PARTS = {
    SOUTHBOUND: "The Southbound database",
    SWITCH: "Open vSwitch",
    CONNECTIONS: "The list of open connections",
    STATE_FILE: "The state file",
    AGENTS: "The socket to the agents",
    WAIT: "Waiting for the sockets",
    RECORDS: "The record of connections",
}
"""Parts that may fail independently: name in metrics → name in logs."""
_PAUSE = 1.0
"""Seconds between two iterations while waiting for events is not possible."""


def _computed() -> float:
    """Return the seconds that this thread, and ended child processes, have computed.

    On a host that is busy, a reading takes longer without costing more.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.thread_time() + children.ru_utime + children.ru_stime


class Collector:
    """The collector of one chassis.

    Each part may fail for a time without stopping the others; see :class:`Attempts`.
    """

    def __init__(self, settings: statistics.CollectorStatistics) -> None:
        self._switch = LocalSwitch(settings.ovs_rundir)
        self._file = StatisticsFile(settings.state_file)
        self._memory = self._file.load()
        self._southbound = SouthboundFlows(
            Endpoint.parse(*settings.sb),
            _PROBE,
            with_names=bool(settings.metrics_port),
            with_limits=bool(settings.limits_interval),
            with_records=bool(settings.flow_records),
            with_backends=bool(settings.counts_members or settings.flow_records),
        )
        self._reader = ConnectionReader(settings, self._switch, self._southbound)
        reads = settings.flow_records or settings.counts_member_bytes
        self._records = Schedule(settings.records_interval if reads else 0)
        self._socket = CollectorSocket(settings.controllers, settings.key)
        self._read = Schedule(settings.read_interval)
        self._send = Schedule(settings.send_interval)
        self._connections = Schedule(settings.connections_interval)
        self._limits = Schedule(settings.limits_interval)
        self._counts_limits = bool(settings.limits_interval)
        self._announce = Schedule(_ANNOUNCE if self._counts_limits else 0)
        self._identify = Schedule(_IDENTIFY)
        self._parts = {
            name: Attempts(f"{what} cannot be used: %s", f"{what} can be used again")
            for name, what in _PARTS.items()
        }
        self._watchlist = Watchlist()
        self._identity: Identity | None = None
        self._bridge: Bridge | None = None
        self._linger: dict[Key, int] = {}
        self._session = ""
        self._open_number = self._open_sent = 1
        self._open_changed = False
        self._reported = Reported()
        self._watchdog = AckWatchdog()
        self._for_metrics = bool(settings.metrics_port)
        self._members = MemberConnections(settings.member_series, time.monotonic())
        self._left_out = False
        self.totals: dict[Key, Traffic] = {}
        """Since this process started, of existing listeners."""
        self.open_by_member: MemberOpen = {}
        self.open: dict[Key, int] = {}

    @property
    def balancers(self) -> Mapping[str, Balancer]:
        """The load balancers by `row_uuid_prefix`."""
        return self._southbound.balancers

    @property
    def by_member(self) -> Mapping[Member, int]:
        """The connections of members since this process started."""
        return self._members.counts

    @property
    def bytes_by_member(self) -> Mapping[Member, Bytes]:
        """The bytes of members since this process started."""
        return self._reader.bytes.counts

    @property
    def working(self) -> Mapping[str, bool]:
        """Whether each part works, by name."""
        found = {name: not part.failing for name, part in self._parts.items()}
        return found | {AGENTS: found[AGENTS] and not self._watchdog.overdue}

    @property
    def defects(self) -> Mapping[str, int]:
        """How many unexpected errors each part had."""
        return {name: part.defects for name, part in self._parts.items()}

    def run(self, running: Callable[[], bool]) -> None:
        """Run until `running` returns False; then read and send once more.

        :raises Unavailable: when the state file cannot be written at the start
        """
        try:
            self._file.save(self._memory)
            while running():
                self._run_once()
                if not self._try(WAIT, self._wait):
                    time.sleep(_PAUSE)
            self._try(SWITCH, self._count)
            self._deliver()
        finally:
            self._southbound.close()
            self._socket.close()
            if self._bridge is not None:
                self._bridge.close()

    def _try(self, part: str, work: Callable[[], object]) -> bool:
        return self._parts[part].run(work)

    def _run_once(self) -> None:
        now = time.monotonic()
        self._try(SOUTHBOUND, self._follow)
        self._try(AGENTS, self._receive)
        if self._read.is_due(now) and self._southbound.synced:
            self._try(SWITCH, self._count)
            after = time.monotonic()
            self._read.put_off(after + _LOAD * (after - now))
        if self._connections.is_due(now) and self._southbound.synced:
            self._try(CONNECTIONS, self._read_connections)
        if self._has_limits and self._limits.is_due(now) and self._southbound.synced:
            self._try(CONNECTIONS, self._count_limited)
        elif not self._has_limits:
            self._forget_members()
        if self._records.is_due(now) and self._southbound.synced:
            self._try(RECORDS, self._record)
        if self._send.is_due(now):
            self._deliver()

    def _follow(self) -> None:
        now = time.monotonic()
        self._watchlist.added(self._southbound.run(), now)
        self._southbound.check(now)

    def _receive(self) -> None:
        for message in self._socket.receive():
            if isinstance(message, Challenge):
                self._join(message.session)
            elif isinstance(message, Acknowledgement) and message.incarnation == (
                self._memory.incarnation
            ):
                self._memory.outbox.acknowledge(message.numbers)
                self._watchdog.acknowledged()

    def _join(self, session: str) -> None:
        """Repeat all messages under the session of an agent, after a pause."""
        if session != self._session:
            self._session = session
            self._open_changed = True
            self._send.due = min(self._send.due, time.monotonic() + _REPEAT)

    def _count(self) -> None:
        bridge = self._switch_bridge()
        catalog = self._southbound.flows
        cookies = self._watchlist.due(catalog, time.monotonic())
        began = time.monotonic()
        groups, moment = bridge.groups(self._members.groups()), time.monotonic()
        flows: list[FlowCounters] = []
        grown: list[Growth] = []
        try:
            for reading in bridge.read(cookies):
                ours = [each for each in reading.flows if serves(catalog.get(each.cookie), each)]
                self._watchlist.seen(reading.asked, (each.cookie for each in ours))
                flows += ours
                times = reading.moment, reading.delay
                grown += self._memory.meter.advance(reading.asked, ours, *times)
            self._members.add_groups(catalog, flows, groups, moment, moment - began)
        finally:
            traffic = attribute(catalog, flows, grown)
            self._memory.outbox.add(traffic)
            if self._for_metrics:
                add(self.totals, traffic)
                self._members.add_flows(catalog, grown)

    def _switch_bridge(self) -> Bridge:
        """Return the bridge of this chassis; its identity is read again now and then.

        :raises Unavailable: when Open vSwitch does not have it
        """
        if self._bridge is None or self._identify.is_due(time.monotonic()):
            found = self._switch.identity()
            if self._bridge is None or found != self._identity:
                LOG.info("This is chassis %s, bridge %s", *dataclasses.astuple(found))
                if self._bridge is not None:
                    self._bridge.close()
                self._identity, self._bridge = found, Bridge(self._switch.management(found.bridge))
        return self._bridge

    def _read_connections(self) -> None:
        found = self._counted()
        self._linger = {key: left - 1 for key, left in self._linger.items() if left > 1}
        self._linger |= dict.fromkeys(found, _LINGER)
        self.open = {key: found.get(key, 0) for key in self._linger}
        self._open_number += 1
        self._open_changed = True

    def _count_limited(self) -> None:
        """Count the connections of listeners with a limit."""
        before = _computed()
        if self._reported.open or present(self._southbound.limited, self._flows()):
            self._counted()
        else:
            self._forget_members()
        # Open vSwitch computes about as long to list them.
        self._limits.put_off(time.monotonic() + 2 * _LOAD * (_computed() - before))

    def _record(self) -> None:
        """Follow connections, and write records of those that have ended."""
        before = _computed()
        bridge = self._switch_bridge()
        assert self._identity is not None  # noqa: S101 - the bridge's
        self._reader.read(bridge, self._identity.chassis, self._flows())
        self._records.put_off(time.monotonic() + 2 * _LOAD * (_computed() - before))

    def _forget_members(self) -> None:
        """Forget the connections of members, if they are counted for limits only."""
        if self._connections.due == math.inf:
            self.open_by_member = {}

    @property
    def _has_limits(self) -> bool:
        """Whether listeners with a limit may be on any chassis, or have been on this one."""
        return bool(self._southbound.limited or self._reported.open)

    def _counted(self) -> Mapping[Key, int]:
        """Count open connections; report at once what has changed of listeners with a limit."""
        flows = self._flows()
        counted = open_connections(self._switch.connections(), flows)
        found = by_listener(counted)
        if self._for_metrics:
            self.open_by_member = counted
        changed = self._reported.update(present(self._southbound.limited, flows), found)
        kept = {key: number for key, number in self.open.items() if key in self._linger}
        self.open = {**kept, **self._reported.open}
        if changed and self._identity is not None:
            chassis = self._identity.chassis
            self._try(AGENTS, lambda: self._socket.send(self._open(chassis, changed)))
        return found

    def _flows(self) -> list[LogicalFlow]:
        """Return the logical flows that are in use on this chassis."""
        catalog = self._southbound.flows
        return [catalog[each] for each in self._watchlist.present if each in catalog]

    def _open(self, chassis: str, counted: Mapping[Key, int]) -> Iterator[Message]:
        """Yield the open connections of some listeners, besides those that were sent before."""
        sender = (chassis, self._session, self._open_sent)
        for part in in_parts(counted):
            yield OpenConnections(*sender, part, limits=self._counts_limits)

    def _deliver(self) -> None:
        """Save what has been counted, and send it only then."""
        self._memory.outbox.fill()
        if self._try(STATE_FILE, lambda: self._file.save(self._memory)):
            self._try(AGENTS, self._send_messages)
        if self._for_metrics:
            flows = self._southbound.flows.values()
            self._keep({Key(each.row_uuid_prefix, each.port) for each in flows})

    def _send_messages(self) -> None:
        if self._identity is None:
            return
        if self._memory.outbox.reports:
            self._watchdog.waiting(time.monotonic(), self._identity.chassis)
        self._socket.send(self._messages(self._identity.chassis))
        self._open_changed = False

    def _keep(self, known: Collection[Key]) -> None:
        for key in [key for key in self.totals if key not in known]:
            del self.totals[key]
        self._members.keep(known)
        self._reader.bytes.keep(known)
        if self._members.left_out and not self._left_out:
            self._left_out = True
            LOG.warning(
                "More members have connections than [%s] member_series: metrics lack the others",
                statistics.SECTION,
            )

    def _messages(self, chassis: str) -> Iterator[Message]:
        outbox = self._memory.outbox
        sender = (chassis, self._session)
        for number, traffic in outbox.reports.items():
            yield Report(*sender, self._memory.incarnation, number, outbox.floor, traffic)
        # An empty list is sent, too: an earlier process of this chassis may have reported some.
        if self._open_changed and self._open_number > 1:
            self._open_sent = self._open_number
            yield from self._open(chassis, {**self._reported.open, **self.open})
        elif self._counts_limits and (
            self._open_changed or self._reported.open or self._announce.is_due(time.monotonic())
        ):
            yield from self._open(chassis, self._reported.open)

    def _wait(self) -> None:
        poller = ovs.poller.Poller()
        southbound, agents = self._parts[SOUTHBOUND], self._parts[AGENTS]
        if southbound.is_due:
            self._southbound.wait(poller)
        for fileno in self._socket.filenos() if agents.is_due else ():
            poller.fd_wait(fileno, ovs.poller.POLLIN)
        now = time.monotonic()
        limits = (self._limits,) if self._has_limits else ()
        readings = (self._read, self._connections, self._records, *limits)
        due = [each.due for each in (*readings, self._send)]
        due += [each.due for each in (southbound, agents) if not each.is_due]
        poller.timer_wait(max(0, int(1000 * (min(due) - now)) + 1))
        poller.block()
