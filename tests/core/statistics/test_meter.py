# SPDX-License-Identifier: Apache-2.0
"""Nothing is counted twice, whatever begins anew; nothing is lost that can be seen."""

from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.core.statistics.meter import RESCAN, Meter, Watchlist
from tests.core.statistics.switch import counters


def grown(meter, flows, now, asked=(1, 2)):
    return [(each.packets, each.bytes) for each in meter.advance(asked, flows, now)]


def test_growth_of_one_flow():
    meter = Meter(since=0.0)

    assert grown(meter, [counters(packets=3, octets=300, age=5)], 10) == [(3, 300)]
    assert grown(meter, [counters(packets=3, octets=300, age=6.1)], 11) == []
    assert grown(meter, [counters(packets=7, octets=800, age=7)], 12) == [(4, 500)]


def test_what_was_before_counting_began_is_left_out():
    meter = Meter(since=100.0)

    assert grown(meter, [counters(packets=3, age=50)], 101) == []
    assert grown(meter, [counters(packets=5, age=51)], 102) == [(2, 0)]


def test_a_flow_that_came_later_counts_from_its_beginning():
    meter = Meter(since=100.0)

    assert grown(meter, [counters(packets=3, age=50)], 200) == [(3, 0)]


def test_a_flow_in_the_place_of_another_counts_all_it_shows():
    meter = Meter(since=0.0)
    meter.advance((1,), [counters(packets=3, age=50)], 100)

    assert grown(meter, [counters(packets=4, age=1)], 101) == [(4, 0)]


def test_counters_that_fall_were_reset():
    meter = Meter(since=0.0)
    meter.advance((1,), [counters(packets=3, octets=300, age=50)], 100)

    assert grown(meter, [counters(packets=1, octets=70, age=51)], 101) == [(1, 70)]
    assert grown(meter, [counters(packets=1, octets=60, age=52)], 102) == [(1, 60)]


def test_a_reading_that_arrives_late_counts_nothing_twice():
    meter = Meter(since=0.0)
    (first,) = meter.advance((1,), [counters(packets=3, age=50)], 100)
    late = meter.advance((1,), [counters(packets=5, age=51)], 102, delay=1.5)
    (soon,) = meter.advance((1,), [counters(packets=6, age=53)], 103)

    assert (first.packets, [each.packets for each in late], soon.packets) == (3, [2], 1)


def test_a_late_first_reading_does_not_make_a_flow_younger():
    meter = Meter(since=100.0)

    assert meter.advance((1,), [counters(packets=3, age=2)], 103, delay=1.5) == []
    assert grown(meter, [counters(packets=5, age=5)], 104.5) == [(2, 0)]


def test_a_flow_in_the_place_of_another_after_a_late_reading():
    meter = Meter(since=0.0)
    meter.advance((1,), [counters(packets=3, age=50)], 102, delay=2)

    assert grown(meter, [counters(packets=4, age=1)], 104) == [(4, 0)]


def test_flows_that_are_gone_are_forgotten_but_only_if_asked_for():
    meter = Meter(since=0.0)
    meter.advance((1, 2), [counters(1, packets=3, age=5), counters(2, packets=4, age=5)], 10)

    meter.advance((1,), [], 11)

    assert [each.cookie for each in meter.baselines.values()] == [2]


def test_two_flows_with_one_cookie():
    meter = Meter(since=0.0)
    flows = [counters(packets=3, identity=b"a"), counters(packets=4, identity=b"b")]

    assert grown(meter, flows, 1000) == [(3, 0), (4, 0)]


def test_a_meter_with_memory_continues():
    before = Meter(since=0.0)
    before.advance((1,), [counters(packets=3, age=5)], 10)
    after = Meter(before.since, before.baselines)

    assert grown(after, [counters(packets=5, age=95)], 100) == [(2, 0)]


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=30))
def test_the_sum_is_what_was_sent_if_each_flow_is_read_before_it_is_deleted(steps):
    meter, now, born, packets, sent, counted = Meter(0.0), 1.0, 0.5, 0, 0, 0
    for more, replaced in steps:
        now += 1.0
        if replaced:
            born, packets = now - 0.5, 0
        packets += more
        sent += more
        reading = [counters(packets=packets, age=now - born)]
        counted += sum(each.packets for each in meter.advance((1,), reading, now))

    assert counted == sent


ALL = (1, 2, 3)


def test_all_are_asked_for_now_and_then_and_those_that_are_there_always():
    watchlist = Watchlist()
    assert watchlist.due(ALL, 0.0) == [1, 2, 3]
    watchlist.seen(ALL, [2])

    assert watchlist.due(ALL, 1.0) == [2]
    assert watchlist.due(ALL, RESCAN) == [1, 2, 3]
    assert watchlist.present == {2}


def test_new_ones_are_asked_for_until_they_come_or_it_takes_too_long():
    watchlist = Watchlist()
    watchlist.due((), 0.0)
    watchlist.added([7, 8], 1.0)
    assert watchlist.due(ALL, 2.0) == [7, 8]

    watchlist.seen([7, 8], [8])
    watchlist.due(ALL, RESCAN)

    assert watchlist.due(ALL, RESCAN + 2.0) == [8]


def test_what_is_gone_is_not_asked_for():
    watchlist = Watchlist()
    watchlist.due(ALL, 0.0)
    watchlist.seen(ALL, ALL)
    watchlist.seen(ALL, [1])

    assert watchlist.due(ALL, 1.0) == [1]
