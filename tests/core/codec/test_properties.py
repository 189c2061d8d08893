# SPDX-License-Identifier: Apache-2.0
"""What is written is read: any load balancer, and rows in any order."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.core import codec, model, slots
from octavia_ovn.core.desired.load_balancer import desired
from octavia_ovn.core.pending import Final, Kind
from octavia_ovn.core.request import changes, record
from tests.core import strategies as some
from tests.core.builders import balancer, facts, recorded
from tests.core.database import Database
from tests.core.strategies import many
from tests.core.world import bare, normal


@many
@given(some.aged)
def test_decoding_undoes_encoding(lb):
    assert codec.decode(recorded(lb)).lb == normal(lb)


@many
@given(some.aged, st.permutations(range(3)))
def test_the_order_of_rows_does_not_matter(lb, order):
    rows = recorded(lb)
    shuffled = [rows[index] for index in order if index < len(rows)]

    assert bare(desired(lb, rows, facts())) == bare(desired(lb, shuffled, facts()))


@many
@given(some.aged)
def test_every_key_belongs_to_intent_or_state(lb):
    """What is written is read: an intent key, one of the agent's, or what Octavia waits for."""
    for each in recorded(lb):
        assert all(map(codec.is_intent, each.external_ids))
        assert not any(map(codec.is_realised, each.external_ids))


@many
@given(some.aged, some.load_balancers)
def test_restoring_gives_what_octavia_has(before, octavia):
    """Apart from the order of members and their places, which are ours."""
    db = Database()
    db.write(record.record((), changes.CreateLoadBalancer(before), "r1"))

    db.write(record.record(db.of("lb1"), changes.Restore(octavia), "r2"))

    found = codec.decode(db.of("lb1")).lb
    assert without_places(found) == without_places(normal(octavia))
    assert not record.record(db.of("lb1"), changes.Restore(octavia), "r3")


def without_places(lb):
    return dataclasses.replace(
        lb,
        pools=tuple(
            dataclasses.replace(
                each, slots=(), members=tuple(sorted(each.members, key=lambda one: one.id))
            )
            for each in lb.pools
        ),
    )


@many
@given(st.lists(st.sets(st.integers(1, 6)), max_size=5))
def test_rows_remember_places(history):
    """Over any number of writes and reads, as slots does in memory."""
    before = model.Pool("p1", model.Protocol.TCP, model.Algorithm.SOURCE_IP)
    for numbers in history:
        members = tuple(model.Member(f"m{each}", f"10.0.0.{each}", 80) for each in sorted(numbers))
        after = slots.arrange(dataclasses.replace(before, members=members), slots.places(before))

        assert codec.decode(recorded(balancer(pools=[after]))).lb.pools == (after,)

        before = after


def test_all_kinds_of_objects_can_be_remembered():
    lb = balancer()
    everything = {(kind, "x"): final for kind in Kind for final in Final}

    operations = record.record((), changes.DeleteLoadBalancer(lb, everything), "r1")

    assert codec.pending([operations[0].row]).objects.items() >= everything.items()
