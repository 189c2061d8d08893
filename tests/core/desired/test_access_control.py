# SPDX-License-Identifier: Apache-2.0
"""Which rows keep out the clients that a listener does not allow."""

import dataclasses
import ipaddress
import random

import pytest

from octavia_ovn.core import ip, model
from octavia_ovn.core import rows as r
from octavia_ovn.core.desired import access_control
from tests.core.builders import balancer, facts, listener, vip

ENTRANCES = frozenset({"port1", "port2"})
LISTENER = "5f0c9f1e-0e0b-4c8e-8b1c-1c1d5f4b7a10"


def only(*cidrs, **fields):
    return listener(allowed_cidrs=ip.canonical_networks(cidrs), **fields)


def rows_of(*listeners, **fields):
    known = {name: fields.pop(name) for name in ("floating_ips",) if name in fields}
    return access_control.wanted(
        balancer(listeners, **fields), facts(ingress_ports=ENTRANCES, **known)
    )


def matches(found):
    return [acl.match for group in found.groups for acl in group.acls]


@pytest.mark.parametrize(
    ("cidrs", "version", "denied"),
    [
        ([], 4, {"0.0.0.0/0"}),
        (["0.0.0.0/0"], 4, set()),
        (["0.0.0.0/1"], 4, {"128.0.0.0/1"}),
        (["128.0.0.0/1"], 4, {"0.0.0.0/1"}),
        (["192.0.0.0/2"], 4, {"0.0.0.0/1", "128.0.0.0/2"}),
        (["0.0.0.0/1", "128.0.0.0/1"], 4, set()),
        (["0.0.0.0/1", "10.0.0.0/8", "64.0.0.0/2"], 4, {"128.0.0.0/1"}),
        (["fd00::/8"], 4, {"0.0.0.0/0"}),
        (["10.0.0.0/8"], 6, {"::/0"}),
        (["::/1", "10.0.0.0/8"], 6, {"8000::/1"}),
    ],
)
def test_complement(cidrs, version, denied):
    assert set(access_control.complement(tuple(cidrs), version)) == denied


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("version", "bits"), [(4, 32), (6, 128)])
def test_complement_holds_exactly_the_others(version, bits, seed):
    """Checked at the edges of every network, where mistakes would be."""
    chance = random.Random(seed)
    address = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    allowed = [
        ipaddress.ip_network((chance.randrange(2**bits), chance.randrange(1, bits + 1)), False)
        for _ in range(chance.randint(1, 8))
    ]
    denied = [
        ipaddress.ip_network(each)
        for each in access_control.complement(tuple(map(str, allowed)), version)
    ]
    edges = {int(each[end]) + step for each in allowed for end in (0, -1) for step in (-1, 0, 1)}

    for edge in edges - {-1, 2**bits}:
        one = address(edge)
        assert any(one in each for each in allowed) != any(one in each for each in denied)
    assert sum(each.num_addresses for each in denied) + sum(
        each.num_addresses for each in ipaddress.collapse_addresses(allowed)
    ) == (2**bits)


def test_one_listener():
    found = rows_of(only("128.0.0.0/1", listener_id=LISTENER))

    name = "octavia_listener_5f0c9f1e_0e0b_4c8e_8b1c_1c1d5f4b7a10_denied_v4"
    lb = {"octavia:allowed_cidrs": "True", "octavia:loadbalancer_id": "lb1"}
    owner = {**lb, "octavia:listener_id": LISTENER}
    match = f"ip4.dst == {{10.0.0.100}} && tcp.dst == 80 && ip4.src == ${name}"
    acl = r.Acl(match, owner, priority=3000, direction="from-lport", action="drop")
    assert found == access_control.Access(
        groups=(r.PortGroup("octavia_lb_lb1", ENTRANCES, (acl,), lb),),
        sets=(r.AddressSet(name, frozenset({"0.0.0.0/1"}), owner),),
    )


def test_nothing_refers_to_neutron():
    """Neutron repairs what bears keys of its own."""
    found = rows_of(only("10.0.0.0/8"))

    for each in (*found.groups, *found.groups[0].acls, *found.sets):
        assert not [key for key in each.external_ids if key.startswith("neutron:")]


@pytest.mark.parametrize(
    ("protocol", "field"),
    [(each, f"{each.value}.dst == 80") for each in model.Protocol],
)
def test_protocols(protocol, field):
    (match,) = matches(rows_of(only("10.0.0.0/8", protocol=protocol)))

    assert field in match


