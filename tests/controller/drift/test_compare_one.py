# SPDX-License-Identifier: Apache-2.0
"""Comparing one load balancer by its id."""

import pytest

from octavia_ovn.controller.drift.compare import DriftState
from octavia_ovn.errors import Unavailable
from tests.controller.drift.databases import TWO_PROTOCOLS, WEB, named

# --- one alone


@pytest.mark.parametrize("lb", [WEB, TWO_PROTOCOLS])
def test_one_whose_rows_are_lost(store, octavia, repair, lb):
    octavia.has(lb)
    octavia.has(named(WEB, "lb2"))
    finding = repair.compare_one("lb1")
    assert finding.state is DriftState.MISSING
    assert repair.repair(finding)
    assert store.lb() == lb
    assert store.rows("lb2") == ()
    assert octavia.asked == ["lb1"]


def test_one_row_of_two_that_is_lost(store, octavia, repair):
    store.put(TWO_PROTOCOLS)
    octavia.has(TWO_PROTOCOLS)
    udp = next(row for row in store.rows("lb1") if row.protocol == "udp")
    del store.database[udp.uuid]
    repair.repair(repair.compare_one("lb1"))
    assert store.lb() == TWO_PROTOCOLS


def test_one_that_is_right_costs_no_tree(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    assert repair.compare_one("lb1").state is DriftState.RIGHT
    assert octavia.asked == []


def test_one_that_octavia_does_not_know_is_left_to_comparisons(store, octavia, repair):
    store.put(WEB)
    finding = repair.compare_one("lb1")
    assert (finding.state, finding.change) == (DriftState.RIGHT, None)


def test_one_that_cannot_be_compared_is_unclear(store, octavia, repair):
    octavia.has(WEB)
    octavia.trees["lb1"] = Unavailable("gone")
    assert repair.compare_one("lb1").state is DriftState.UNCLEAR
