"""A report counts once, whoever sends it how often; open connections end with their chassis."""

from octavia_ovn.core.statistics.messages import Levels, Report
from octavia_ovn.core.statistics.totals import FORGET, SILENCE, Batch, Totals, acknowledged
from octavia_ovn.core.statistics.traffic import Key, Traffic

A, B = Key("aaaaaaaa", 80), Key("bbbbbbbb", 80)


def report(number=1, connections=1, chassis="one", life="x", floor=1):
    return Report(chassis, life, number, floor, {A: Traffic(connections, 10)})


def levels(turn=1, chassis="one", **values):
    keys = {"a": A, "b": B}
    return Levels(chassis, "x", turn, {keys[name]: number for name, number in values.items()})


def test_reports_of_all_chassis_are_added():
    totals = Totals()
    totals.report(report(connections=3), 0)
    totals.report(report(2, connections=4), 0)
    totals.report(report(connections=5, chassis="two"), 0)

    batch = totals.batch(0)

    assert batch.traffic == {A: Traffic(12, 30)}
    assert set(batch.reports) == {("one", "x", 1), ("one", "x", 2), ("two", "x", 1)}


def test_nothing_to_tell():
    assert not Totals().batch(0)


def test_a_report_that_comes_again_counts_once():
    totals = Totals()
    assert not totals.report(report(), 0)
    assert not totals.report(report(), 0)
    batch = totals.batch(0)
    assert batch.traffic == {A: Traffic(1, 10)}

    totals.told(batch)

    assert totals.report(report(), 0)
    assert not totals.batch(0)


def test_what_comes_while_octavia_is_told_waits_for_the_next_time():
    totals = Totals()
    totals.report(report(1), 0)
    batch = totals.batch(0)
    totals.report(report(2, connections=7), 0)

    totals.told(batch)

    assert totals.batch(0).traffic == {A: Traffic(7, 10)}


def test_a_number_below_the_floor_is_done_with():
    totals = Totals()
    totals.report(report(5, floor=5), 0)

    assert totals.report(report(4, floor=4), 0)
    assert totals.batch(0).reports == (("one", "x", 5),)


def test_a_collector_that_lost_its_memory_begins_anew():
    totals = Totals()
    totals.report(report(1), 0)
    batch = totals.batch(0)
    totals.report(report(1, life="y"), 0)

    totals.told(batch)

    assert totals.batch(0).reports == (("one", "y", 1),)


def test_a_chassis_that_is_forgotten_is_not_missed():
    totals = Totals()
    totals.report(report(), 0)
    batch = totals.batch(0)
    assert totals.batch(FORGET + 1).traffic == {A: Traffic(1, 10)}

    totals.told(batch)

    assert not totals.batch(FORGET + 1)


def test_open_connections_of_all_chassis():
    totals = Totals()
    totals.levels(levels(a=3), 0)
    totals.levels(levels(b=1), 0)
    totals.levels(levels(a=4, chassis="two"), 0)
    batch = totals.batch(0)
    assert batch.open == {A: 7, B: 1}

    totals.told(batch)
    assert not totals.batch(0)

    totals.levels(levels(2, a=1), 0)
    assert totals.batch(0).open == {A: 5, B: 0}


def test_an_older_count_does_not_replace_a_newer_one():
    totals = Totals()
    totals.levels(levels(2, a=3), 0)
    totals.levels(levels(1, a=9), 0)

    assert totals.batch(0).open == {A: 3}


def test_that_there_are_none_is_told_once_by_an_agent_that_knows_nothing():
    totals = Totals()
    totals.levels(levels(a=0), 0)
    batch = totals.batch(0)
    assert batch.open == {A: 0}

    totals.told(batch)

    assert not totals.batch(0)


def test_what_no_chassis_speaks_of_any_more_is_forgotten():
    totals = Totals()
    for turn, values in enumerate(({"a": 3}, {"a": 0}, {}), 1):
        totals.levels(levels(turn, **values), 0)
        totals.told(totals.batch(0))

    assert not totals.batch(0)
    assert totals._told_open == {}


def test_a_silent_chassis_has_no_open_connections():
    totals = Totals()
    totals.levels(levels(a=3), 0)
    totals.told(totals.batch(0))

    batch = totals.batch(SILENCE + 1)
    assert batch.open == {A: 0}

    totals.told(batch)
    assert not totals.batch(SILENCE + 2)


def test_a_listener_with_traffic_is_told_with_its_open_connections():
    totals = Totals()
    totals.levels(levels(a=3), 0)
    totals.told(totals.batch(0))
    totals.report(report(), 0)

    assert totals.batch(0) == Batch((("one", "x", 1),), {A: Traffic(1, 10)}, {A: 3})


def test_acknowledgements_by_sender():
    reports = [("one", "x", 1), ("two", "y", 1), ("one", "x", 2)]

    assert acknowledged(reports) == {("one", "x"): (1, 2), ("two", "y"): (1,)}
