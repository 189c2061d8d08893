# SPDX-License-Identifier: Apache-2.0
"""Connections of members, from buckets of groups that may be shared."""

import pytest

from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.members import MOST_BACKENDS, Member, MemberConnections
from octavia_ovn.core.statistics.meter import Growth
from octavia_ovn.core.statistics.openflow import GroupCounters
from octavia_ovn.core.statistics.traffic import Key
from tests.core.statistics.switch import counters, packed

A, B = Key("aaaaaaaa", 80), Key("bbbbbbbb", 80)
ONE, TWO, THREE = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"
GROUP = 7


def logical(key=A, backends=(ONE, TWO), meaning=Meaning.CONNECTIONS):
    vip = packed("10.0.0.100")
    return LogicalFlow(meaning, key.row_uuid_prefix, vip, "tcp", key.port, False, backends)


CATALOG = {
    1: logical(),
    2: logical(B),
    3: logical(B, (ONE,)),
    4: logical(A, (ONE, TWO, TWO)),
    5: logical(A, (ONE,) * MOST_BACKENDS + (TWO,)),
    6: logical(meaning=Meaning.BYTES),
}
A1, A2 = (counters(1, group=GROUP, identity=each) for each in (b"1", b"2"))
"""Flows of one listener on two switches."""
B1 = counters(2, group=GROUP)


class Chassis:
    """A chassis with one group."""

    def __init__(self, most=10):
        self.members = MemberConnections(most, since=0.0)
        self.now = 1000.0

    def turn(self, flows, buckets=None, references=None, age=5.0):
        """Read the group, then the flows; return what is counted."""
        self.now += 1
        asked = self.members.groups()
        groups = []
        if buckets is not None and GROUP in asked:
            pairs = tuple((each, 74 * each) for each in buckets)
            number = len(flows) if references is None else references
            groups.append(GroupCounters(GROUP, number, pairs, age + self.now - 1000))
        self.members.add_groups(CATALOG, flows, groups, self.now, 0.0)
        return {member.address: number for member, number in self.members.counts.items()}


@pytest.fixture
def chassis():
    made = Chassis()
    made.turn([A1])
    return made


def test_buckets_are_backends(chassis):
    assert chassis.turn([A1], (3, 2)) == {ONE: 3, TWO: 2}
    assert chassis.turn([A1], (3, 4)) == {ONE: 3, TWO: 4}
    assert set(chassis.members.counts) == {Member(A, ONE), Member(A, TWO)}


def test_a_backend_with_two_buckets():
    chassis = Chassis()
    flow = counters(4, group=GROUP)
    chassis.turn([flow])

    assert chassis.turn([flow], (3, 2, 1)) == {ONE: 3, TWO: 3}


def test_several_flows_of_one_listener(chassis):
    assert chassis.turn([A1, A2], (3, 2), references=1) == {}
    assert chassis.turn([A1, A2], (5, 2)) == {ONE: 5, TWO: 2}
    assert chassis.turn([A1], (6, 2), references=2) == {ONE: 5, TWO: 2}
    assert chassis.turn([A1], (7, 2)) == {ONE: 7, TWO: 2}


def test_a_group_of_two_listeners_tells_nothing(chassis):
    chassis.turn([A1], (1, 1))
    assert chassis.turn([A1, B1], (2, 2)) == {ONE: 1, TWO: 1}
    assert chassis.turn([A1, B1], (3, 3)) == {ONE: 1, TWO: 1}
    assert chassis.turn([A1], (4, 4)) == {ONE: 1, TWO: 1}

    assert chassis.turn([A1], (5, 4)) == {ONE: 2, TWO: 1}


def test_a_group_with_a_user_that_is_not_known_yet_tells_nothing(chassis):
    assert chassis.turn([A1], (1, 1), references=2) == {}
    assert chassis.turn([A1, A2], (3, 3), references=3) == {}
    assert chassis.turn([A1, A2], (4, 3), references=2) == {ONE: 1}


def test_a_group_that_other_backends_take_over(chassis):
    assert chassis.turn([counters(4, group=GROUP)], (9, 9)) == {}
    assert chassis.turn([]) == {}
    assert chassis.members.groups() == []


def test_a_group_whose_buckets_are_not_the_backends(chassis):
    assert chassis.turn([A1], (9, 9, 9)) == {}


def test_a_number_that_is_used_again(chassis):
    chassis.turn([A1], (9, 9))
    assert chassis.turn([A1], (1, 0), age=-1.5) == {ONE: 10, TWO: 9}


def test_what_older_groups_have_counted_before_is_not_known_to_be_new():
    chassis = Chassis()
    chassis.members = MemberConnections(10, since=1000.0)
    chassis.turn([A1])

    assert chassis.turn([A1], (9, 9)) == {}
    assert chassis.turn([A1], (10, 9)) == {ONE: 1}


def test_a_reading_that_failed(chassis):
    chassis.turn([A1], (1, 1))
    chassis.members.groups()  # And then Open vSwitch does not answer.

    assert chassis.turn([A1], (2, 2)) == {ONE: 1, TWO: 1}
    assert chassis.turn([A1], (3, 3)) == {ONE: 3, TWO: 3}


@pytest.mark.parametrize(
    "flow",
    [
        counters(1),
        counters(3, group=GROUP),
        counters(5, group=GROUP),
        counters(6, group=GROUP),
    ],
    ids=["no group", "one backend", "too many backends", "bytes"],
)
def test_groups_that_are_not_read(flow):
    chassis = Chassis()
    chassis.turn([flow])

    assert chassis.members.groups() == []


def test_a_single_member_has_all_connections_of_the_flow():
    members = MemberConnections(10, 0.0)
    grown = [Growth(counters(each), 5, 370) for each in (1, 3, 6)]

    members.add_flows(CATALOG, grown)

    assert members.counts == {Member(B, ONE): 5}


def test_listeners_that_are_gone():
    members = MemberConnections(10, 0.0)
    members.add_flows(CATALOG, [Growth(counters(3), 5, 370)])

    members.keep([B])
    assert members.counts == {Member(B, ONE): 5}
    members.keep([A])
    assert members.counts == {}


def test_members_beyond_the_limit():
    chassis = Chassis(most=1)
    chassis.turn([A1])

    assert chassis.turn([A1], (3, 2)) == {ONE: 3}
    assert chassis.members.left_out
    assert chassis.turn([A1], (4, 3)) == {ONE: 4}


def test_members_that_do_not_serve_make_room():
    members = MemberConnections(1, 0.0)
    members.counts[Member(A, THREE)] = 9

    members.add_flows(CATALOG, [Growth(counters(3), 5, 370)])

    assert members.counts == {Member(B, ONE): 5}
    assert not members.left_out
