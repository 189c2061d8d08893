# SPDX-License-Identifier: Apache-2.0
"""Records of single connections, from readings of the connection tracker.

A connection stays in the tracker for some time after its end: TCP for 10 s in Linux, 30 s in Open
vSwitch's userspace, others for as long as without packets. Readings closer than that see all of
them. What a reading does not show is not written: of a connection that was open at the first
reading it is unknown when it began; how many bytes one has had is known where the tracker counts
them, and if it was seen after its last packet.
"""

from __future__ import annotations

import datetime
import enum
import ipaddress
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from octavia_ovn.core.codec import endpoint
from octavia_ovn.core.statistics.conntrack import NATTED, Destination, owners_of
from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.traffic import Key

_COUNTERS = r"(?:,packets=(?P<packets_{0}>\d+),bytes=(?P<bytes_{0}>\d+))?\)"
_ENTRY = re.compile(
    r"(?P<protocol>\w+),orig=\(src=(?P<client>[^,]+),dst=(?P<address>[^,]+)"
    r",sport=(?P<client_port>\d+),dport=(?P<port>\d+)"
    + _COUNTERS.format("in")
    + r",reply=\(src=(?P<member>[^,]+),dst=[^,]+,sport=(?P<member_port>\d+),dport=\d+"
    + _COUNTERS.format("out")
    + r"(?P<rest>.*)"
)
_REST = re.compile(r",(id|zone|timeout|mark)=(\w+)")
_STATE = re.compile(r"[(,]state(?:_orig|_reply)?=(\w+)")
_CLOSED = frozenset({"CLOSED", "CLOSING", "FIN_WAIT_2", "TIME_WAIT"})
"""States after which there is no data, if both directions have them. Open vSwitch calls CLOSING
what a connection of Linux is after a reset, and in userspace a direction with a FIN."""


class Counters(NamedTuple):
    """Packets and bytes of IP packets, from clients (`in`) and to them (`out`)."""

    packets_in: int
    bytes_in: int
    packets_out: int
    bytes_out: int


class Identity(NamedTuple):
    """What tells a connection from all others that exist at the same time."""

    zone: int
    destination: Destination
    client: str
    client_port: int


class Entry(NamedTuple):
    """A connection through a load balancer, as a reading shows it.

    :param member: address and port, as in an entry of `vips`
    :param number: Linux gives each connection another one; 0 in userspace
    :param timeout: seconds until it is forgotten, if no packet comes
    :param counters: None where they are not counted
    """

    identity: Identity
    vip: str
    member: str
    number: int
    timeout: int
    closed: bool
    counters: Counters | None


def read(line: str) -> Entry | None:
    """Return the connection of a line; None when it does not go through a load balancer.

    :param line: one of `ovs-appctl dpctl/dump-conntrack -m -s`
    """
    found = _ENTRY.match(line)
    if found is None:
        return None
    rest = dict(_REST.findall(found["rest"]))
    try:
        if not int(rest.get("mark", "0"), 0) & NATTED:
            return None
        address = ipaddress.ip_address(found["address"]).packed
        zone, number, timeout = (int(rest.get(name, "0")) for name in ("zone", "id", "timeout"))
    except ValueError:
        return None
    states = _STATE.findall(found["rest"])
    destination = Destination(found["protocol"], address, int(found["port"]))
    return Entry(
        Identity(zone, destination, found["client"], int(found["client_port"])),
        found["address"],
        endpoint(found["member"], int(found["member_port"])),
        number,
        timeout,
        bool(states) and _CLOSED.issuperset(states),
        # A direction without packets is not shown; that of the client always has some.
        Counters(*(int(found[name] or 0) for name in Counters._fields))
        if found["packets_in"]
        else None,
    )


class Recorded(NamedTuple):
    """A load balancer whose connections are recorded: names of Octavia, and the protocol."""

    name: str
    project: str


class End(str, enum.Enum):
    """How a connection has ended."""

    CLOSED = "closed"
    """By both sides, or reset."""
    EXPIRED = "expired"
    """There were no packets for so long that it was forgotten."""
    REMOVED = "removed"
    """From the connection tracker, such as by OVN because the member has left."""
    REPLACED = "replaced"
    """By another one from the same port of the client, between two readings."""


class Moment(NamedTuple):
    """When a reading was made.

    :param wall: seconds since 1970
    :param began: in seconds of the monotonic clock, as the next
    """

    wall: float
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Record:
    """A connection that has ended.

    :param start: seconds since 1970 of the first reading that shows it; None if that is the first
        one of its load balancer
    :param end: of the first reading that shows that it has ended
    """

    recorded: Recorded
    entry: Entry
    start: float | None
    end: float
    how: End
    counters: Counters | None

    def line(self, chassis: str) -> str:
        """Return a line of JSON."""
        protocol, _, port = self.entry.identity.destination
        counters = self.counters or dict.fromkeys(Counters._fields)
        content = {
            "project": self.recorded.project or None,
            "load_balancer": self.recorded.name,
            "protocol": protocol,
            "vip": self.entry.vip,
            "port": port,
            "member": self.entry.member,
            "client": self.entry.identity.client,
            "client_port": self.entry.identity.client_port,
            "start": _time(self.start),
            "end": _time(self.end),
            "how": self.how.value,
            **(counters._asdict() if isinstance(counters, Counters) else counters),
            "chassis": chassis,
        }
        return json.dumps(content, separators=(",", ":")) + "\n"


