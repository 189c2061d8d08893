# SPDX-License-Identifier: Apache-2.0
"""Whatever the rows hold, it is read or said to be unreadable, and can be mended."""

import pytest
from hypothesis import given, settings

from octavia_ovn.core import codec
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.request import changes, record
from tests.core.builders import balancer, row, settle
from tests.core.garbage import rubbish_rows
from tests.core.strategies import many


@settings(many, max_examples=150)
@given(rubbish_rows)
def test_decoding_garbage_raises_undecodable_at_most(rows):
    try:
        decoded = codec.decode(rows)
    except codec.Undecodable:
        return

    again = settle(record.rows_of(decoded.lb, rows))
    assert codec.decode(again).lb == decoded.lb


@settings(many, max_examples=60)
@given(rubbish_rows)
def test_rows_with_any_content_can_be_restored_and_deleted(rows):
    for change in (changes.Restore(balancer()), changes.DeleteLoadBalancer(balancer(), {})):
        operations = record.record(rows, change, "r1")

        assert operations or not isinstance(change, changes.DeleteLoadBalancer)


@pytest.mark.parametrize(
    "change", [changes.Resync("lb1"), changes.Release("lb1", {}), changes.Abandon("lb1")]
)
def test_also_asked_for_and_abandoned(change):
    assert record.record([row(external_ids={k.VIP: "x"})], change, "r1")
