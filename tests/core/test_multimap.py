# SPDX-License-Identifier: Apache-2.0
"""Items by a key that several may share."""

from octavia_ovn.core.multimap import MultiMap


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
