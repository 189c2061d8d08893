# SPDX-License-Identifier: Apache-2.0
"""Rows in which somebody has written what does not belong there."""

import dataclasses
import json
import random

from hypothesis import strategies as st

from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.rows import HealthCheck as Check
from tests.core.builders import VIP, row

WORDS = [
    "", ":", "_", ",", "80:pool_p1", "80:", ":80", "member_m1_10.0.0.1:80_sub1", "pool_p1:D",
    "member_m1_[fd00::1]:80", "member___", "10.0.0.1", "fd00::1", "fe80::1%,", "²", "٣",
    "True", "{}", "[]", '"x"', "null", "[" * 9999, "member_m1_10.0.0.1:80,member_m1_10.0.0.2:80",
]  # fmt: skip
NAMES = [
    "algorithm", "persistence", "monitor", "members", "slots", "mechanism", "timeout", "id", "type",
    "vips", "project_id", "requests", "objects", "cidr", "brought", "m1", "weight", "lb1", "pools",
    "allowed_cidrs",
]  # fmt: skip
LEAVES = [
    None, True, -1, 1.5, 10**30, float("nan"), "", "m1", "TCP", "SOURCE_IP", "ACTIVE", "x,y",
    "10.0.0.0/8",
]  # fmt: skip
_random = random.Random(1)


def _json(depth):
    kind = _random.random()
    if depth == 0 or kind < 0.3:
        return _random.choice(LEAVES)
    inner = [_json(depth - 1) for _ in range(_random.randint(0, 3))]
    return inner if kind < 0.45 else {_random.choice(NAMES): each for each in inner}


values = st.sampled_from(WORDS + [json.dumps(_json(4)) for _ in range(1000)]) | st.text(max_size=9)
prefixes = st.sampled_from(
    [
        k.LISTENER, k.LISTENER_ATTRIBUTES, k.POOL, k.POOL_ATTRIBUTES, k.POOL_MARK,
        "octavia:", "neutron:", "",
    ]
)  # fmt: skip
all_keys = st.sampled_from(
    [
        k.ENABLED, k.VIP, k.VIP_PORT, k.ADDITIONAL_VIPS, k.ADDITIONAL_PORTS, k.MEMBER_STATUS,
        k.MONITORS, k.LOAD_BALANCER, k.PENDING, "pool_p1", "pool_p1:D", "listener_l1",
        "octavia:attributes_p1", "octavia:listener:l1",
    ]
) | st.builds("".join, st.tuples(prefixes, st.text(max_size=4)))  # fmt: skip
garbage = st.dictionaries(all_keys, values, max_size=8)
options = st.dictionaries(st.sampled_from(["interval", "affinity_timeout"]), values, max_size=2)
rubbish_row = st.builds(
    row,
    protocol=st.sampled_from(["", "tcp", "udp", "sctp", "icmp"]),
    external_ids=st.builds(
        lambda ids, address: ids | ({k.VIP: address} if address else {}),
        garbage,
        st.sampled_from([None, VIP, VIP, "fd00::1", "x"]),
    ),
    vips=st.dictionaries(values, values, max_size=2),
    options=options,
    health_checks=st.lists(
        st.builds(
            Check,
            values,
            options,
            st.dictionaries(
                st.sampled_from([k.CHECK_POOL, k.CHECK_MONITOR]), values | st.just("p1")
            ),
        ),
        max_size=2,
    ).map(tuple),
)


rubbish_rows = st.builds(
    lambda name, rows: [
        dataclasses.replace(each, name=name, uuid=f"u{number}") for number, each in enumerate(rows)
    ],
    st.sampled_from(["lb1", "lb1", "lb1", "", "a_b"]),
    st.lists(rubbish_row, max_size=3),
)
