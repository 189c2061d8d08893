# SPDX-License-Identifier: Apache-2.0
"""Lines of `dpctl/dump-conntrack`, of the userspace and the kernel datapath."""

import pytest

from octavia_ovn.core.statistics.conntrack import by_listener, connection, open_connections
from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.traffic import Key
from tests.core.statistics.switch import packed

VIP = "10.0.1.100"


def line(address=VIP, port=80, rest="mark=2,protoinfo=(state=ESTABLISHED)", protocol="tcp"):
    return (
        f"{protocol},orig=(src=10.0.1.13,dst={address},sport=35318,dport={port}),"
        f"reply=(src=10.0.1.11,dst=10.0.1.13,sport=80,dport=35318),zone=8,timeout=86399,{rest}\n"
    )


def logical(hint="aaaaaaaa", meaning=Meaning.CONNECTIONS, protocol="tcp", port=80):
    return LogicalFlow(meaning, hint, packed(VIP), protocol, port, routed=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (line(), ("tcp", VIP, 80)),
        (line(rest="mark=0x2,labels=0x1,protoinfo=(state=ESTABLISHED)"), ("tcp", VIP, 80)),
        (line(rest="mark=2", protocol="udp"), ("udp", VIP, 80)),
        (line(address="fd00::64"), ("tcp", "fd00::64", 80)),
        (
            (
                "tcp,orig=(src=10.0.1.13,dst=10.0.1.100,sport=1,dport=80,packets=5,bytes=9),reply=(),"
                "mark=6,protoinfo=(state_orig=ESTABLISHED,state_reply=ESTABLISHED)"
            ),
            ("tcp", VIP, 80),
        ),
    ],
)
def test_open_connections_through_a_load_balancer(text, expected):
    protocol, address, port = expected

    assert connection(text).destination == (protocol, packed(address), port)


@pytest.mark.parametrize(
    "text",
    [
        line(rest="mark=2,protoinfo=(state=TIME_WAIT)"),
        line(rest="mark=1,protoinfo=(state=ESTABLISHED)"),
        line(rest="protoinfo=(state=ESTABLISHED)"),
        "icmp,orig=(src=10.0.1.1,dst=10.0.1.2,id=1,type=8,code=0),reply=(),mark=2",
        "",
    ],
    ids=["closed", "another mark", "no mark", "ping", "nothing"],
)
def test_anything_else(text):
    assert connection(text) is None


def test_counting():
    lines = [line(), line(), line(port=8080), line(protocol="udp", rest="mark=2"), line(rest="")]
    flows = [
        logical(),
        logical(),  # as a switch and a router have it
        logical("bbbbbbbb", protocol="udp"),
        logical("cccccccc", Meaning.BYTES),
    ]

    found = open_connections(lines, flows)

    assert by_listener(found) == {Key("aaaaaaaa", 80): 2, Key("bbbbbbbb", 80): 1}


def test_counting_by_member():
    lines = [line(), line(), line().replace("10.0.1.11", "fd00::11"), line().replace("reply", "x")]

    assert open_connections(lines, [logical()]) == {
        Key("aaaaaaaa", 80): {"10.0.1.11:80": 2, "[fd00::11]:80": 1, "": 1}
    }


def test_two_tenants_with_the_same_vip_are_not_counted():
    assert open_connections([line()], [logical("aaaaaaaa"), logical("bbbbbbbb")]) == {}


@pytest.mark.parametrize("broken", [line(address="nowhere"), line(rest="mark=two")])
def test_a_line_that_cannot_be_read_is_no_connection(broken):
    assert connection(broken) is None
