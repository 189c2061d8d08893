# SPDX-License-Identifier: Apache-2.0
"""Counters that Octavia does not accept or return."""

import pytest

from octavia_ovn.core.statistics.messages import (
    MAX_COUNT,
    OpenConnections,
    Report,
)
from octavia_ovn.core.statistics.traffic import Key, Traffic
from octavia_ovn.errors import Refused, Unavailable
from tests.controller.collectors import WEB, World, counters, report


@pytest.fixture
def world():
    return World()


def many(count):
    """Ids of that many listeners, by key, and a report of each."""
    ids = {Key("eeeeeeee", port): f"listener-{port}" for port in range(1, count + 1)}
    messages = [
        Report(f"chassis-{key.port}", "", "life", 1, 1, {key: Traffic(1, 10)}) for key in ids
    ]
    return ids, messages


@pytest.mark.parametrize("bad", [{1}, {7}, {20}, {3, 4}, set(range(1, 21))])
def test_records_that_octavia_refuses_do_not_hold_up_the_others(world, caplog, bad):
    world.ids, messages = many(20)
    world.octavia.shown = {each: counters() for each in world.ids.values()}
    world.octavia.refused = {f"listener-{port}" for port in bad}

    world.arrive(*messages)

    reported = {each for each, shown in world.octavia.shown.items() if shown == counters(1, 10)}
    assert reported == set(world.ids.values()) - world.octavia.refused
    assert len(world.chassis.sent) == 20
    world.arrive()
    world.arrive()
    assert world.drops.dropped == len(bad)
    assert caplog.text.count("Octavia refuses the statistics of listener") == len(bad)
    assert not world.ledger._accounts.waits


def test_a_record_that_octavia_refuses_once_is_reported_later(world):
    world.octavia.refused = {"web"}
    world.arrive(report(web=(3, 300)), report(2, dns=(1, 10)))
    world.octavia.refused = set()
    world.arrive()

    assert world.octavia.shown["web"] == counters(103, 1300)
    assert world.drops.dropped == 0


def test_a_listener_that_is_refused_for_good_is_tried_with_its_next_traffic(world, caplog):
    world.octavia.refused = {"web"}
    for number in range(1, 6):
        world.arrive(report(number, web=(1, 10)))
    assert world.drops.dropped == 3
    assert caplog.text.count("Octavia refuses the statistics of listener") == 1

    world.octavia.refused = set()
    world.arrive(report(6, web=(1, 10)))
    assert world.octavia.shown["web"] == counters(101, 1010)


def test_counters_stop_at_what_octavia_can_hold(world):
    world.arrive(report(web=(MAX_COUNT, MAX_COUNT)), OpenConnections("one", "", 1, {WEB: 2**40}))

    assert world.octavia.shown["web"] == counters(MAX_COUNT, MAX_COUNT, 2**31 - 1)
    assert len(world.chassis.sent) == 1


@pytest.mark.parametrize(
    "error",
    [Unavailable("500"), Refused("403"), ValueError("not a number"), KeyError("bytes_in")],
    ids=repr,
)
def test_a_listener_that_octavia_does_not_give_waits_alone(world, caplog, error):
    world.arrive(report(dns=(1, 10)))
    world.octavia.unreadable = {"web": error}
    world.arrive(report(2, web=(3, 300), dns=(1, 10)), OpenConnections("one", "", 1, {WEB: 4}))
    for number in range(3, 12):
        world.arrive(report(number, web=(1, 100), dns=(1, 10)))

    assert world.octavia.shown["dns"] == counters(11, 110, bytes_out=7)
    assert caplog.text.count("Octavia does not give counters of listener web") == 1
    assert world.octavia.asked.count("web") < 5
    assert len(world.chassis.sent) == 11

    world.octavia.unreadable = {}
    for _ in range(7):
        world.arrive()
    assert world.octavia.shown["web"] == counters(112, 2200, active=4)


def test_a_listener_that_octavia_never_gave_does_not_come_before_the_others(world):
    world.octavia.unreadable = {"web": Unavailable("500")}
    world.arrive(report(web=(3, 300), dns=(1, 10)))
    world.arrive()

    assert world.octavia.shown["dns"] == counters(1, 10, bytes_out=7)


def test_while_octavia_gives_nothing_all_waits_and_nothing_is_acknowledged(world):
    world.arrive(report(web=(1, 10)))
    world.chassis.sent.clear()
    world.octavia.unreadable = dict.fromkeys(("web", "dns"), Unavailable("down"))
    world.arrive(report(2, web=(1, 10), dns=(1, 10)))
    assert world.chassis.sent == []

    world.octavia.unreadable = {}
    world.arrive()
    assert world.octavia.shown["dns"] == counters(1, 10, bytes_out=7)
    assert world.octavia.shown["web"] == counters(102, 1020)
