# SPDX-License-Identifier: Apache-2.0
"""OpenFlow 1.3 messages that ask a bridge for the counters of its flows and groups.

Structures are those of the OpenFlow Switch Specification 1.3.5: header (7.1), hello (7.5.1), flow
statistics (7.3.5.2), group statistics (7.3.5.9), match (7.2.3), instructions (7.2.4). A request by
complete cookie is answered from an index; dumping all flows to find a few would cost the switch in
proportion to the size of the cloud.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

VERSION = 4  # OpenFlow 1.3
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY = 0, 1, 2, 3
_MULTIPART_REQUEST, MULTIPART_REPLY = 18, 19
_FLOW, _GROUP = 1, 6  # OFPMP_FLOW, OFPMP_GROUP
_MORE = 1  # OFPMPF_REPLY_MORE
_ANY_TABLE, _ANY = 0xFF, 0xFFFFFFFF
_EXACT = (1 << 64) - 1
_NO_MATCH = struct.pack("!HH4x", 1, 4)

HEADER = struct.Struct("!BBHI")
_MULTIPART = struct.Struct("!HH4x")
_FLOW_REQUEST = struct.Struct("!B3xII4xQQ")
_FLOW_STATS = struct.Struct("!HBxIIHHHH4xQQQ")
_MATCH_AT = _FLOW_STATS.size
_MATCH = struct.Struct("!HH")
_FIELD = struct.Struct("!HBB")
_GROUP_REQUEST = struct.Struct("!I4x")
_GROUP_STATS = struct.Struct("!H2xII4xQQII")
_BUCKET = struct.Struct("!QQ")
_PART = struct.Struct("!HH")
"""The beginning of an instruction and of an action: type and length."""
_APPLY_ACTIONS, _TO_GROUP = 4, 22  # OFPIT_APPLY_ACTIONS, OFPAT_GROUP
_ACTIONS_AT = 8

# Fields of class OFPXMC_OPENFLOW_BASIC: METADATA, IPV4_DST, IPV6_DST; OVS writes a masked one
# with its HM bit, and none of these is masked in flows that serve one VIP.
_BASIC = 0x8000
_METADATA, _IPV4_DST, _IPV6_DST = 2 << 1, 12 << 1, 27 << 1


_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class FlowCounters:
    """One flow of a bridge.

    :param identity: table, priority and match, opaque: two flows of a bridge differ in it
    :param datapath: what OVN numbers switches and routers with; None when the flow is in all
    :param address: destination, packed; empty when the flow matches none
    :param age: seconds since it was added
    :param group: the group that it sends packets to; None when there is none
    """

    cookie: int
    identity: bytes
    datapath: int | None
    address: bytes
    packets: int
    bytes: int
    age: float
    group: int | None = None


@dataclass(frozen=True, slots=True)
class GroupCounters:
    """One group of a bridge.

    :param references: how many flows of the bridge send packets to it
    :param buckets: packets and bytes of each, in the order in which they were given
    :param age: seconds since it was added
    """

    group: int
    references: int
    buckets: tuple[tuple[int, int], ...]
    age: float


def message(kind: int, transaction: int = 0, body: bytes = b"") -> bytes:
    """Return a message of version 1.3, such as HELLO, which offers that version and no other."""
    return HEADER.pack(VERSION, kind, HEADER.size + len(body), transaction) + body


def flow_request(transaction: int, cookie: int) -> bytes:
    """Return the message that asks for the flows with a cookie."""
    body = _MULTIPART.pack(_FLOW, 0) + _FLOW_REQUEST.pack(_ANY_TABLE, _ANY, _ANY, cookie, _EXACT)
    return message(_MULTIPART_REQUEST, transaction, body + _NO_MATCH)


def group_request(transaction: int, group: int) -> bytes:
    """Return the message that asks for the counters of a group; without it, nothing is answered."""
    body = _MULTIPART.pack(_GROUP, 0) + _GROUP_REQUEST.pack(group)
    return message(_MULTIPART_REQUEST, transaction, body)


def is_last(body: bytes) -> bool:
    """Whether a multipart reply is the last one to its request."""
    _, flags = _MULTIPART.unpack_from(body)
    return not flags & _MORE


def flows(body: bytes) -> Iterator[FlowCounters]:
    """Yield the flows in a multipart reply to :func:`flow_request`.

    :raises ValueError: when it is not one
    """
    return _entries(body, _MATCH_AT + _MATCH.size, _flow)


def groups(body: bytes) -> Iterator[GroupCounters]:
    """Yield the groups in a multipart reply to :func:`group_request`.

    :raises ValueError: when it is not one
    """
    return _entries(body, _GROUP_STATS.size, _group)


def _entries(body: bytes, least: int, read: Callable[[bytes], _Entry]) -> Iterator[_Entry]:
    """Yield the entries of a reply, which begin with their length."""
    offset = _MULTIPART.size
    try:
        while offset < len(body):
            size = struct.unpack_from("!H", body, offset)[0]
            if size < least or offset + size > len(body):
                raise ValueError(f"statistics of a flow or group in {size} bytes")
            yield read(body[offset : offset + size])
            offset += size
    except struct.error as error:
        raise ValueError(f"statistics of flows or groups that end too early: {error}") from error


def _flow(entry: bytes) -> FlowCounters:
    _, table, seconds, nanoseconds, priority, _, _, _, cookie, packets, octets = (
        _FLOW_STATS.unpack_from(entry)
    )
    _, length = _MATCH.unpack_from(entry, _MATCH_AT)
    match = entry[_MATCH_AT + _MATCH.size : _MATCH_AT + length]
    fields = dict(_fields(match))
    metadata = fields.get(_METADATA)
    return FlowCounters(
        cookie=cookie,
        identity=bytes([table]) + priority.to_bytes(2, "big") + match,
        datapath=None if metadata is None else int.from_bytes(metadata, "big"),
        address=fields.get(_IPV4_DST) or fields.get(_IPV6_DST) or b"",
        packets=packets,
        bytes=octets,
        age=seconds + nanoseconds / 1e9,
        group=next(_groups_of(entry[_MATCH_AT + _padded(length) :]), None),
    )


def _fields(match: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(match):
        kind, field, size = _FIELD.unpack_from(match, offset)
        offset += _FIELD.size
        if kind == _BASIC:
            yield field, match[offset : offset + size]
        offset += size


def _groups_of(instructions: bytes) -> Iterator[int]:
    """Yield the groups that actions of a flow send packets to."""
    for kind, instruction in _parts(instructions):
        if kind == _APPLY_ACTIONS:
            for action, content in _parts(instruction[_ACTIONS_AT:]):
                if action == _TO_GROUP:
                    yield int.from_bytes(content[_PART.size :], "big")


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield instructions or actions by type."""
    offset = 0
    while offset < len(data):
        kind, size = _PART.unpack_from(data, offset)
        if size < _PART.size:
            raise ValueError(f"a part of a flow of {size} bytes")
        yield kind, data[offset : offset + size]
        offset += size


def _padded(length: int) -> int:
    """Return a length with what fills it up to a multiple of 8."""
    return length + -length % 8


def _group(entry: bytes) -> GroupCounters:
    _, group, references, _, _, seconds, nanoseconds = _GROUP_STATS.unpack_from(entry)
    return GroupCounters(
        group,
        references,
        tuple(_BUCKET.iter_unpack(entry[_GROUP_STATS.size :])),
        seconds + nanoseconds / 1e9,
    )
