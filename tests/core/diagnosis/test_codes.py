# SPDX-License-Identifier: Apache-2.0
"""Each problem has its code, and each code of a trace is found."""

import dataclasses

import pytest

from octavia_ovn.core.diagnosis import codes
from octavia_ovn.core.diagnosis.findings import Finding, Severity, ok
from tests.core.builders import VIP, balancer, listener
from tests.core.diagnosis.snapshots import (
    ACLS,
    EXT,
    FAR,
    FIPS,
    GUARDED,
    LB,
    NEAR,
    NET1,
    NET2,
    OUTSIDE,
    checked,
    down,
    snapshot,
    trace,
    with_ports,
    with_rows,
)
from tests.core.diagnosis.test_faults import FAULTS
from tests.core.diagnosis.test_trace import FENCE, FENCED, SETS, UNCLEAR, WARNINGS, dual_stack

ONLY_COMPARED = {codes.STUCK, codes.ORPHANED, codes.UNENFORCED, codes.NOT_COMPARED}
"""What only a comparison of all load balancers finds."""
LOOSE, STRICT = (
    with_ports(snapshot(FENCED, acls=(*ACLS, FENCE), address_sets=sets), *GUARDED)
    for sets in ({"denied": ()}, SETS)
)
FULL = balancer([listener(connection_limit=10)], LB.pools)
CASES = {
    **{name: (found, sender) for name, found, sender, *_ in (*FAULTS, *UNCLEAR)},
    **{name: (found, NEAR) for name, found, *_ in WARNINGS},
    "port of checks down": (with_ports(checked(), *down("hm")), NEAR),
    "not in allowed_cidrs": (STRICT, FAR),
    "allowed_cidrs not enforced": (LOOSE, FAR),
    "connection_limit": (snapshot(FULL, closed=frozenset({"l1"})), NEAR),
    "on the provider network": (
        with_rows(snapshot(fips=FIPS), switches=frozenset({NET1, NET2, EXT})),
        OUTSIDE,
    ),
    "IPv6 from outside": (dual_stack(), "2001:db8::7"),
}
NUMBERS = {
    "no rows": 101,
    "different": 102,
    "lost VIP": 105,
    "pending": 108,
    "damaged": 109,
    "down": 201,
    "no listener": 202,
    "listener down": 203,
    "no pool": 204,
    "pool down": 205,
    "no members": 206,
    "drained": 207,
    "other family": 207,
    "all unreachable": 207,
    "some serve": 208,
    "backup": 208,
    "client down": 301,
    "members down": 301,
    "client unbound": 302,
    "members unbound": 302,
    "chassis": 303,
    "rule": 304,
    "rule of members": 304,
    "egress": 305,
    "egress to members": 305,
    "stateless": 306,
    "stateless from another network": 306,
    "ingress": 307,
    "allowed_cidrs": 308,
    "vip_sg_ids": 311,
    "allowed_cidrs outside": 308,
    "not in allowed_cidrs": 309,
    "allowed_cidrs not enforced": 310,
    "connection_limit": 312,
    "no router": 401,
    "outside": 402,
    "IPv6 from outside": 403,
    "no gateway": 404,
    "gateway nowhere": 405,
    "gateway": 406,
    "router down": 407,
    "router down for another network": 407,
    "router down for clients outside": 407,
    "router port down": 407,
    "switch port of the router down": 407,
    "gateway's port down": 407,
    "router's interface to the members down": 407,
    "router's interface to the members down for clients outside": 407,
    "not on switch": 408,
    "not on router": 409,
    "provider network without a router": 410,
    "on the provider network": 411,
    "isolated": 412,
    "vip port": 413,
    "no entry": 414,
    "no entry of fip": 414,
    "no check": 501,
    "port of checks down": 502,
    "no source": 503,
    "unmapped": 504,
    "dead": 505,
    "one dead": 505,
    "subnet": 506,
    "no route": 507,
    "no route from outside": 507,
    "one missing": 508,
}


@pytest.mark.parametrize("case", CASES)
def test_the_worst_finding_has_the_code(case):
    explanation = trace(*CASES[case])
    worst = next(each for _, each in explanation.findings if each.severity is explanation.severity)
    assert worst.code.name == f"OVNLB-{NUMBERS[case]}"
    assert worst.remedy


def test_each_code_of_a_trace_is_found():
    assert NUMBERS.keys() == CASES.keys()
    assert set(NUMBERS.values()) == {
        each.number for each in codes.CODES.values() if each not in ONLY_COMPARED
    }


def test_what_is_right_has_no_code():
    assert {each.code for _, each in trace(snapshot()).findings} == {None}
    assert ok(VIP) == Finding(VIP)


@pytest.mark.parametrize(
    ("code", "severity"),
    [(codes.ROUTER_DISABLED, Severity.WARNING), (codes.RULES_UNCLEAR, Severity.UNCLEAR)],
)
def test_only_faults_are_less_severe_where_there_is_another_way(code, severity):
    found = code.finding("words")
    assert found.severity is code.severity
    assert dataclasses.replace(found, bypassed=True).severity is severity
