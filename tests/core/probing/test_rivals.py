# SPDX-License-Identifier: Apache-2.0
"""Two programs with the name of one chassis."""

from __future__ import annotations

from octavia_ovn.core.probing.rivals import Rivals


def test_a_silent_connection_is_displaced_always() -> None:
    rivals = Rivals()
    assert all(rivals.may_displace("a", now - 5.0, now) for now in map(float, range(100)))


def test_a_living_one_is_displaced_three_times() -> None:
    rivals = Rivals()
    found = [rivals.may_displace("a", now, now) for now in (100.0, 100.5, 101.0, 101.5)]
    assert found == [True, True, True, False]
    assert rivals.may_displace("b", 101.5, 101.5)
    # As long as the other one tries.
    assert not any(rivals.may_displace("a", now, now) for now in map(float, range(105, 400, 5)))


def test_it_is_forgotten_after_a_minute() -> None:
    rivals = Rivals()
    for now in (100.0, 101.0, 102.0):
        assert rivals.may_displace("a", now, now)
    assert rivals.may_displace("a", 161.0, 161.0)
