# SPDX-License-Identifier: Apache-2.0
"""Items and values by keys that several may share."""

from octavia_ovn.core.multimap import Indexed, MultiMap


def test_a_key_has_its_items_in_order():
    found = MultiMap()
    found.add("a", 2)
    found.add("a", 1)
    found.add("a", 2)
    found.add("b", 3)

    assert list(found.of("a")) == [2, 1]
    assert found.first("a") == 2
    assert sorted(found) == ["a", "b"]


def test_a_key_without_items_is_removed():
    found = MultiMap()
    found.add("a", 1)
    found.add("a", 2)

    found.discard("a", 1)
    assert found.first("a") == 2

    found.discard("a", 2)
    assert "a" not in found
    assert list(found.of("a")) == []
    assert found.first("a") is None


def test_what_is_not_there_can_be_discarded():
    found = MultiMap()
    found.discard("a", 1)
    found.add("a", 1)
    found.discard("a", 2)

    assert list(found.of("a")) == [1]


def test_values_are_found_by_each_of_their_keys():
    found = Indexed(str.split)

    assert found.put(1, "a b") == ("a b",)
    assert found.put(2, "b c") == ("b c",)
    assert found.of("b") == ["a b", "b c"]
    assert (found.first("a"), found.first("d")) == ("a b", None)
    assert list(found.values()) == ["a b", "b c"]


def test_a_value_replaces_the_one_before_it():
    found = Indexed(str.split)
    found.put(1, "a b")

    assert found.put(1, "a b") == ()
    assert found.put(1, "b c") == ("a b", "b c")
    assert "a" not in found
    assert found.of("c") == ["b c"]
    assert found.put(1, None) == ("b c",)
    assert "b" not in found
    assert found.put(1, None) == ()