def candidates(
    catalog: Mapping[int, LogicalFlow], rows: Collection[str]
) -> Mapping[int, LogicalFlow]:
    """Return the flows that lead to the VIPs and ports of some load balancers, by cookie.

    Other tenants may have the same VIPs: their flows are among these. Flows without backends let
    no connection through.

    :param rows: the `row_uuid_prefix` of the load balancers
    """
    if not rows:
        return {}
    flows = {
        cookie: flow
        for cookie, flow in catalog.items()
        if flow.meaning is Meaning.CONNECTIONS and flow.backends
    }
    places = {place(flow) for flow in flows.values() if flow.row_uuid_prefix in rows}
    return {cookie: flow for cookie, flow in flows.items() if place(flow) in places}


def owned(
    present: Iterable[LogicalFlow], recorded: Mapping[str, Recorded]
) -> Mapping[Destination, tuple[Key, Recorded]]:
    """Return whose connections a destination has, if these are recorded.

    Where two tenants have the same VIP and port on one chassis, that is unknown.

    :param present: flows that are on the chassis
    """
    found = {}
    for place, keys in owners_of(present).items():
        key = next(iter(keys))
        if len(keys) == 1 and key.row_uuid_prefix in recorded:
            found[place] = (key, recorded[key.row_uuid_prefix])
    return found


@dataclass(slots=True)
class _Known:
    entry: Entry
    key: Key
    recorded: Recorded
    start: float | None
    seen: float
    written: bool


class Connections:
    """The connections of recorded load balancers on a chassis.

    :param most: that are followed at once
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Identity, _Known] = {}
        self._rows: frozenset[str] = frozenset()
        """The load balancers that were recorded at the last reading."""
        self.left_out = 0
        """Connections that were not followed because of `most`."""

    def __contains__(self, identity: Identity) -> bool:
        return identity in self._known

    def __len__(self) -> int:
        return len(self._known)

    def advance(
        self,
        entries: Iterable[Entry],
        rows: Iterable[str],
        owners: Mapping[Destination, tuple[Key, Recorded]],
        serving: Collection[tuple[Key, str]],
        now: Moment,
    ) -> list[Record]:
        """Process a reading; return the connections that have ended since the last one.

        :param entries: complete
        :param rows: the `row_uuid_prefix` of the load balancers that are recorded
        :param owners: see :func:`owned`: only to these connections are added
        :param serving: listeners with members that get connections
        """
        ended: list[Record] = []
        found: set[Identity] = set()
        for entry in entries:
            found.add(entry.identity)
            known = self._known.get(entry.identity)
            if known is not None and not _continues(known.entry, entry):
                ended += _end(known, now, End.REPLACED)
                known = None
            known = known or self._add(entry, owners, now)
            if known is not None:
                known.entry, known.seen = entry, now.ended
                ended += _end(known, now, End.CLOSED, entry.counters) if entry.closed else ()
        for identity in self._known.keys() - found:
            known = self._known.pop(identity)
            # Had a packet come after the last reading, it would not be forgotten yet.
            expired = now.began - known.seen >= known.entry.timeout
            if expired and (known.key, known.entry.member) in serving:
                ended += _end(known, now, End.EXPIRED, known.entry.counters)
            else:
                ended += _end(known, now, End.REMOVED)
        self._rows = frozenset(rows)
        return ended

    def _add(
        self, entry: Entry, owners: Mapping[Destination, tuple[Key, Recorded]], now: Moment
    ) -> _Known | None:
        self._known.pop(entry.identity, None)
        owner = owners.get(entry.identity.destination)
        if owner is None:
            return None
        if len(self._known) >= self._most:
            self.left_out += 1
            return None
        new = owner[0].row_uuid_prefix in self._rows
        # One that ended before the first reading may have been written by an earlier process.
        written = entry.closed and not new
        known = _Known(entry, *owner, now.wall if new else None, now.ended, written)
        self._known[entry.identity] = known
        return known


def _continues(before: Entry, now: Entry) -> bool:
    """Whether two readings show the same connection."""
    if before.number != now.number or (before.closed and not now.closed):
        return False
    if before.counters is None or now.counters is None:
        return before.counters is now.counters
    return all(old <= new for old, new in zip(before.counters, now.counters, strict=True))


def _end(
    known: _Known, now: Moment, how: End, counters: Counters | None = None
) -> tuple[Record, ...]:
    """Return the record of a connection that has ended, once."""
    if known.written:
        return ()
    known.written = True
    return (Record(known.recorded, known.entry, known.start, now.wall, how, counters),)


def place(flow: LogicalFlow) -> Destination:
    """Return what the connections of a listener have as destination."""
    return Destination(flow.protocol, flow.address, flow.port)


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
