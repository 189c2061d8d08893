# SPDX-License-Identifier: Apache-2.0
"""What a chassis counts and reports of listeners with a limit."""

from octavia_ovn.core.statistics.limited import Reported, present
from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.traffic import Key

A, B = Key("aaaaaaaa", 80), Key("aaaaaaaa", 81)


def flow(row="aaaaaaaa", protocol="tcp", port=80, meaning=Meaning.CONNECTIONS):
    return LogicalFlow(meaning, row, b"0000", protocol, port, routed=False)


def test_listeners_with_a_limit_on_a_chassis():
    flows = [
        flow(),
        flow(port=81),
        flow(row="bbbbbbbb"),
        flow(protocol="udp", port=53),
        flow(meaning=Meaning.ADDRESS_BYTES, port=0),
    ]

    assert present({"aaaaaaaa", "cccccccc"}, flows) == {A, B}
    assert present((), flows) == frozenset()


def test_only_what_has_changed_is_reported():
    reported = Reported()

    assert reported.update({A, B}, {A: 3}) == {A: 3, B: 0}
    assert reported.update({A, B}, {A: 3}) == {}
    assert reported.update({A, B}, {A: 4, Key("bbbbbbbb", 1): 7}) == {A: 4}
    assert reported.open == {A: 4, B: 0}
    assert reported.update({A}, {A: 4}) == {}
    assert reported.open == {A: 4}


def test_what_leaves_a_chassis_does_not_count_for_ever():
    """All connections may never be counted: the last number would keep the listener closed."""
    reported = Reported()
    reported.update({A, B}, {A: 4})
    found = [reported.update((), {A: 4}) for _ in range(30)]

    assert [each for each in found if each] == [{A: 0}]
    assert reported.open == {}
    assert reported.update({A}, {A: 4}) == {A: 4}


def test_what_is_away_for_a_moment_counts_as_before():
    reported = Reported()
    reported.update({A}, {A: 4})
    for _ in range(30):
        assert reported.update((), {}) == {}
        assert reported.open == {A: 4}
        assert reported.update({A}, {A: 4}) == {}
