# SPDX-License-Identifier: Apache-2.0
"""Bytes of members, from counters of single connections."""

import pytest

from octavia_ovn.core.statistics.flow_records import Counters
from octavia_ovn.core.statistics.logical_flows import Meaning
from octavia_ovn.core.statistics.member_bytes import Bytes, MemberBytes, rival_flows
from octavia_ovn.core.statistics.members import Member
from octavia_ovn.core.statistics.traffic import Key
from tests.core.statistics.test_flow_records import ENDED, KEY, MEMBER, PLACE, logical

ONE = Member(KEY, MEMBER)


def entry(bytes_in, bytes_out, port=5000, **fields):
    identity = ENDED.identity._replace(client_port=port)
    return ENDED._replace(identity=identity, counters=Counters(1, bytes_in, 1, bytes_out), **fields)


class Reader:
    """Readings of a chassis with one listener."""

    def __init__(self, most=10):
        self.bytes = MemberBytes(most)
        self.owners = {PLACE: {KEY}}

    def see(self, *entries):
        self.bytes.advance(entries, self.owners)
        return self.bytes.counts


@pytest.fixture
def reader():
    made = Reader()
    made.see()
    return made


def test_connections_that_begin_grow_and_end(reader):
    assert reader.see(entry(100, 1000)) == {ONE: Bytes(100, 1000)}
    assert reader.see(entry(150, 3000), entry(1, 2, port=1)) == {ONE: Bytes(151, 3002)}
    assert reader.see(entry(150, 3000)) == {ONE: Bytes(151, 3002)}
    assert reader.see() == {ONE: Bytes(151, 3002)}
    assert reader.see(entry(10, 20)) == {ONE: Bytes(161, 3022)}


def test_what_was_there_before_the_first_reading_is_left_out():
    reader = Reader()

    assert reader.see(entry(100, 1000)) == {}
    assert reader.see(entry(110, 1500)) == {ONE: Bytes(10, 500)}


@pytest.mark.parametrize("fields", [{"number": 7}, {}], ids=["another number", "fewer bytes"])
def test_a_connection_that_is_replaced(reader, fields):
    reader.see(entry(100, 1000))

    assert reader.see(entry(200 if fields else 90, 300, **fields)) == {
        ONE: Bytes(300 if fields else 190, 1300)
    }


def test_flows_that_are_being_replaced(reader):
    reader.see(entry(100, 1000))
    reader.owners = {}
    assert reader.see(entry(150, 1500), entry(7, 8, port=1)) == {ONE: Bytes(100, 1000)}
    reader.owners = {PLACE: {KEY}}

    assert reader.see(entry(200, 2000), entry(7, 8, port=1)) == {ONE: Bytes(207, 2008)}


def test_two_tenants_with_one_place(reader):
    reader.owners = {PLACE: {KEY, Key("bbbbbbbb", 80)}}
    assert reader.see(entry(100, 1000)) == {}
    reader.owners = {PLACE: {KEY}}

    assert reader.see(entry(110, 1000)) == {ONE: Bytes(10, 0)}


def test_where_nothing_is_counted(reader):
    assert reader.see(ENDED._replace(counters=None)) == {}


def test_members_beyond_the_limit():
    reader = Reader(most=1)
    reader.see()

    reader.see(entry(1, 2), entry(3, 4, port=1, member="10.0.1.12:80"))
    assert reader.see(entry(2, 3)) == {ONE: Bytes(2, 3)}


def test_listeners_that_are_gone(reader):
    reader.see(entry(1, 2))

    reader.bytes.keep([KEY])
    assert reader.bytes.counts == {ONE: Bytes(1, 2)}
    reader.bytes.keep([])
    assert reader.bytes.counts == {}


def test_flows_of_tenants_with_one_place():
    catalog = {
        1: logical(),
        2: logical("bbbbbbbb"),
        3: logical(port=81),
        4: logical(port=81),
        5: logical("bbbbbbbb", Meaning.BYTES, port=81),
        6: logical("bbbbbbbb", port=81, backends=()),
    }

    assert set(rival_flows(catalog)) == {1, 2}
