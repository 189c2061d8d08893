# SPDX-License-Identifier: Apache-2.0
"""The row format: one table, both directions, and a round trip for anything."""

import json

import pytest

from octavia_ovn.core import codec, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.listed import Listed
from octavia_ovn.core.pending import Final, Kind, Pending
from octavia_ovn.core.placement import row_groups
from octavia_ovn.core.rows import Row
from tests.core.builders import balancer, listener, member, monitor, pool, recorded, row, vip, web
from tests.core.codec.rows import LB

# What the tenant wants, and the keys that other programs read it from.
CASES = {
    "no listener": (balancer(), LB),
    "listener without pool": (
        balancer([listener(pool_id=None)]),
        {**LB, "listener_l1": "80:"},
    ),
    "listener with pool": (web(), {**LB, "listener_l1": "80:pool_p1", "pool_p1": ""}),
    "member": (
        web(member(1)),
        {**LB, "listener_l1": "80:pool_p1", "pool_p1": "member_m1_10.0.0.1:80_sub1"},
    ),
    "restricted listener": (
        balancer([listener(pool_id=None, allowed_cidrs=("10.0.0.0/8", "fd00::/8"))]),
        {**LB, "listener_l1": "80:"},
    ),
    "security groups": (
        balancer(security_groups=frozenset({"sg2", "sg1"})),
        {**LB, k.VIP_GROUPS: "sg1,sg2"},
    ),
    "IPv6 member": (
        web(member(7, address="fd00::7")),
        {**LB, "listener_l1": "80:pool_p1", "pool_p1": "member_m7_fd00::7:80_sub1"},
    ),
    "member without subnet": (
        web(member(1, subnet_id=None)),
        {**LB, "listener_l1": "80:pool_p1", "pool_p1": "member_m1_10.0.0.1:80"},
    ),
    "disabled objects": (
        balancer([listener(enabled=False)], [pool(enabled=False)], enabled=False),
        {**LB, "enabled": "False", "listener_l1:D": "80:pool_p1", "pool_p1:D": ""},
    ),
    "monitor": (
        web(monitor=monitor()),
        {
            **LB,
            "listener_l1": "80:pool_p1",
            "pool_p1": "",
            "octavia:healthmonitors": '["hm1"]',
        },
    ),
    "HTTP and HTTPS": (
        balancer(
            [listener(application=model.Application.HTTPS)],
            [pool(application=model.Application.HTTP)],
        ),
        {**LB, "listener_l1": "80:pool_p1", "pool_p1": ""},
    ),
    "flavor": (
        balancer(flavor=model.Flavor(ct_flush=True, hairpin_snat_ip=("10.0.0.9", "fd00::9"))),
        {**LB, "octavia:flavor": '{"ct_flush":true,"hairpin_snat_ip":"10.0.0.9 fd00::9"}'},
    ),
    "flavor with a drain": (
        balancer(flavor=model.Flavor(reject=False, drain_timeout=60, drain_failed=True)),
        {
            **LB,
            "octavia:flavor": '{"reject":false}',
            "octavia:flavor_more": '{"drain_failed":true,"drain_timeout":60}',
        },
    ),
    "additional VIPs": (
        balancer(vips=(vip(user_port=True, cidr="10.0.0.0/24"), vip("fd00::5"), vip("10.1.0.5"))),
        {
            **LB,
            "neutron:additional_vips": "fd00::5,10.1.0.5",
            "neutron:additional_vip_port_ids": "vip-port,vip-port",
        },
    ),
}


@pytest.mark.parametrize(("lb", "keys"), CASES.values(), ids=CASES)
def test_writes_what_others_read(lb, keys):
    (group,) = row_groups(lb)

    written = codec.encode(lb, group)

    assert keys == {key: each for key, each in written.items() if key not in ours(written)}


def test_the_former_driver_does_not_take_our_keys_for_its_own():
    """It looks for these strings anywhere in the keys of a row, and reads the values."""
    others = ("CHECK_", "ACCESS_")
    of_rows = {name: key for name, key in vars(k).items() if not name.startswith(others)}
    mine = {key for key in of_rows.values() if isinstance(key, str) and "octavia:" in key}

    assert {k.LISTENER_ATTRIBUTES, k.POOL_MARK, k.PENDING} <= mine
    assert not {key for key in mine if "listener_" in key or "pool_" in key or "member_" in key}


def ours(keys):
    prefixes = (
        "octavia:loadbalancer",
        "octavia:attributes_",
        "octavia:listener:",
        "octavia:pool:",
    )
    return {key for key in keys if key.startswith(prefixes)}


@pytest.mark.parametrize(("lb", "_"), CASES.values(), ids=CASES)
def test_reads_what_it_wrote(lb, _):
    decoded = codec.decode(recorded(lb))

    assert lb == decoded.lb
    assert decoded.problems == ()


def test_writes_who_may_use_a_listener():
    lb = balancer([listener(allowed_cidrs=("10.0.0.0/8", "fd00::/8"))])
    (group,) = row_groups(lb)

    written = codec.encode(lb, group)

    assert written["octavia:listener:l1"] == '{"allowed_cidrs":["10.0.0.0/8","fd00::/8"]}'


