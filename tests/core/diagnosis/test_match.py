# SPDX-License-Identifier: Apache-2.0
"""OVN's match expressions, and what ACLs decide."""

import dataclasses

import pytest

from octavia_ovn.core.diagnosis.acls import FROM_PORT, TO_PORT, Acl, Answer, decide
from octavia_ovn.core.diagnosis.match import Packet, address_sets, matches

PACKET = Packet(
    source="10.0.0.7",
    destination="10.0.0.100",
    protocol="tcp",
    port=80,
    inport="client",
    outport="member",
    in_groups=frozenset({"pg_a"}),
    out_groups=frozenset({"pg_b"}),
)
IPV6 = dataclasses.replace(PACKET, source="fd00::7", destination="fd00::100", protocol="udp")
SETS = {"friends": ("10.0.0.0/29", "10.1.0.1"), "empty": ()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", True),
        ("0", False),
        ("ip", True),
        ("ip4", True),
        ("ip6", False),
        ("tcp", True),
        ("udp", False),
        ("icmp4", False),
        ("arp || nd", False),
        ("!udp", True),
        ("!(udp || tcp)", False),
        ("ip4 && tcp && tcp.dst == 80", True),
        ("tcp.dst >= 79 && tcp.dst <= 81", True),
        ("tcp.dst < 80", False),
        ("tcp.dst > 0x4f", True),
        ("tcp.dst != 80", False),
        ("udp.dst == 80", False),
        ("tcp.dst == {22, 80}", True),
        ("tcp.dst == {22, 81}", False),
        ("tcp.dst != {22, 80}", False),
        ("ip.proto == 6", True),
        ("ip4.src == 10.0.0.0/24", True),
        ("ip4.src == 10.0.0.7", True),
        ("ip4.src == 0.0.0.0/0", True),
        ("ip4.src != 10.0.0.7", False),
        ("ip4.src != {10.0.0.8, 10.0.0.9}", True),
        ("ip4.dst == {10.0.0.99, 10.0.0.100}", True),
        ("ip6.src == ::/0", False),
        ("ip4.src == $friends", True),
        ("ip4.dst == $friends", False),
        ("ip4.src == $empty", False),
        ("inport == @pg_a", True),
        ("inport == @pg_b", False),
        ("outport == @pg_b && ip4", True),
        ('outport == "member"', True),
        ('inport != "member"', True),
        # What cannot be told, and what does not matter then.
        ("ip4.src == $unknown", None),
        ("udp && ip4.src == $unknown", False),
        ("tcp || ip4.src == $unknown", True),
        ("tcp.src == 1024", None),
        ("tcp.flags == 2", None),
        ("ct.est", None),
        ("reg0 == 1", None),
        ("ip.ttl == 1", None),
        ("ip4.mcast == 1", None),
        ("inport < 3", None),
        # What is no expression.
        ("", None),
        ("tcp &&", None),
        ("(tcp", None),
        ("tcp)", None),
        ("tcp tcp", None),
        ("tcp.dst == eighty", None),
        ("ip4.src == 10.0.0.300", None),
        ("tcp & udp", None),
    ],
)
def test_matches(text, expected):
    assert matches(text, PACKET, SETS) is expected


def test_ipv6():
    assert matches("ip6 && ip6.dst == fd00::/64 && udp.dst == 80", IPV6, {})
    assert not matches("ip4.src == 10.0.0.0/8", IPV6, {})


def test_address_sets():
    assert address_sets("ip4.src == $a_ip4 && ip4.dst != $.b || ip6") == {"a_ip4", ".b"}


def acl(match="ip4", action="allow-related", priority=1002, **fields):
    return Acl("pg_a", fields.pop("direction", FROM_PORT), priority, match, action, **fields)


DROP = acl("inport == @pg_a && ip", "drop", 1001)


@pytest.mark.parametrize(
    ("acls", "answer"),
    [
        ([], Answer.ALLOWED),
        ([DROP], Answer.DENIED),
        ([DROP, acl("tcp")], Answer.ALLOWED),
        ([DROP, acl("udp")], Answer.DENIED),
        ([DROP, acl("tcp", "allow-stateless")], Answer.STATELESS),
        ([DROP, acl("tcp", "allow-stateless"), acl("tcp", priority=2000)], Answer.STATELESS),
        ([DROP, acl("udp", "allow-stateless"), acl("tcp")], Answer.ALLOWED),
        ([acl("tcp", "drop", 2000), acl("tcp", "allow-stateless")], Answer.DENIED),
        ([DROP, acl("tcp", direction=TO_PORT)], Answer.DENIED),
        ([acl("tcp"), acl("tcp", "reject", 2000)], Answer.DENIED),
        ([acl("tcp", "drop"), acl("tcp")], Answer.ALLOWED),
        ([DROP, acl("ct.est")], Answer.UNCLEAR),
        ([DROP, acl("tcp", "pass"), acl("tcp", tier=1)], Answer.ALLOWED),
        ([DROP, acl("tcp", "pass"), acl("tcp", "drop", tier=1)], Answer.DENIED),
    ],
)
def test_decisions(acls, answer):
    assert decide(acls, FROM_PORT, PACKET, SETS).answer is answer


def test_a_decision_names_its_rule():
    assert decide([DROP], FROM_PORT, PACKET, SETS).acl is DROP
    assert decide([], FROM_PORT, PACKET, SETS).acl is None
