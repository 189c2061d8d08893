# SPDX-License-Identifier: Apache-2.0
"""What packets show beside what a trace says."""

import dataclasses

import pytest

from octavia_ovn.core.diagnosis.findings import Severity
from octavia_ovn.core.diagnosis.live import Attempt, Live, Outcome, with_members
from octavia_ovn.core.model import Protocol
from tests.core.builders import balancer, listener, member, pool
from tests.core.diagnosis.snapshots import (
    ACLS,
    GUARDED,
    LB,
    NEAR,
    RESTRICTED,
    no_groups,
    snapshot,
    trace,
    unbound,
    with_ports,
)

ANSWERED = Attempt(Outcome.ANSWERED, seconds=0.001)
SLOW = Attempt(Outcome.ANSWERED, seconds=0.0034)
REFUSED = Attempt(Outcome.FAILED, "connection refused", member="10.0.0.1:80")
LOST = Attempt(Outcome.FAILED, "no answer in 3 s")
SILENT = Attempt(Outcome.SILENT, "no answer in 3 s")
UNTRIED = Attempt(Outcome.NOT_TRIED, "SCTP is not tried")

RIGHT = trace(snapshot())
WRONG = trace(with_ports(snapshot(), *unbound("one", "two")))
WARNING = trace(with_ports(snapshot(), *unbound("one")))
UNCLEAR = trace(
    with_ports(snapshot(), dataclasses.replace(snapshot().ports[NEAR], chassis=None)), NEAR
)


def test_the_traces_that_follow_are_what_they_are_called():
    severities = [each.severity for each in (RIGHT, WARNING, UNCLEAR, WRONG)]
    assert severities == [Severity.OK, Severity.WARNING, Severity.UNCLEAR, Severity.FAULT]


@pytest.mark.parametrize(
    ("explanation", "attempts", "agrees", "severity"),
    [
        (RIGHT, [ANSWERED, SLOW], True, Severity.OK),
        (RIGHT, [ANSWERED, REFUSED], False, Severity.FAULT),
        (RIGHT, [LOST], False, Severity.FAULT),
        (RIGHT, [SILENT], None, Severity.UNCLEAR),
        (RIGHT, [SILENT, ANSWERED], False, Severity.FAULT),
        (RIGHT, [UNTRIED], None, Severity.UNCLEAR),
        (RIGHT, [UNTRIED, ANSWERED], False, Severity.FAULT),
        (WARNING, [ANSWERED], True, Severity.OK),
        (WARNING, [ANSWERED, LOST], True, Severity.FAULT),
        (WARNING, [LOST], False, Severity.FAULT),
        (WRONG, [LOST], True, Severity.FAULT),
        (WRONG, [SILENT], True, Severity.FAULT),
        (WRONG, [UNTRIED], None, Severity.UNCLEAR),
        (WRONG, [ANSWERED], False, Severity.FAULT),
        (WRONG, [ANSWERED, LOST], False, Severity.FAULT),
        (UNCLEAR, [ANSWERED], None, Severity.OK),
        (UNCLEAR, [LOST], None, Severity.FAULT),
    ],
)
def test_whether_both_agree(explanation, attempts, agrees, severity):
    live = Live(explanation, tuple(attempts))

    assert (live.agrees, live.severity) == (agrees, severity)


FORBIDDEN = trace(with_ports(snapshot(acls=(*ACLS, RESTRICTED)), *GUARDED))
MEMBERS_CLOSED = trace(with_ports(snapshot(), *no_groups("one", "two")))
ONE_CLOSED = trace(with_ports(snapshot(), *no_groups("one")))
SWITCHED_OFF = trace(snapshot(dataclasses.replace(LB, enabled=False)))
CLIENT_UNBOUND = trace(with_ports(snapshot(), *unbound(NEAR)))


