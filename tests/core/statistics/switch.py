# SPDX-License-Identifier: Apache-2.0
"""A bridge as a collector sees it, in memory: flows with counters, and its side of OpenFlow 1.3."""

import ipaddress
import struct

from octavia_ovn.core.statistics.openflow import FlowCounters


def counters(cookie=1, packets=0, octets=0, age=100.0, **fields):
    given = {"identity": b"20", "datapath": 1, "address": packed("10.0.0.100"), **fields}
    return FlowCounters(cookie=cookie, packets=packets, bytes=octets, age=age, **given)


def packed(address):
    return ipaddress.ip_address(address).packed


def field(number, value, kind=0x8000):
    return struct.pack("!HBB", kind, number << 1, len(value)) + value


def entry(*fields, cookie=1, table=20, age=(5, 500_000_000), packets=0, octets=0, instructions=b""):
    """One flow of a reply, written by hand from the specification."""
    match = b"".join(fields)
    length = 4 + len(match)
    match = struct.pack("!HH", 1, length) + match + bytes(-length % 8)
    head = struct.pack("!BxIIHHHH4xQQQ", table, *age, 120, 0, 0, 0, cookie, packets, octets)
    body = head + match + instructions
    return struct.pack("!H", 2 + len(body)) + body


def apply(*actions):
    """The instruction to apply actions."""
    return struct.pack("!HH4x", 4, 8 + len(b"".join(actions))) + b"".join(actions)


def to_group(number):
    """The action to send packets to a group."""
    return struct.pack("!HHI", 22, 8, number)


def group(number, *buckets, references=1, age=(5, 500_000_000)):
    """One group of a reply, written by hand from the specification."""
    body = struct.pack("!2xII4xQQII", number, references, 0, 0, *age)
    body += b"".join(struct.pack("!QQ", *each) for each in buckets)
    return struct.pack("!H", 2 + len(body)) + body


def reply(*entries, more=False):
    return struct.pack("!HH4x", 1, int(more)) + b"".join(entries)
