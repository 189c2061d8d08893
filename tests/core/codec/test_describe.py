# SPDX-License-Identifier: Apache-2.0
"""What operations are about, in words for operators."""

import pytest

from octavia_ovn.core import rows as r
from octavia_ovn.core.codec.describe import describe
from tests.core.builders import row

ROW = row(
    external_ids={
        "pool_p1": "",
        "octavia:attributes_p1": "{}",
        "neutron:vip": "10.0.0.1",
        "listener_l2": "80:",
        "listener_l3:D": "81:",
        "octavia:listener:l3": "{}",
    }
)


def keys(*remove, **put):
    return r.SetKeys("u1", "external_ids", put, frozenset(remove))


CASES = {
    "nothing": ([], ""),
    "a new row": (
        [r.InsertRow(row(external_ids={"listener_l1": "80:", "pool_p2:D": "", "enabled": "True"}))],
        "listener l1 missing; pool p2 missing; row for tcp missing",
    ),
    "a new row without protocol": (
        [r.InsertRow(row(protocol="", external_ids={}))],
        "row for no protocol missing",
    ),
    "a column": ([r.SetColumn("u1", "protocol", frozenset())], "protocol different"),
    "keys": (
        [keys("octavia:x", **{"pool_p1": "member", "listener_l1": "80:", "neutron:vip": "x"})],
        "VIP different; listener l1 missing; octavia:x not in Octavia; pool p1 different",
    ),
    "several keys of one object": (
        [keys("pool_p1", **{"pool_p1:D": "", "octavia:attributes_p1": "x"})],
        "pool p1 different",
    ),
    "who may use a listener": ([keys(**{"octavia:listener:l2": "{}"})], "listener l2 different"),
    "that somebody may not use a listener": (
        [keys("octavia:listener:l3")],
        "listener l3 different",
    ),
    "an object too many": (
        [keys("pool_p1", "octavia:attributes_p1")],
        "pool p1 not in Octavia",
    ),
    "what Octavia calls a protocol": (
        [keys("octavia:listener:l1", **{"octavia:attributes_p1": "x"})],
        "listener l1 not in Octavia; pool p1 different",
    ),
    "the flavor": ([keys("octavia:flavor")], "flavor not in Octavia"),
    "more than anybody reads": (
        [keys(**{f"pool_q{number}": "" for number in range(6)})],
        "pool q0 missing; pool q1 missing; pool q2 missing; pool q3 missing; and 2 more",
    ),
    "what the agent does": ([r.DeleteRow(ROW)], ""),
}


@pytest.mark.parametrize(("operations", "words"), CASES.values(), ids=CASES)
def test_describes(operations, words):
    assert words == describe(operations, [ROW])
