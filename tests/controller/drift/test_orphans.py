# SPDX-License-Identifier: Apache-2.0
"""Load balancers that Octavia does not know."""

import dataclasses

import pytest

from octavia_ovn.controller.drift.compare import DriftState, Repair
from octavia_ovn.controller.drift.once import Action
from octavia_ovn.core.request import changes, record
from octavia_ovn.core.request.record import rows_of
from octavia_ovn.errors import Unavailable
from tests.controller.drift.databases import WEB, named, repaired, states


def test_orphan(store, octavia, repair):
    store.put(WEB)
    assert states(repair) == {"lb1": DriftState.ORPHANED}
    assert repaired(repair) == {"lb1": Action.RECORDED}
    assert store.pending().orphaned


def test_orphan_with_an_open_request_is_left_to_the_agent(store, octavia, repair):
    store.database.write(record.record((), changes.CreateLoadBalancer(WEB), "request"))
    assert repaired(repair) == {"lb1": Action.LEFT}


def test_foreign_empty_row_is_no_orphan(store, octavia, repair):
    (row,) = rows_of(WEB, ())
    store.database.insert(dataclasses.replace(row, external_ids={}, uuid="1"))
    assert states(repair) == {}


def test_load_balancer_that_the_account_may_not_see_is_no_orphan(store, octavia, repair):
    store.put(WEB)
    octavia.has(WEB)
    octavia.listed.clear()
    assert states(repair) == {"lb1": DriftState.RIGHT}


def test_orphans_are_not_searched_for_in_a_selection(store, octavia, repair):
    store.put(WEB)
    store.put(named(WEB, "lb2"))
    octavia.has(WEB)
    octavia.has(named(WEB, "lb3"))
    assert states(repair, wanted=lambda each: each.id == "lb1") == {"lb1": DriftState.RIGHT}


def test_orphans_are_compared_again_later(store, octavia):
    """Octavia's API may just be committing it."""
    store.put(WEB)
    repair = Repair(store, octavia, octavia, patience=7.0, sleep=lambda _: octavia.has(WEB))
    assert states(repair) == {"lb1": DriftState.RIGHT}


def test_incomplete_list_finds_nothing(store, octavia, repair):
    def fail():
        raise Unavailable("Octavia answered 503")

    store.put(WEB)
    octavia.load_balancers = fail
    with pytest.raises(Unavailable):
        repaired(repair)
    assert store.pending() is None
