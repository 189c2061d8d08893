# SPDX-License-Identifier: Apache-2.0

import struct

import pytest

from octavia_ovn.core.statistics import openflow
from tests.core.statistics.switch import entry, field, packed, reply

METADATA, IPV4_DST, IPV6_DST = 2, 12, 27


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


def test_the_last_part_of_a_reply():
    assert openflow.is_last(reply())
    assert not openflow.is_last(reply(more=True))


@pytest.mark.parametrize(
    "body", [reply(entry())[:-20], reply() + b"\0", reply() + bytes(60)], ids=["cut", "1", "zeros"]
)
def test_nonsense_is_refused(body):
    with pytest.raises(ValueError, match="flow"):
        list(openflow.flows(body))
