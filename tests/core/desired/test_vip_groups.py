# SPDX-License-Identifier: Apache-2.0
"""Which rows keep out the clients that a VIP's security groups do not allow."""

import ipaddress

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import access_control, vip_groups
from octavia_ovn.core.security_groups import Admitted, GroupRule
from tests.core.builders import VIP, balancer, facts, listener, vip

ENTRANCES = frozenset({"port1", "port2"})
LOCKED = {"security_groups": frozenset({"sg1"})}


def admitted(*rules, most=0, **sets):
    return Admitted(rules, {name: frozenset(each) for name, each in sets.items()}, most)


def wanted(lb, who, **known):
    return access_control.wanted(lb, facts(ingress_ports=ENTRANCES, admitted=who, **known))


def lb_with(*listeners, **fields):
    return balancer(listeners, **{**LOCKED, **fields})


def matches(found):
    return [acl.match for group in found.groups for acl in group.acls]


def test_one_listener():
    found = wanted(lb_with(listener()), admitted(GroupRule(4, "128.0.0.0/1")))

    (group,), (denied,) = found.groups, found.sets
    owner = {k.GROUPS_MARK: "True", k.ACCESS_LB: "lb1"}
    assert (group.name, group.ports, group.external_ids) == (
        "octavia_lb_lb1_groups",
        ENTRANCES,
        owner,
    )
    assert (denied.name, denied.addresses) == ("octavia_listener_l1_groups_v4", {"0.0.0.0/1"})
    (acl,) = group.acls
    assert acl.match == (
        f"ip4.dst == {{{VIP}}} && tcp.dst == 80 && ip4.src == $octavia_listener_l1_groups_v4"
    )
    assert (acl.action, acl.direction, acl.priority) == ("drop", "from-lport", 3000)
    assert acl.external_ids == denied.external_ids == {**owner, k.ACCESS_LISTENER: "l1"}
    assert k.ACCESS_MARK not in {*owner, *acl.external_ids}


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (GroupRule(6),),
        (GroupRule(4, protocol=model.Protocol.UDP),),
        (GroupRule(4, "$empty"),),
        (GroupRule(4, "", model.Protocol.TCP, 81, 90),),
    ],
)
def test_who_is_not_allowed_by_any_rule_stays_outside(rules):
    found = wanted(lb_with(listener()), admitted(*rules, empty=()))

    assert matches(found) == [f"ip4.dst == {{{VIP}}} && tcp.dst == 80"]
    assert found.sets == ()


@pytest.mark.parametrize(
    ("lb", "rules"),
    [
        (lb_with(listener()), [GroupRule(4)]),
        (lb_with(listener()), [GroupRule(4, "0.0.0.0/1"), GroupRule(4, "128.0.0.0/1")]),
        (lb_with(listener(), security_groups=frozenset()), []),
        (lb_with(listener(), security_groups=None), []),
        (lb_with(listener(), enabled=False), []),
        (lb_with(listener(enabled=False)), []),
        (lb_with(), []),
    ],
)
def test_nobody_is_denied(lb, rules):
    assert wanted(lb, admitted(*rules)) == access_control.Access()


@pytest.mark.parametrize(
    ("lb", "guarded"),
    [
        (lb_with(listener()), True),
        (lb_with(), False),
        (balancer([listener()]), False),
        (balancer([listener(allowed_cidrs=("10.0.0.0/8",))]), True),
    ],
)
def test_it_is_known_whether_clients_may_be_denied(lb, guarded):
    assert access_control.has_rules(lb) is guarded


def test_each_listener_address_and_version_has_its_own():
    both = (vip(), vip("fd00::100"))
    lb = lb_with(
        listener(),
        listener("l2", 443),
        listener("l3", 53, protocol=model.Protocol.UDP),
        listener("l4", 99, enabled=False),
        vips=both,
    )
    rules = (
        GroupRule(4, "0.0.0.0/1", model.Protocol.TCP),
        GroupRule(4, "128.0.0.0/1", model.Protocol.TCP, 443, 443),
        GroupRule(6, "::/1", model.Protocol.TCP, 80, 80),
    )

    found = wanted(lb, admitted(*rules), floating_ips={VIP: "203.0.113.5"})

    v4 = f"ip4.dst == {{{VIP}, 203.0.113.5}}"
    v6 = "ip6.dst == {fd00::100}"
    assert matches(found) == [
        f"{v4} && tcp.dst == 80 && ip4.src == $octavia_listener_l1_groups_v4",
        f"{v4} && udp.dst == 53",
        f"{v6} && tcp.dst == 443",
        f"{v6} && tcp.dst == 80 && ip6.src == $octavia_listener_l1_groups_v6",
        f"{v6} && udp.dst == 53",
    ]
    assert [each.addresses for each in found.sets] == [{"128.0.0.0/1"}, {"8000::/1"}]


def test_what_either_denies_is_denied():
    lb = lb_with(listener(allowed_cidrs=("0.0.0.0/1",)))

    found = wanted(lb, admitted(GroupRule(4, "128.0.0.0/1")))

    assert [group.name for group in found.groups] == ["octavia_lb_lb1", "octavia_lb_lb1_groups"]
    assert [each.addresses for each in found.sets] == [{"128.0.0.0/1"}, {"0.0.0.0/1"}]


def test_members_of_a_group_alone_get_in():
    members = {f"10.0.0.{number}" for number in range(3, 90, 3)}

    found = wanted(lb_with(listener()), admitted(GroupRule(4, "$pg_ip4"), pg_ip4=members))

    (denied,) = found.sets
    networks = [ipaddress.ip_network(each) for each in denied.addresses]
    for number in range(256):
        address = ipaddress.ip_address(f"10.0.0.{number}")
        is_denied = any(address in each for each in networks)
        assert is_denied is (str(address) not in members)


@pytest.mark.parametrize(("most", "fits"), [(0, True), (32, True), (31, False), (1, False)])
def test_what_cannot_be_described_keeps_everybody_out(most, fits):
    lb = lb_with(listener())
    who = admitted(GroupRule(4, "10.0.0.7/32"), most=most)

    found = wanted(lb, who)

    assert (len(found.sets) == 1) is fits
    assert ("ip4.src" in matches(found)[0]) is fits
    assert (vip_groups.excess(lb, [VIP], who) is None) is fits


def test_the_reason_names_the_limit():
    many = [GroupRule(4, f"10.0.{number}.0/24") for number in range(0, 20, 2)]

    reason = vip_groups.excess(lb_with(listener()), [VIP], admitted(*many, most=9))

    assert "9 networks of [ovn] max_denied_cidrs" in reason


@pytest.mark.parametrize(
    "lb", [lb_with(listener(), enabled=False), lb_with(listener(enabled=False)), balancer()]
)
def test_what_does_not_apply_has_no_limit(lb):
    assert vip_groups.excess(lb, [VIP], admitted(GroupRule(4, "10.0.0.7/32"), most=1)) is None
