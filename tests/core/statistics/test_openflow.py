# SPDX-License-Identifier: Apache-2.0

import struct

import pytest

from octavia_ovn.core.statistics import openflow
from octavia_ovn.core.statistics.openflow import GroupCounters
from tests.core.statistics.switch import apply, entry, field, group, packed, reply, to_group

METADATA, IPV4_DST, IPV6_DST = 2, 12, 27
WRITE_METADATA = struct.pack("!HH4xQQ", 2, 24, 0, 0)
EXPERIMENTER = struct.pack("!HHI", 0xFFFF, 8, 0x2320)


def test_a_request_asks_for_one_cookie_in_all_tables():
    message = openflow.flow_request(7, 0xB9467E2E)

    assert struct.unpack("!BBHI", message[:8]) == (4, 18, 56, 7)
    assert struct.unpack("!HH4x", message[8:16]) == (1, 0)
    assert struct.unpack("!B3xII4xQQ", message[16:48]) == (
        0xFF,
        0xFFFFFFFF,
        0xFFFFFFFF,
        0xB9467E2E,
        0xFFFFFFFFFFFFFFFF,
    )
    assert message[48:] == struct.pack("!HH4x", 1, 4)
    assert len(message) == 56


def test_hello_and_echo():
    assert openflow.message(openflow.HELLO) == bytes([4, 0, 0, 8, 0, 0, 0, 0])
    assert openflow.message(openflow.ECHO_REQUEST) == bytes([4, 2, 0, 8, 0, 0, 0, 0])
    assert openflow.message(openflow.ECHO_REPLY, 3, b"x") == bytes([4, 3, 0, 9, 0, 0, 0, 3]) + b"x"


@pytest.mark.parametrize("address", ["10.0.0.100", "fd00::64"])
def test_flows_of_a_reply(address):
    number = IPV6_DST if ":" in address else IPV4_DST
    body = reply(
        entry(
            field(0, b"nicira", kind=0xFFFF),
            field(METADATA, (3).to_bytes(8, "big")),
            field(number, packed(address)),
            cookie=9,
            packets=5,
            octets=370,
        ),
        entry(cookie=10, table=21),
    )

    first, second = openflow.flows(body)

    assert (first.cookie, first.packets, first.bytes, first.age) == (9, 5, 370, 5.5)
    assert (first.datapath, first.address) == (3, packed(address))
    assert (second.cookie, second.datapath, second.address) == (10, None, b"")
    assert first.identity != second.identity


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        (apply(to_group(7)), 7),
        (WRITE_METADATA + apply(EXPERIMENTER, to_group(9)), 9),
        (apply(), None),
        (struct.pack("!HHB3x", 1, 8, 4), None),
        (b"", None),
    ],
    ids=["a group", "after others", "no actions", "another table", "nothing"],
)
def test_the_group_of_a_flow(instructions, expected):
    (flow,) = openflow.flows(reply(entry(field(METADATA, bytes(8)), instructions=instructions)))

    assert flow.group == expected


def test_a_request_asks_for_one_group():
    assert openflow.group_request(7, 9) == bytes.fromhex(
        "04120018 00000007 0006000000000000 0000000900000000"
    )


def test_groups_of_a_reply():
    body = reply(group(7, (3, 222), (2, 148), references=4), group(8))

    assert list(openflow.groups(body)) == [
        GroupCounters(7, 4, ((3, 222), (2, 148)), 5.5),
        GroupCounters(8, 1, (), 5.5),
    ]


@pytest.mark.parametrize(
    "body",
    [
        reply(group(7))[:-4],
        reply(group(7)) + b"\0",
        reply() + bytes(60),
        reply(b"\0\x30" + group(7)[2:] + bytes(8)),
    ],
    ids=["cut", "1", "zeros", "half a bucket"],
)
def test_nonsense_about_groups_is_refused(body):
    with pytest.raises(ValueError, match="group"):
        list(openflow.groups(body))


def test_nonsense_about_actions_is_refused():
    with pytest.raises(ValueError, match="part of a flow"):
        list(openflow.flows(reply(entry(instructions=bytes(8)))))


def test_the_last_part_of_a_reply():
    assert openflow.is_last(reply())
    assert not openflow.is_last(reply(more=True))


@pytest.mark.parametrize(
    "body", [reply(entry())[:-20], reply() + b"\0", reply() + bytes(60)], ids=["cut", "1", "zeros"]
)
def test_nonsense_is_refused(body):
    with pytest.raises(ValueError, match="flow"):
        list(openflow.flows(body))