def test_writes_the_limit_of_a_listener():
    lb = balancer([listener(connection_limit=10)])
    (group,) = row_groups(lb)

    assert codec.encode(lb, group)["octavia:listener:l1"] == '{"connection_limit":10}'


def test_attributes_of_a_listener_without_clients_allow_all():
    ids = {"neutron:vip": "10.0.0.100", "listener_l1": "80:", "octavia:listener:l1": "{}"}

    (found,) = codec.decode([row(external_ids=ids)]).lb.listeners

    assert found.allowed_cidrs == ()


def test_reads_listener_of_a_disabled_pool_as_old_rows_have_it():
    ids = {"neutron:vip": "10.0.0.100", "listener_l1": "80:pool_p1:D", "pool_p1:D": ""}

    lb = codec.decode([row(external_ids=ids)]).lb

    assert lb.listeners[0].pool_id == "p1"
    assert not lb.pools[0].enabled


def test_keeps_what_the_old_format_has_no_room_for():
    odd = member(1, weight=3, backup=True, enabled=False)
    lb = web(
        odd,
        algorithm=model.Algorithm.ROUND_ROBIN,
        persistence=model.SessionPersistence(model.Mechanism.HASH, 90),
        monitor=monitor(enabled=False),
        slots=("", "m1"),
    )

    assert lb == codec.decode(recorded(lb)).lb


def test_pending_survives_the_row():
    pending = Pending(
        ("r1",),
        {(Kind.LISTENER, "l1"): Final.ACTIVE, (Kind.MEMBER, "m1"): Final.DELETED},
        True,
        True,
    )
    ids = {"octavia:pending": codec.encode_pending(pending)}

    assert pending == codec.pending([row(external_ids=ids)])


def test_pending_groups_survive_the_row():
    waiting = Pending(("r1",), {(Kind.LOAD_BALANCER, "lb1"): Final.ACTIVE}, groups=True)
    held = row(external_ids={**LB, k.PENDING: codec.encode_pending(waiting)})

    assert codec.pending([held]) == waiting


def test_security_groups_are_read_from_any_row():
    """A version that does not know them makes rows without them."""
    named = row(external_ids={**LB, k.VIP_GROUPS: "sg2,sg1"}, uuid="u2")

    assert codec.decode([row(), named]).lb.security_groups == {"sg1", "sg2"}
    assert codec.decode([row()]).lb.security_groups == frozenset()
    assert codec.vip_groups([row(), named]) == {"sg1", "sg2"}


def test_merges_pending_of_several_rows():
    one = Pending(("r1",), {(Kind.LISTENER, "l1"): Final.ACTIVE})
    two = Pending(("r2",), {(Kind.LISTENER, "l1"): Final.DELETED}, created=True)
    found = [
        row(uuid=each, external_ids={"octavia:pending": codec.encode_pending(pending)})
        for each, pending in (("u1", one), ("u2", two))
    ]

    wanted = Pending(("r1", "r2"), {(Kind.LISTENER, "l1"): Final.DELETED}, created=True)
    assert wanted == codec.pending(found)


def test_member_status_is_json_of_strings():
    assert json.loads(codec.member_status({"m1": "ONLINE"})) == {"m1": "ONLINE"}


def test_reads_the_flavor_from_any_row():
    rows = [
        row(external_ids=LB, uuid="a"),
        row(external_ids={**LB, "octavia:flavor": '{"reject":false}'}, uuid="b", protocol="udp"),
    ]

    assert codec.decode(rows).lb.flavor == model.Flavor(reject=False)


@pytest.mark.parametrize(
    ("keys", "ours"),
    [
        ([], False),
        (["neutron:device_owner"], False),
        (["enabled"], False),
        (["x", "octavia:pending"], True),
        (["listener_l1"], True),
    ],
)
def test_knows_its_rows(keys, ours):
    assert ours is codec.is_ours(keys)


def test_knows_its_keys():
    assert codec.is_realised("ls_refs")
    assert not codec.is_realised("enabled")
    assert codec.is_intent("enabled")


def test_listeners_by_port():
    keys = {
        "listener_l1": "80:pool_p1",
        "listener_l2:D": "443:",
        "listener_broken": "http:",
        "pool_p1": "member_m1_10.0.0.1:80",
    }

    assert codec.listeners_by_port(keys) == {80: "l1", 443: "l2"}


def test_the_vips_of_a_single_row():
    lb = balancer(vips=(vip(), vip("fd00::5")))
    (found,) = recorded(lb)

    assert codec.vips(found.external_ids) == lb.vips


def test_children_are_known_by_their_keys():
    keys = {
        "neutron:vip": "10.0.0.9",
        "listener_l1": "cannot be read",
        "listener_l2:D": "443:",
        "pool_p1": "",
        "octavia:listener:l3": "{}",
        "octavia:pool:p3": "True",
    }
    rows = [Row("lb1", "tcp", keys), Row("lb1", "udp", {"pool_p2:D": ""})]

    octavia = Listed("lb1", "ACTIVE", None, 0.0, frozenset({"l1", "l2", "p1", "p2"}))
    assert codec.children(rows) == octavia.children
