# SPDX-License-Identifier: Apache-2.0
"""The places of members in a vip: weights, and clients that stay where they are."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.core import model, slots
from tests.core.builders import member, pool

BY_CLIENT = {"algorithm": model.Algorithm.SOURCE_IP}


def ids(members):
    return [each.id for each in members]


def arranged(before, *numbers):
    """The places after these are the members of a pool that hashes by client."""
    return slots.places(slots.arrange(pool(members=map(member, numbers), **BY_CLIENT), before))


PLACES = {
    "first members": ((), (1, 2), ("m1", "m2")),
    "one more": (("m1", "m2"), (1, 2, 3), ("m1", "m2", "m3")),
    "the last leaves": (("m1", "m2", "m3"), (1, 2), ("m1", "m2")),
    "the first leaves": (("m1", "m2", "m3"), (2, 3), ("", "m2", "m3")),
    "a new one takes the vacant place": (("", "m2", "m3"), (2, 3, 4), ("m4", "m2", "m3")),
    "the first vacant place first": (("", "m2", "", "m4"), (2, 4, 5), ("m5", "m2", "", "m4")),
    "all after a vacant place leave": (("m1", "", "m3"), (1,), ("m1",)),
    "all leave": (("m1", "m2"), (), ()),
}


@pytest.mark.parametrize(("before", "numbers", "after"), PLACES.values(), ids=PLACES)
def test_gives_places(before, numbers, after):
    assert after == arranged(before, *numbers)


def test_other_pools_have_no_vacant_places():
    found = slots.arrange(pool(members=[member(2)]), ("m1", "m2"))

    assert slots.places(found) == ("m2",)


@given(st.lists(st.sets(st.integers(1, 9)), max_size=8))
def test_who_stays_keeps_the_place(history):
    before = ()
    for numbers in history:
        after = arranged(before, *sorted(numbers))

        assert sorted(filter(None, after)) == sorted(f"m{each}" for each in numbers)
        assert "" not in after[-1:]
        assert all(
            after[place] == each
            for place, each in enumerate(before)
            if each and int(each[1:]) in numbers
        )
        before = after


def hashes_client_ip(*members, places=()):
    return slots.arrange(pool(members=members, **BY_CLIENT), places)


def test_fills_a_vacant_place_with_a_copy():
    found = hashes_client_ip(member(2), member(3), places=("m1", "m2", "m3"))

    entries = ids(slots.entries(found, found.members))

    assert len(entries) == 3
    assert entries[1:] == ["m2", "m3"]
    assert entries[0] in {"m2", "m3"}


@given(st.sets(st.integers(1, 12), min_size=2), st.data())
def test_other_members_keep_their_places_when_one_cannot_serve(numbers, data):
    found = hashes_client_ip(*map(member, sorted(numbers)))
    away = data.draw(st.sampled_from(found.members))
    rest = [each for each in found.members if each != away]

    all_serve = ids(slots.entries(found, found.members))
    one_away = ids(slots.entries(found, rest))

    assert len(all_serve) == len(one_away)
    assert all(was == now for was, now in zip(all_serve, one_away, strict=True) if was != away.id)


@given(st.sets(st.integers(1, 12), min_size=3), st.data())
def test_copies_stay_when_another_one_leaves(numbers, data):
    """A place once filled is filled by another only when the one who fills it goes."""
    found = hashes_client_ip(*map(member, sorted(numbers)))
    first, second = data.draw(st.permutations(found.members))[:2]
    without_one = [each for each in found.members if each is not first]
    without_two = [each for each in without_one if each is not second]

    before = ids(slots.entries(found, without_one))
    after = ids(slots.entries(found, without_two))

    assert all(was == now for was, now in zip(before, after, strict=True) if was != second.id)


WEIGHTS = {
    "equal": ([1, 1], [1, 1]),
    "reduced": ([10, 20], [1, 2]),
    "reduced to one each": ([100, 100, 100], [1, 1, 1]),
    "as they are": ([3, 7], [3, 7]),
    "exactly as many as there may be": ([255, 1], [255, 1]),
    "one too many": ([256, 1], [253, 1]),
    "a single member": ([256], [1]),
    "more members than places": ([1] * 300, [1] * 300),
    "more members than places, weighted": ([2] * 299 + [1], [1] * 300),
}


@pytest.mark.parametrize(("weights", "copies"), WEIGHTS.values(), ids=WEIGHTS)
def test_repeats_by_weight(weights, copies):
    assert copies == copies_of(weights)


def copies_of(weights):
    members = [
        dataclasses.replace(member(1), id=f"m{number}", weight=weight)
        for number, weight in enumerate(weights)
    ]
    entries = ids(slots.entries(pool(members=members), members))
    return [entries.count(each.id) for each in members]


@given(st.lists(st.integers(1, 256), min_size=1, max_size=60))
def test_weights_keep_their_order_within_the_limit(weights):
    copies = copies_of(weights)

    assert sum(copies) <= slots.MAX_ENTRIES
    assert min(copies) >= 1
    by_weight = sorted(zip(weights, copies, strict=True))
    assert [each for _, each in by_weight] == sorted(copies)


def test_no_entries_without_an_eligible_member():
    assert slots.entries(pool(members=[member(1)]), ()) == ()


def test_lists_only_who_serves():
    found = pool(members=[member(1), member(2)])

    assert ids(slots.entries(found, [member(2)])) == ["m2"]
