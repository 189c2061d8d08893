# SPDX-License-Identifier: Apache-2.0
"""OpenFlow 1.3 messages that ask a bridge for the counters of its flows.

Structures are those of the OpenFlow Switch Specification 1.3.5: header (7.1), hello (7.5.1), flow
statistics (7.3.5.2), match (7.2.3). A request by complete cookie is answered from an index; dumping
all flows to find a few would cost the switch in proportion to the size of the cloud.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

VERSION = 4  # OpenFlow 1.3
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY = 0, 1, 2, 3
_MULTIPART_REQUEST, MULTIPART_REPLY = 18, 19
_FLOW = 1  # OFPMP_FLOW
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

# Fields of class OFPXMC_OPENFLOW_BASIC: METADATA, IPV4_DST, IPV6_DST; OVS writes a masked one
# with its HM bit, and none of these is masked in flows that serve one VIP.
_BASIC = 0x8000
_METADATA, _IPV4_DST, _IPV6_DST = 2 << 1, 12 << 1, 27 << 1


@dataclass(frozen=True, slots=True)
class FlowCounters:
    """One flow of a bridge.

    :param identity: table, priority and match, opaque: two flows of a bridge differ in it
    :param datapath: what OVN numbers switches and routers with; None when the flow is in all
    :param address: destination, packed; empty when the flow matches none
    :param age: seconds since it was added
    """

    cookie: int
    identity: bytes
    datapath: int | None
    address: bytes
    packets: int
    bytes: int
    age: float


def message(kind: int, transaction: int = 0, body: bytes = b"") -> bytes:
    """Return a message of version 1.3, such as HELLO, which offers that version and no other."""
    return HEADER.pack(VERSION, kind, HEADER.size + len(body), transaction) + body


def flow_request(transaction: int, cookie: int) -> bytes:
    """Return the message that asks for the flows with a cookie."""
    body = _MULTIPART.pack(_FLOW, 0) + _FLOW_REQUEST.pack(_ANY_TABLE, _ANY, _ANY, cookie, _EXACT)
    return message(_MULTIPART_REQUEST, transaction, body + _NO_MATCH)


def is_last(body: bytes) -> bool:
    """Whether a multipart reply is the last one to its request."""
    _, flags = _MULTIPART.unpack_from(body)
    return not flags & _MORE


def flows(body: bytes) -> Iterator[FlowCounters]:
    """Yield the flows in a multipart reply to :func:`flow_request`.

    :raises ValueError: when it is not one
    """
    offset = _MULTIPART.size
    try:
        while offset < len(body):
            size = struct.unpack_from("!H", body, offset)[0]
            if size < _MATCH_AT + _MATCH.size:
                raise ValueError(f"a flow of {size} bytes")
            yield _flow(body[offset : offset + size])
            offset += size
    except struct.error as error:
        raise ValueError(f"flow statistics that end too early: {error}") from error


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
    )


def _fields(match: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(match):
        kind, field, size = _FIELD.unpack_from(match, offset)
        offset += _FIELD.size
        if kind == _BASIC:
            yield field, match[offset : offset + size]
        offset += size
