# SPDX-License-Identifier: Apache-2.0
"""Records of connections, from lines of `dpctl/dump-conntrack -m -s` of both datapaths."""

import json

import pytest

from octavia_ovn.core.statistics import flow_records
from octavia_ovn.core.statistics.conntrack import Destination
from octavia_ovn.core.statistics.flow_records import (
    Connections,
    Counters,
    End,
    Identity,
    Moment,
    Recorded,
    candidates,
    owned,
)
from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.traffic import Key
from tests.core.statistics.switch import packed

VIP, MEMBER = "10.0.1.100", "10.0.1.11:80"
KEY = Key("aaaaaaaa", 80)
LB = Recorded("lb", "p1")
PLACE = Destination("tcp", packed(VIP), 80)
USERSPACE = (
    "tcp,orig=(src=10.0.1.13,dst=10.0.1.100,sport=5000,dport=80),"
    "reply=(src=10.0.1.11,dst=10.0.1.13,sport=80,dport=5000),id=0,zone=8,status=0,timeout=27,"
    "mark=2,protoinfo=(state_orig=FIN_WAIT_2,state_reply=FIN_WAIT_2,wscale_orig=10,wscale_reply=10,"
    "flags_orig=WINDOW_SCALE,flags_reply=WINDOW_SCALE)"
)
KERNEL = (
    "tcp,orig=(src=10.0.1.13,dst=10.0.1.100,sport=5000,dport=80,packets=5,bytes=271),"
    "reply=(src=10.0.1.11,dst=10.0.1.13,sport=80,dport=5000,packets=4,bytes=278),"
    "start=2026-11-29T13:29:27.027,id=3846237328,zone=8,status=SEEN_REPLY|ASSURED|CONFIRMED,"
    "timeout=115,mark=2,protoinfo=(state_orig=TIME_WAIT,state_reply=TIME_WAIT,wscale_orig=7,"
    "wscale_reply=7,flags_orig=WINDOW_SCALE|CLOSE_INIT,flags_reply=WINDOW_SCALE)"
)
ENDED = flow_records.read(KERNEL)
OPEN = ENDED._replace(closed=False, timeout=300, counters=Counters(3, 164, 2, 104))


def logical(hint="aaaaaaaa", meaning=Meaning.CONNECTIONS, backends=(MEMBER,), port=80):
    return LogicalFlow(meaning, hint, packed(VIP), "tcp", port, False, backends)


def test_a_line_of_the_kernel():
    assert (
        Identity(8, PLACE, "10.0.1.13", 5000),
        VIP,
        MEMBER,
        3846237328,
        115,
        True,
        Counters(5, 271, 4, 278),
    ) == ENDED


def test_a_line_of_userspace():
    expected = ENDED._replace(number=0, timeout=27, counters=None)

    assert flow_records.read(USERSPACE) == expected


@pytest.mark.parametrize(
    ("states", "closed"),
    [
        ("state_orig=ESTABLISHED,state_reply=ESTABLISHED", False),
        ("state_orig=FIN_WAIT_2,state_reply=ESTABLISHED", False),
        ("state_orig=SYN_SENT,state_reply=CLOSED", False),
        ("state_orig=CLOSING,state_reply=ESTABLISHED", False),
        ("state_orig=TIME_WAIT,state_reply=TIME_WAIT", True),
        ("state_orig=CLOSING,state_reply=CLOSING", True),
        ("state=CLOSED", True),
        ("wscale_orig=7", False),
    ],
)
def test_whether_it_is_closed(states, closed):
    line = USERSPACE.replace("state_orig=FIN_WAIT_2,state_reply=FIN_WAIT_2", states)

    assert flow_records.read(line).closed is closed


def test_a_connection_without_an_answer():
    line = KERNEL.replace(",packets=4,bytes=278", "")

    assert flow_records.read(line).counters == (5, 271, 0, 0)


@pytest.mark.parametrize(
    "line",
    [
        USERSPACE.replace("mark=2", "mark=1"),
        USERSPACE.replace("mark=2,", ""),
        USERSPACE.replace("mark=2", "mark=x"),
        USERSPACE.replace("dst=10.0.1.100", "dst=nowhere"),
        USERSPACE.replace("reply", "answer"),
        "icmp,orig=(src=10.0.1.1,dst=10.0.1.2,id=1,type=8,code=0),reply=(),mark=2",
        "",
    ],
    ids=["other mark", "no mark", "broken mark", "no address", "no reply", "ping", "nothing"],
)
def test_other_lines(line):
    assert flow_records.read(line) is None


def test_flows_that_lead_to_the_places_of_recorded_load_balancers():
    catalog = {
        1: logical(),
        2: logical("bbbbbbbb"),
        3: logical(port=81),
        4: logical("bbbbbbbb", port=82),
        5: logical(meaning=Meaning.BYTES),
        6: logical(backends=()),
    }

    assert set(candidates(catalog, {"aaaaaaaa"})) == {1, 2, 3}
    assert candidates(catalog, ()) == {}


def test_owners():
    recorded = {"aaaaaaaa": LB}

    assert owned([logical(), logical()], recorded) == {PLACE: (KEY, LB)}
    assert owned([logical(), logical("bbbbbbbb")], recorded) == {}
    assert owned([logical("bbbbbbbb")], recorded) == {}


