# SPDX-License-Identifier: Apache-2.0
"""Texts as ovn-northd of these versions writes them."""

import pytest

from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning, cookie, parse
from tests.core.statistics.switch import packed

HINT = "bc45e009"


def ids(stage, hint=HINT):
    return {"stage-name": stage, "stage-hint": hint, "source": "northd.c:7558"}


@pytest.mark.parametrize(
    ("stage", "match", "expected"),
    [
        (
            "ls_in_lb",
            "ct.new && ip4.dst == 10.0.1.100 && tcp.dst == 80",
            (Meaning.CONNECTIONS, "10.0.1.100", "tcp", 80, False),
        ),
        (
            "ls_in_lb",
            "ct.new && ip4.dst == 10.0.1.100 && reg1[16..23] == 17 && reg1[0..15] == 53",
            (Meaning.CONNECTIONS, "10.0.1.100", "udp", 53, False),
        ),
        (
            "ls_in_lb",
            "ct.new && ip6.dst == fd00::64 && reg1[16..23] == 99 && reg1[0..15] == 53",
            (Meaning.CONNECTIONS, "fd00::64", "", 53, False),
        ),
        (
            "lr_in_dnat",
            (
                "ct.new && !ct.rel && ip6 && ip6.dst == fd00::64 && sctp && sctp.dst == 8080"
                ' && is_chassis_resident("cr-lrp")'
            ),
            (Meaning.CONNECTIONS, "fd00::64", "sctp", 8080, True),
        ),
        (
            "ls_in_pre_stateful",
            "reg0[2] == 1 && ip4.dst == 10.0.1.100 && tcp.dst == 80",
            (Meaning.BYTES, "10.0.1.100", "tcp", 80, False),
        ),
        (
            "lr_in_defrag",
            "ip && ip4.dst == 10.0.1.100",
            (Meaning.ADDRESS_BYTES, "10.0.1.100", "", 0, True),
        ),
    ],
)
def test_what_counts(stage, match, expected):
    meaning, address, protocol, port, routed = expected

    assert parse(ids(stage), match) == LogicalFlow(
        meaning, HINT, packed(address), protocol, port, routed
    )


@pytest.mark.parametrize(
    ("external_ids", "match"),
    [
        (ids("ls_in_acl"), "ip4.dst == 10.0.1.100 && tcp.dst == 80"),
        ({"stage-name": "ls_in_lb"}, "ip4.dst == 10.0.1.100 && tcp.dst == 80"),
        (ids("ls_in_lb"), "1"),
        (ids("lr_in_dnat"), "ip && ip4.dst == 172.24.4.7"),
        ({}, "1"),
    ],
    ids=["another stage", "nobody's", "no address", "a floating IP", "nothing"],
)
def test_what_does_not_count(external_ids, match):
    assert parse(external_ids, match) is None


def test_cookie():
    assert cookie("b9467e2e-519f-49e8-bd3a-79a4e7b2055c") == 0xB9467E2E


@pytest.mark.parametrize(
    "match",
    [
        "ct.new && ip4.dst == 10.0.1.100",
        "ct.new && ip4.dst == 10.0.1.100.1 && tcp.dst == 80",
        "ct.new && tcp.dst == 80",
    ],
    ids=["no port", "no address that can be read", "no address"],
)
def test_a_match_that_names_no_listener_counts_nothing(match):
    assert parse(ids("ls_in_lb"), match) is None


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (
            "reg0[1] = 0; ct_lb_mark(backends=10.0.1.11:80,10.0.1.12:80);",
            ("10.0.1.11:80", "10.0.1.12:80"),
        ),
        (
            'ct_lb(backends=[fd00::1]:80; hash_fields="ip_dst,ip_src"; force_snat);',
            ("[fd00::1]:80",),
        ),
        ("ct_lb_mark_local(backends=10.0.1.11:80);", ("10.0.1.11:80",)),
        ("reg0 = 0; reject { outport <-> inport; next(pipeline=egress,table=5);};", ()),
        ("drop;", ()),
        ("", ()),
    ],
)
def test_backends(actions, expected):
    match = "ct.new && ip4.dst == 10.0.1.100 && tcp.dst == 80"

    assert parse(ids("ls_in_lb"), match, actions).backends == expected