def test_all_addresses_of_a_family_and_each_family_alone():
    vips = (vip(), vip("fd00::100", subnet_id="sub6"), vip("10.1.0.5"))
    fips = {"10.0.0.100": "172.24.4.5"}
    found = rows_of(only("10.0.0.0/8", "fd00::/8"), vips=vips, floating_ips=fips)

    assert matches(found) == [
        (
            "ip4.dst == {10.0.0.100, 172.24.4.5, 10.1.0.5} && tcp.dst == 80"
            " && ip4.src == $octavia_listener_l1_denied_v4"
        ),
        "ip6.dst == {fd00::100} && tcp.dst == 80 && ip6.src == $octavia_listener_l1_denied_v6",
    ]


def test_a_family_that_is_not_mentioned_is_not_allowed():
    found = rows_of(only("10.0.0.0/8"), vips=(vip(), vip("fd00::100", subnet_id="sub6")))

    assert "ip6.dst == {fd00::100} && tcp.dst == 80" in matches(found)
    assert [each.name for each in found.sets] == ["octavia_listener_l1_denied_v4"]


@pytest.mark.parametrize(
    ("listeners", "fields"),
    [
        ([listener()], {}),
        ([only("0.0.0.0/0")], {}),
        ([only("10.0.0.0/8", enabled=False)], {}),
        ([only("10.0.0.0/8")], {"enabled": False}),
    ],
    ids=["no restriction", "everybody allowed", "disabled", "load balancer disabled"],
)
def test_no_rules_without_restrictions(listeners, fields):
    assert rows_of(*listeners, **fields) == access_control.Access()


def test_a_restricted_listener_is_closed_before_it_has_a_pool():
    assert matches(rows_of(only("10.0.0.0/8", pool_id=None)))


# --- differences


BEFORE = rows_of(only("10.0.0.0/8"), only("10.0.0.0/8", listener_id="l2", port=81))


def stored(found):
    """Rows as they are once written."""
    return access_control.Access(
        tuple(
            dataclasses.replace(
                each,
                uuid=f"group-{each.name}",
                acls=tuple(
                    dataclasses.replace(acl, uuid=f"acl-{number}")
                    for number, acl in enumerate(each.acls)
                ),
            )
            for each in found.groups
        ),
        tuple(dataclasses.replace(each, uuid=f"set-{each.name}") for each in found.sets),
    )


def test_no_difference():
    assert access_control.difference(stored(BEFORE), BEFORE) == ()


def test_all_is_made():
    made = access_control.difference(access_control.Access(), BEFORE)

    assert made == tuple(map(r.PutAccessRow, (*BEFORE.sets, *BEFORE.groups)))
    assert {each.row.uuid for each in made} == {""}


def test_all_is_deleted():
    now = stored(BEFORE)

    gone = access_control.difference(now, access_control.Access())

    assert {each.row.uuid for each in gone} == {each.uuid for each in (*now.sets, *now.groups)}
    assert {type(each) for each in gone} == {r.DeleteAccessRow}


def test_other_cidrs_touch_one_set_only():
    after = rows_of(only("11.0.0.0/8"), only("10.0.0.0/8", listener_id="l2", port=81))

    (put,) = access_control.difference(stored(BEFORE), after)

    assert put.row.uuid == "set-octavia_listener_l1_denied_v4"
    assert put.row.addresses == frozenset(access_control.complement(("11.0.0.0/8",), 4))


def test_another_listener_leaves_the_acls_of_the_first():
    before = stored(rows_of(only("10.0.0.0/8")))

    *_, put = access_control.difference(before, BEFORE)

    assert [each.uuid for each in put.row.acls] == ["acl-0", ""]
    assert put.row.uuid == before.groups[0].uuid


def changed_acl(**fields):
    (group,) = stored(BEFORE).groups
    first, *others = group.acls
    return dataclasses.replace(group, acls=(dataclasses.replace(first, **fields), *others))


@pytest.mark.parametrize(
    "group",
    [
        changed_acl(priority=1),
        changed_acl(action="allow"),
        changed_acl(direction="to-lport"),
        changed_acl(match="ip4"),
        changed_acl(external_ids={}),
        dataclasses.replace(stored(BEFORE).groups[0], acls=()),
        dataclasses.replace(stored(BEFORE).groups[0], ports=frozenset()),
        dataclasses.replace(stored(BEFORE).groups[0], acls=2 * stored(BEFORE).groups[0].acls),
    ],
)
def test_what_other_hands_did_is_put_right(group):
    now = dataclasses.replace(stored(BEFORE), groups=(group,))

    (put,) = access_control.difference(now, BEFORE)

    assert put.row == BEFORE.groups[0]
    assert put.row.uuid == group.uuid