@pytest.mark.parametrize(
    ("explanation", "attempts", "availability"),
    [
        (RIGHT, [ANSWERED, SLOW], 1.0),
        (RIGHT, [ANSWERED, LOST], 0.5),
        (RIGHT, [REFUSED, LOST], 0.0),
        (RIGHT, [UNTRIED], None),
        (RIGHT, [UNTRIED, ANSWERED], 1.0),
        (RIGHT, [], None),
        (WRONG, [LOST], 0.0),
        (WARNING, [ANSWERED, LOST], 0.5),
        (MEMBERS_CLOSED, [ANSWERED], 1.0),
        (MEMBERS_CLOSED, [LOST], None),
        (ONE_CLOSED, [ANSWERED, LOST], None),
        (SWITCHED_OFF, [REFUSED], None),
        (CLIENT_UNBOUND, [LOST], None),
        (FORBIDDEN, [LOST], None),
        (FORBIDDEN, [ANSWERED], 1.0),
    ],
)
def test_how_much_of_a_data_path_is_available(explanation, attempts, availability):
    live = Live(explanation, tuple(attempts))

    assert live.availability == availability
    if availability is None and attempts[:1] not in ([], [UNTRIED]):
        assert live.excuse


def test_without_a_listener_nothing_is_tried():
    explanation = trace(snapshot(balancer([], LB.pools)))
    live = Live(explanation, ())

    assert live.severity is explanation.severity is Severity.FAULT
    assert live.sentence == "There is no listener to try."


SENTENCES = [
    (
        RIGHT,
        [SLOW, ANSWERED],
        "2 of 2 connections accepted in 1.0 to 3.4 ms, as the trace says.",
    ),
    (
        RIGHT,
        [ANSWERED, REFUSED, REFUSED],
        (
            "1 of 3 connections accepted in 1.0 ms; 2 of 3 connections: connection refused"
            " (10.0.0.1:80), although the trace says that packets get through."
        ),
    ),
    (WRONG, [LOST], "1 of 1 connections: no answer in 3 s, as the trace says."),
    (
        WRONG,
        [ANSWERED],
        (
            "1 of 1 connections accepted in 1.0 ms, although the trace says that packets do not get"
            " through."
        ),
    ),
    (
        UNCLEAR,
        [ANSWERED],
        "1 of 1 connections accepted in 1.0 ms, which the trace could not tell.",
    ),
    (RIGHT, [UNTRIED], "1 of 1 connections: SCTP is not tried."),
]


@pytest.mark.parametrize(("explanation", "attempts", "sentence"), SENTENCES)
def test_the_sentence(explanation, attempts, sentence):
    assert Live(explanation, tuple(attempts)).sentence == sentence


def test_datagrams_and_other_protocols():
    lb = balancer(
        [listener(protocol=Protocol.UDP)],
        [pool(protocol=Protocol.UDP, members=[member(1), member(2)])],
    )
    explanation = trace(snapshot(lb))
    live = Live(explanation, (ANSWERED,))
    assert live.sentence.startswith("1 of 1 datagrams answered in 1.0 ms")


ENTRIES = """\
tcp,orig=(src=10.0.0.7,dst=10.0.0.100,sport=41000,dport=80),reply=(src=10.0.0.1,dst=10.0.0.7,\
sport=8080,dport=41000),zone=5,mark=2,protoinfo=(state=ESTABLISHED)
tcp,orig=(src=10.0.0.7,dst=10.0.0.1,sport=41000,dport=8080),reply=(src=10.0.0.1,dst=10.0.0.7,\
sport=8080,dport=41000),zone=7,protoinfo=(state=ESTABLISHED)
tcp,orig=(src=10.0.0.7,dst=10.0.0.100,sport=41001,dport=80),reply=(src=10.0.0.100,dst=10.0.0.7,\
sport=80,dport=41001),zone=5,protoinfo=(state=SYN_SENT)
tcp,orig=(src=10.0.0.8,dst=10.0.0.100,sport=41002,dport=80),reply=(src=10.0.0.1,dst=10.0.0.8,\
sport=80,dport=41002),zone=5,protoinfo=(state=ESTABLISHED)
icmp,orig=(src=10.0.0.8,dst=10.0.0.100,id=1,type=8,code=0),reply=(src=10.0.0.100,dst=10.0.0.8)
""".splitlines()


def test_the_members_that_have_answered():
    """Those that OVN has put in the VIP's place; entries of others say nothing."""
    attempts = [dataclasses.replace(ANSWERED, source_port=41000 + each) for each in range(3)]
    live = with_members(Live(RIGHT, tuple(attempts)), ENTRIES)

    assert [each.member for each in live.attempts] == ["10.0.0.1:8080", "", ""]
    assert "accepted in 1.0 ms by 10.0.0.1:8080 (1), as the trace says." in live.sentence
