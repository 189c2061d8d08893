# SPDX-License-Identifier: Apache-2.0
"""Which listeners and pools share a row, and which rows continue."""

import itertools

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.placement import (
    HashScope,
    Profile,
    RowGroup,
    Wanted,
    match,
    profile_of,
    row_groups,
)
from tests.core.builders import balancer, listener, pool, row, web

TCP, UDP = model.Protocol.TCP, model.Protocol.UDP
SOURCE_IP = model.Algorithm.SOURCE_IP
HASH = model.SessionPersistence(model.Mechanism.HASH, 500)
AFFINITY = model.SessionPersistence(model.Mechanism.AFFINITY)

PROFILES = {
    "by connection": ({}, Profile()),
    "by client": ({"algorithm": SOURCE_IP}, Profile(HashScope.CLIENT)),
    "in any way": ({"algorithm": model.Algorithm.ROUND_ROBIN}, Profile(HashScope.ANY)),
    "persistence by hashing": ({"persistence": HASH}, Profile(HashScope.CLIENT)),
    "persistence by affinity": ({"persistence": AFFINITY}, Profile(affinity=360)),
    "affinity for some time": (
        {"persistence": model.SessionPersistence(model.Mechanism.AFFINITY, 90)},
        Profile(affinity=90),
    ),
}


@pytest.mark.parametrize(("fields", "profile"), PROFILES.values(), ids=PROFILES)
def test_knows_what_a_pool_demands(fields, profile):
    assert profile == profile_of(pool(**fields))


def on_shelves(listeners=(), pools=()):
    return [
        (
            group.protocol and group.protocol.value,
            " ".join(each.id for each in (*group.listeners, *group.pools)),
        )
        for group in row_groups(balancer(listeners, pools))
    ]


DNS = {"protocol": UDP}

SHELVES = {
    "nothing": ([], [], [(None, "")]),
    "a bare listener": ([listener(pool_id=None)], [], [("tcp", "l1")]),
    "a pool without listener": ([], [pool()], [("tcp", "p1")]),
    "two of one kind": (
        [listener(), listener("l2", 81, "p2")],
        [pool(), pool("p2")],
        [("tcp", "l1 l2 p1 p2")],
    ),
    "two protocols": (
        [listener("l1", 53), listener("l2", 53, "p2", **DNS)],
        [pool(), pool("p2", **DNS)],
        [("tcp", "l1 p1"), ("udp", "l2 p2")],
    ),
    "two algorithms": (
        [listener(), listener("l2", 81, "p2")],
        [pool(), pool("p2", algorithm=SOURCE_IP)],
        [("tcp", "l2 p2"), ("tcp", "l1 p1")],
    ),
    "a bare listener beside two algorithms": (
        [listener("l3", 82, None)],
        [pool(), pool("p2", algorithm=SOURCE_IP)],
        [("tcp", "l3 p2"), ("tcp", "p1")],
    ),
    "a bare listener of another protocol": (
        [listener(), listener("l2", 53, None, **DNS)],
        [pool()],
        [("tcp", "l1 p1"), ("udp", "l2")],
    ),
    "a listener whose pool is unknown": ([listener(pool_id="p9")], [], [("tcp", "l1")]),
}


@pytest.mark.parametrize(("listeners", "pools", "wanted"), SHELVES.values(), ids=SHELVES)
def test_distributes(listeners, pools, wanted):
    for some, others in itertools.product(
        itertools.permutations(listeners), itertools.permutations(pools)
    ):
        assert wanted == on_shelves(some, others)


def test_needs_a_row_even_for_nothing():
    assert row_groups(balancer()) == (RowGroup(),)


def test_every_object_is_in_one_row():
    found = row_groups(web())

    assert found == (RowGroup(TCP, Profile(), web().listeners, web().pools),)


def matched(existing, *wanted):
    return [
        found and found.uuid
        for found in match(
            [
                row(uuid=uuid, protocol=protocol, external_ids=dict.fromkeys(keys, ""))
                for uuid, (protocol, *keys) in existing.items()
            ],
            [Wanted(protocol, frozenset(keys)) for protocol, *keys in wanted],
        )
    ]


MATCHES = {
    "nothing there": ({}, [("tcp",)], [None]),
    "the row of its objects": (
        {"u1": ("tcp", "pool_p1"), "u2": ("tcp", "pool_p2")},
        [("tcp", "pool_p2"), ("tcp", "pool_p1")],
        ["u2", "u1"],
    ),
    "the row that shares most": (
        {"u1": ("tcp", "pool_p1"), "u2": ("tcp", "pool_p2", "pool_p3")},
        [("tcp", "pool_p1", "pool_p2", "pool_p3")],
        ["u2"],
    ),
    "a row of its protocol": ({"u1": ("udp",), "u2": ("tcp",)}, [("tcp", "pool_p1")], ["u2"]),
    "not one of another protocol": ({"u1": ("udp", "pool_p1")}, [("tcp", "pool_p1")], [None]),
    "the row that has no protocol yet": ({"u1": ("",)}, [("tcp", "pool_p1")], ["u1"]),
    "the last row when no protocol is left": (
        {"u1": ("udp", "pool_p2"), "u2": ("tcp", "pool_p1")},
        [("",)],
        ["u1"],
    ),
    "its own before an unused one": (
        {"u1": ("",), "u2": ("udp", "pool_p2")},
        [("tcp", "pool_p1"), ("udp", "pool_p2")],
        ["u1", "u2"],
    ),
    "each row once": ({"u1": ("tcp",)}, [("tcp", "pool_p1"), ("tcp", "pool_p2")], ["u1", None]),
    "the smallest uuid of equal ones": ({"u2": ("",), "u1": ("",)}, [("",)], ["u1"]),
}


@pytest.mark.parametrize(("existing", "wanted", "found"), MATCHES.values(), ids=MATCHES)
def test_continues_rows(existing, wanted, found):
    assert found == matched(existing, *wanted)
