# SPDX-License-Identifier: Apache-2.0

from octavia_ovn.core.statistics import outbox
from octavia_ovn.core.statistics.messages import ROWS
from octavia_ovn.core.statistics.outbox import Outbox
from octavia_ovn.core.statistics.traffic import Key, Traffic

A, B = Key("aaaaaaaa", 80), Key("bbbbbbbb", 80)


def test_traffic_is_in_a_report_that_does_not_change():
    box = Outbox()
    box.add({A: Traffic(2, 20)})
    box.add({A: Traffic(1, 10), B: Traffic()})
    box.fill()
    box.add({A: Traffic(5, 50)})

    assert box.reports == {1: {A: Traffic(3, 30)}}
    assert box.waiting == {A: Traffic(5, 50)}


def test_an_acknowledged_report_is_forgotten_and_the_floor_rises():
    box = Outbox()
    assert box.floor == 1
    for key in (A, B):
        box.add({key: Traffic(1)})
        box.fill()

    box.acknowledge([2, 77])
    assert (list(box.reports), box.floor) == ([1], 1)

    box.acknowledge([1])
    assert (box.reports, box.floor) == ({}, 3)


def test_many_listeners_take_several_reports():
    box = Outbox()
    box.add({Key(f"{number:08x}", 80): Traffic(1) for number in range(ROWS + 1)})
    box.fill()

    assert [len(each) for each in box.reports.values()] == [ROWS, 1]


def test_without_acknowledgements_traffic_is_summed_up(monkeypatch):
    monkeypatch.setattr(outbox, "WINDOW", 1)
    box = Outbox()
    for _ in range(3):
        box.add({A: Traffic(1)})
        box.fill()

    assert box.reports == {1: {A: Traffic(1)}}
    assert box.waiting == {A: Traffic(2)}

    box.acknowledge([1])
    box.fill()
    assert box.reports == {2: {A: Traffic(2)}}