class Reader:
    """Readings, 5 s apart."""

    def __init__(self, most=10):
        self.connections = Connections(most)
        self.owners = {PLACE: (KEY, LB)}
        self.serving = {(KEY, MEMBER)}
        self.now = 1000.0

    def see(self, *entries):
        """Return what has ended: start, end, how, counters."""
        self.now += 5
        moment = Moment(self.now, self.now, self.now + 0.5)
        ended = self.connections.advance(entries, ["aaaaaaaa"], self.owners, self.serving, moment)
        return [(each.start, each.end, each.how, each.counters) for each in ended]


@pytest.fixture
def reader():
    made = Reader()
    made.see()
    return made


def test_a_connection_is_written_once_when_it_is_closed(reader):
    assert reader.see(OPEN) == []
    assert reader.see(ENDED) == [(1010.0, 1015.0, End.CLOSED, ENDED.counters)]
    assert reader.see(ENDED) == []
    assert reader.see() == []
    assert len(reader.connections) == 0


def test_one_that_was_never_seen_open(reader):
    assert reader.see(ENDED) == [(1010.0, 1010.0, End.CLOSED, ENDED.counters)]


def test_one_that_was_open_at_the_first_reading():
    reader = Reader()
    assert reader.see(OPEN) == []
    assert OPEN.identity in reader.connections
    assert reader.see(ENDED) == [(None, 1010.0, End.CLOSED, ENDED.counters)]


def test_one_that_had_ended_before_the_first_reading():
    reader = Reader()

    assert reader.see(ENDED) == []
    assert reader.see(ENDED) == []
    assert reader.see() == []


def test_one_that_is_forgotten_after_its_last_packet(reader):
    idle = OPEN._replace(timeout=4)
    reader.see(idle)

    assert reader.see() == [(1010.0, 1015.0, End.EXPIRED, OPEN.counters)]


@pytest.mark.parametrize(("timeout", "serves"), [(5, True), (4, False)], ids=["early", "gone"])
def test_one_that_is_removed_may_have_had_more(reader, timeout, serves):
    reader.see(OPEN._replace(timeout=timeout))
    if not serves:
        reader.serving = set()

    assert reader.see() == [(1010.0, 1015.0, End.REMOVED, None)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"number": 7}),
        ({}, {"counters": Counters(1, 60, 1, 60)}),
        ({}, {"counters": None}),
        ({"counters": None}, {}),
    ],
    ids=["another number", "fewer bytes", "no bytes", "bytes"],
)
def test_one_that_is_replaced_may_have_had_more(reader, before, after):
    reader.see(OPEN._replace(**before))
    entry = OPEN._replace(**after)

    assert reader.see(entry) == [(1010.0, 1015.0, End.REPLACED, None)]
    (ended,) = reader.see(entry._replace(closed=True))
    assert ended == (1015.0, 1020.0, End.CLOSED, entry.counters)


def test_one_that_is_replaced_after_its_end(reader):
    entry = OPEN._replace(counters=None, number=0)
    reader.see(entry._replace(closed=True))

    assert reader.see(entry) == []
    assert reader.see(entry._replace(closed=True)) == [(1015.0, 1020.0, End.CLOSED, None)]


def test_one_without_counters_continues(reader):
    entry = OPEN._replace(counters=None)

    assert [reader.see(entry), reader.see(entry)] == [[], []]


def test_one_of_which_the_owner_is_not_known(reader):
    reader.owners = {}

    assert reader.see(OPEN) == []
    assert len(reader.connections) == 0


def test_one_that_has_its_owner_keeps_it(reader):
    reader.see(OPEN)
    reader.owners = {}

    assert reader.see(ENDED) == [(1010.0, 1015.0, End.CLOSED, ENDED.counters)]


def test_more_than_may_be_followed():
    reader = Reader(most=1)
    reader.see()
    other = OPEN._replace(identity=OPEN.identity._replace(client_port=1))

    assert reader.see(OPEN, other) == []
    assert reader.connections.left_out == 1
    assert len(reader.see(ENDED, other)) == 1


@pytest.mark.parametrize(
    ("entry", "lb", "expected"),
    [
        (
            ENDED,
            LB,
            {
                "project": "p1",
                "packets_in": 5,
                "bytes_in": 271,
                "packets_out": 4,
                "bytes_out": 278,
            },
        ),
        (
            ENDED._replace(counters=None),
            Recorded("lb", ""),
            {
                "project": None,
                "packets_in": None,
                "bytes_in": None,
                "packets_out": None,
                "bytes_out": None,
            },
        ),
    ],
    ids=["with bytes", "without"],
)
def test_a_line_of_a_record(entry, lb, expected):
    reader = Reader()
    reader.owners = {PLACE: (KEY, lb)}
    reader.see(entry._replace(closed=False))
    (record,) = reader.connections.advance(
        [entry], ["aaaaaaaa"], reader.owners, (), Moment(1782738000.25, 1010.0, 1010.5)
    )

    line = record.line("one")

    assert line.endswith("}\n")
    assert json.loads(line) == {
        "load_balancer": "lb",
        "protocol": "tcp",
        "vip": VIP,
        "port": 80,
        "member": MEMBER,
        "client": "10.0.1.13",
        "client_port": 5000,
        "start": None,
        "end": "2026-06-29T13:00:00.250Z",
        "how": "closed",
        "chassis": "one",
        **expected,
    }
