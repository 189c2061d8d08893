# SPDX-License-Identifier: Apache-2.0
"""Security groups as Neutron writes them to OVN: who they let in."""

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.codec import security_groups
from octavia_ovn.core.security_groups import Admitted, GroupRule
from tests.core.builders import listener

GROUP = "5f0c9f1e-0e0b-4c8e-8b1c-1c1d5f4b7a10"
NAME = "pg_5f0c9f1e_0e0b_4c8e_8b1c_1c1d5f4b7a10"
OTHER = "6f0c9f1e-0e0b-4c8e-8b1c-1c1d5f4b7a11"
MEMBERS = "pg_6f0c9f1e_0e0b_4c8e_8b1c_1c1d5f4b7a11_ip"
ADDRESSES = "ag_6f0c9f1e_0e0b_4c8e_8b1c_1c1d5f4b7a11_ip"
TCP, UDP, SCTP = model.Protocol


ALL = f"outport == @{NAME} && ip4"
ALL6 = f"outport == @{NAME} && ip6"
RANGE = {"port_range_min": 80, "port_range_max": 90}
WRITTEN = [
    ({}, ALL, GroupRule(4)),
    ({"ethertype": "IPv6"}, ALL6, GroupRule(6)),
    (
        {"normalized_cidr": "10.0.0.0/8"},
        f"{ALL} && ip4.src == 10.0.0.0/8",
        GroupRule(4, "10.0.0.0/8"),
    ),
    ({"normalized_cidr": "0.0.0.0/0"}, f"{ALL} && ip4.src == 0.0.0.0/0", GroupRule(4, "0.0.0.0/0")),
    (
        {"ethertype": "IPv6", "normalized_cidr": "fd00::/8"},
        f"{ALL6} && ip6.src == fd00::/8",
        GroupRule(6, "fd00::/8"),
    ),
    (
        {"remote_group_id": OTHER},
        f"{ALL} && ip4.src == ${MEMBERS}4",
        GroupRule(4, f"${MEMBERS}4"),
    ),
    (
        {"ethertype": "IPv6", "remote_group_id": OTHER},
        f"{ALL6} && ip6.src == ${MEMBERS}6",
        GroupRule(6, f"${MEMBERS}6"),
    ),
    (
        {"remote_address_group_id": OTHER},
        f"{ALL} && ip4.src == ${ADDRESSES}4",
        GroupRule(4, f"${ADDRESSES}4"),
    ),
    ({"protocol": "tcp"}, f"{ALL} && tcp", GroupRule(4, "", TCP)),
    ({"protocol": "17"}, f"{ALL} && udp", GroupRule(4, "", UDP)),
    ({"protocol": "sctp"}, f"{ALL} && sctp", GroupRule(4, "", SCTP)),
    (
        {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80},
        f"{ALL} && tcp && tcp.dst == 80",
        GroupRule(4, "", TCP, 80, 80),
    ),
    (
        {"protocol": "udp", **RANGE},
        f"{ALL} && udp && udp.dst >= 80 && udp.dst <= 90",
        GroupRule(4, "", UDP, 80, 90),
    ),
    (
        {"protocol": "tcp", "port_range_min": 80},
        f"{ALL} && tcp && tcp.dst >= 80",
        GroupRule(4, "", TCP, 80),
    ),
    (
        {"protocol": "tcp", "port_range_max": 80},
        f"{ALL} && tcp && tcp.dst <= 80",
        GroupRule(4, "", TCP, 0, 80),
    ),
    (
        {"protocol": "tcp", "remote_group_id": OTHER, **RANGE},
        f"{ALL} && ip4.src == ${MEMBERS}4 && tcp && tcp.dst >= 80 && tcp.dst <= 90",
        GroupRule(4, f"${MEMBERS}4", TCP, 80, 90),
    ),
    ({"protocol": "icmp"}, f"{ALL} && icmp4", None),
    (
        {"protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
        f"{ALL} && icmp4 && icmp4.type == 8 && icmp4.code == 0",
        None,
    ),
    ({"protocol": "ipv6-icmp", "ethertype": "IPv6"}, f"{ALL6} && icmp6", None),
    ({"protocol": "112"}, f"{ALL} && ip.proto == 112", None),
    ({"direction": "egress"}, f"inport == @{NAME} && ip4", None),
]
"""A rule of Neutron, the match that Neutron writes for it, and what it lets in."""


@pytest.mark.parametrize(("_", "match", "rule"), WRITTEN)
@pytest.mark.parametrize("action", ["allow", "allow-related", "allow-stateless"])
def test_what_neutron_writes_is_understood(_, match, rule, action):
    assert security_groups.rule(NAME, "to-lport", match, action) == rule


@pytest.mark.parametrize(("fields", "match", "_"), WRITTEN)
@pytest.mark.parametrize("stateful", [True, False])
def test_neutron_writes_that(fields, match, _, stateful):
    acl = pytest.importorskip("neutron.common.ovn.acl")
    columns = (
        "normalized_cidr",
        "port_range_max",
        "port_range_min",
        "protocol",
        "remote_address_group_id",
        "remote_group_id",
    )
    bare = {"id": "rule", "direction": "ingress", "ethertype": "IPv4", **dict.fromkeys(columns)}

    written = acl._add_sg_rule_acl_for_port_group(NAME, stateful, {**bare, **fields})

    assert written["match"] == match
    assert written["action"] == ("allow-related" if stateful else "allow-stateless")


def test_a_rule_for_packets_that_leave_lets_nobody_in():
    assert security_groups.rule(NAME, "from-lport", ALL, "allow") is None


@pytest.mark.parametrize(
    ("match", "action"),
    [
        (ALL, "drop"),
        (ALL, "reject"),
        (ALL, "pass"),
        ("", "allow"),
        (f"outport == @{NAME}", "allow"),
        ("outport == @pg_other && ip4", "allow"),
        (f"{ALL} || ip4", "allow"),
        (f"{ALL} && eth.src == fa:16:3e:00:00:01", "allow"),
        (f"{ALL} && ip4.src == 10.0.0.1/24", "allow"),
        (f"{ALL} && ip4.src == fd00::/8", "allow"),
        (f"{ALL} && ip6.src == fd00::/8", "allow"),
        (f"{ALL} && ip4.src == $one && ip4.src == $two", "allow"),
        (f"{ALL} && ip4.src != 10.0.0.0/8", "allow"),
        (f"{ALL} && tcp.dst == 80", "allow"),
        (f"{ALL} && udp && tcp.dst == 80", "allow"),
        (f"{ALL} && udp && tcp", "allow"),
        (f"{ALL} && tcp && tcp.dst == http", "allow"),
        (f"outport == @{NAME} && ip4.src == 10.0.0.0/8 && ip4", "allow"),
    ],
)
def test_what_is_not_understood_lets_nobody_in(match, action):
    assert security_groups.rule(NAME, "to-lport", match, action) is None


def test_names():
    assert security_groups.port_group(GROUP) == NAME
    assert security_groups.group_id(NAME) == GROUP


@pytest.mark.parametrize(
    ("rule", "version", "clients"),
    [
        (GroupRule(4), 4, {"0.0.0.0/0"}),
        (GroupRule(6), 6, {"::/0"}),
        (GroupRule(6), 4, set()),
        (GroupRule(4, "10.0.0.0/8"), 4, {"10.0.0.0/8"}),
        (GroupRule(4, "10.0.0.0/8"), 6, set()),
        (GroupRule(4, protocol=TCP), 4, {"0.0.0.0/0"}),
        (GroupRule(4, protocol=UDP), 4, set()),
        (GroupRule(4, "", TCP, 80, 80), 4, {"0.0.0.0/0"}),
        (GroupRule(4, "", TCP, 70, 80), 4, {"0.0.0.0/0"}),
        (GroupRule(4, "", TCP, 81, 90), 4, set()),
        (GroupRule(4, "", TCP, 70, 79), 4, set()),
        (GroupRule(4, "$known"), 4, {"10.0.0.7/32", "10.1.0.0/16"}),
        (GroupRule(6, "$known"), 6, {"fd00::7/128"}),
        (GroupRule(4, "$unknown"), 4, set()),
    ],
)
def test_clients_of_a_listener_on_tcp_port_80(rule, version, clients):
    sets = {"known": frozenset({"10.0.0.7", "10.1.0.0/16", "fd00::7", "10.0.0.1/24", "nonsense"})}

    found = Admitted((rule, GroupRule(4, "", UDP)), sets).clients(listener(), version)

    assert found == clients


def test_the_rules_of_all_groups_add_up():
    rules = (GroupRule(4, "10.0.0.0/8"), GroupRule(4, "$known"), GroupRule(4, "192.0.2.0/24", UDP))
    sets = {"known": frozenset({"172.16.0.9"})}

    found = Admitted(rules, sets).clients(listener(), 4)

    assert found == {"10.0.0.0/8", "172.16.0.9/32"}


def test_a_set_that_many_rules_name_is_read_once():
    """A tenant may have a hundred rules that name a group of thousands, and many listeners."""

    class Sets(dict):
        reads = 0

        def get(self, *args):
            self.reads += 1
            return super().get(*args)

    rules = tuple(GroupRule(4, "$known", TCP, first) for first in range(80))
    sets = Sets(known=frozenset({"172.16.0.9"}))

    assert Admitted(rules, sets).clients(listener(), 4) == {"172.16.0.9/32"}
    assert sets.reads == 1
