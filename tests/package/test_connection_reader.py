# SPDX-License-Identifier: Apache-2.0
"""Readings of single connections: when they are made, and what is logged."""

import json
import types

import pytest

from octavia_ovn import connection_reader
from octavia_ovn.adapters.openvswitch.bridge import Reading
from octavia_ovn.connection_reader import ConnectionReader
from octavia_ovn.core.statistics.flow_records import Recorded
from octavia_ovn.core.statistics.member_bytes import Bytes
from octavia_ovn.core.statistics.members import Member
from octavia_ovn.core.statistics.traffic import Key
from tests.core.statistics.switch import counters, packed
from tests.core.statistics.test_flow_records import KERNEL, MEMBER, VIP, logical

OPEN = KERNEL.replace("TIME_WAIT", "ESTABLISHED").replace("timeout=115", "timeout=300")


class Chassis:
    """The switch, its bridge and the Southbound database."""

    def __init__(self):
        self.flows = {1: logical()}
        self.recorded = {"aaaaaaaa": Recorded("lb", "p1")}
        self.lines = []
        self.here = {1}
        self.readings = 0

    def connections(self, *options):
        assert options == ("-m", "-s")
        self.readings += 1
        return self.lines

    def read(self, cookies):
        found = [counters(each, address=packed(VIP)) for each in cookies if each in self.here]
        yield Reading(frozenset(cookies), found, 0.0)


@pytest.fixture
def chassis():
    return Chassis()


@pytest.fixture
def clock(monkeypatch):
    now = types.SimpleNamespace(seconds=1000.0)
    fake = types.SimpleNamespace(time=lambda: now.seconds, monotonic=lambda: now.seconds)
    monkeypatch.setattr(connection_reader, "time", fake)
    return now


@pytest.fixture
def read(chassis, clock, tmp_path):
    """A function that has it read connections, after some seconds."""

    def make(*, counts_bytes=False):
        settings = types.SimpleNamespace(
            flow_records=str(tmp_path / "log"), counts_member_bytes=counts_bytes, member_series=10
        )
        reader = ConnectionReader(settings, chassis, chassis)

        def again(seconds=5.0):
            clock.seconds += seconds
            reader.read(chassis, "one", [chassis.flows[each] for each in sorted(chassis.here)])
            return reader

        return again

    return make


def written(tmp_path):
    path = tmp_path / "log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_connection(chassis, read, tmp_path):
    again = read()
    again()
    chassis.lines = [OPEN, KERNEL.replace("mark=2", "mark=0").replace("5000", "1")]
    again()
    assert written(tmp_path) == []
    chassis.lines = [KERNEL]
    again()

    (line,) = written(tmp_path)
    assert (line["member"], line["bytes_out"], line["chassis"]) == (MEMBER, 278, "one")


def test_nothing_is_read_while_nothing_is_marked(chassis, read):
    chassis.recorded = {}
    again = read()
    again()
    assert chassis.readings == 0

    again = read(counts_bytes=True)
    again()
    assert chassis.readings == 1
    chassis.here = set()
    again()
    assert chassis.readings == 1


def test_connections_are_followed_to_their_end(chassis, read, tmp_path):
    again = read()
    again()
    chassis.lines = [OPEN]
    again()
    chassis.recorded, chassis.lines = {}, [KERNEL]
    again()

    assert len(written(tmp_path)) == 1
    chassis.lines = []
    again()
    readings = chassis.readings
    again()
    assert chassis.readings == readings


def test_late_readings_are_logged_once(read, caplog):
    again = read()
    for seconds in (5, 5, 11, 12, 5, 15):
        again(seconds)

    assert [each.message[:37] for each in caplog.records] == [
        "Connections were read 11 s after the ",
        "Connections were read 15 s after the ",
    ]


def test_too_many_connections_are_logged_once(chassis, read, caplog, monkeypatch):
    monkeypatch.setattr(connection_reader, "_MOST", 1)
    again = read()
    chassis.lines = [OPEN, OPEN.replace("5000", "5001")]
    again()
    again()

    assert [each.message for each in caplog.records] == [
        "More than 1 connections at once: others are not recorded"
    ]


def test_bytes_of_members(chassis, read):
    again = read(counts_bytes=True)
    again()
    chassis.lines = [KERNEL]
    counts = again().bytes.counts

    assert counts == {Member(Key("aaaaaaaa", 80), MEMBER): Bytes(271, 278)}


def test_whose_bytes_depends_on_the_flows_that_are_here(chassis, read):
    chassis.flows[2] = logical("bbbbbbbb")
    again = read(counts_bytes=True)
    again()
    chassis.lines = [OPEN]
    (member,) = again().bytes.counts
    assert member.listener.row_uuid_prefix == "aaaaaaaa"

    chassis.here = {1, 2}
    chassis.lines = [KERNEL.replace("5000", "5001")]
    assert len(again().bytes.counts) == 1
