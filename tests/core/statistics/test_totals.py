# SPDX-License-Identifier: Apache-2.0
"""A report counts once, whoever sends it how often; open connections end with their chassis."""

import itertools

import pytest

from octavia_ovn.core.statistics import totals as module
from octavia_ovn.core.statistics.messages import (
    SPAN,
    Acknowledgement,
    Challenge,
    OpenConnections,
    Report,
)
from octavia_ovn.core.statistics.totals import FORGET, SILENCE, Batch, Totals, acknowledged
from octavia_ovn.core.statistics.traffic import Key, Traffic

A, B, C = Key("aaaaaaaa", 80), Key("bbbbbbbb", 80), Key("cccccccc", 80)


def report(number=1, connections=1, chassis="one", life="x", floor=1, session=""):
    return Report(chassis, session, life, number, floor, {A: Traffic(connections, 10)})


def levels(turn=1, chassis="one", session="", **values):
    keys = {"a": A, "b": B}
    return OpenConnections(
        chassis, session, turn, {keys[name]: number for name, number in values.items()}
    )


class Agent:
    """Totals, and collectors that name the session that they were given last."""

    def __init__(self):
        numbers = itertools.count(1)
        self.totals = Totals(lambda: f"session-{next(numbers)}")
        self.sessions = {}

    def take(self, message, now=0.0):
        """Send a message as a collector does; return the answer to what is of a session."""
        kind = type(message)
        fields = {name: getattr(message, name) for name in kind.__slots__}
        for _ in range(2):
            fields["session"] = self.sessions.get(message.chassis, "")
            answer = self.totals.take(kind(**fields), now)
            if not isinstance(answer, Challenge):
                return answer
            self.sessions[message.chassis] = answer.session
        pytest.fail("a session that was just given is not believed")

    def begin_anew(self, chassis="one"):
        """The collector is restarted: it knows of no session."""
        del self.sessions[chassis]


@pytest.fixture
def agent():
    return Agent()


def acknowledgement(number, chassis="one", life="x"):
    return Acknowledgement(chassis, life, (number,))


def test_reports_of_all_chassis_are_added(agent):
    agent.take(report(connections=3))
    agent.take(report(2, connections=4))
    agent.take(report(connections=5, chassis="two"))

    batch = agent.totals.batch(0)

    assert batch.traffic == {A: Traffic(12, 30)}
    assert set(batch.reports) == {("one", "x", 1), ("one", "x", 2), ("two", "x", 1)}


def test_nothing_to_tell(agent):
    assert not agent.totals.batch(0)


def test_a_report_that_comes_again_counts_once(agent):
    assert agent.take(report()) is None
    assert agent.take(report()) is None
    batch = agent.totals.batch(0)
    assert batch.traffic == {A: Traffic(1, 10)}

    agent.totals.reported(batch)

    assert agent.take(report()) == acknowledgement(1)
    assert not agent.totals.batch(0)


def test_traffic_during_a_report_is_in_the_next_report(agent):
    agent.take(report(1))
    batch = agent.totals.batch(0)
    agent.take(report(2, connections=7))

    agent.totals.reported(batch)

    assert agent.totals.batch(0).traffic == {A: Traffic(7, 10)}


def test_a_number_below_the_floor_is_done_with(agent):
    agent.take(report(5, floor=5))

    assert agent.take(report(4, floor=4)) == acknowledgement(4)
    assert agent.totals.batch(0).reports == (("one", "x", 5),)


def test_a_collector_that_lost_its_memory_starts_over(agent):
    agent.take(report(1))
    batch = agent.totals.batch(0)
    agent.begin_anew()
    agent.take(report(1, life="y"))

    agent.totals.reported(batch)

    assert agent.totals.batch(0).reports == (("one", "y", 1),)


def test_a_collector_that_was_restarted_counts_nothing_twice(agent):
    agent.take(report(1))
    agent.totals.reported(agent.totals.batch(0))
    agent.begin_anew()

    assert agent.take(report(1)) == acknowledgement(1)
    assert not agent.totals.batch(0)


def test_a_chassis_that_is_forgotten_is_not_missed(agent):
    agent.take(report())
    batch = agent.totals.batch(0)
    assert agent.totals.batch(FORGET + 1).traffic == {A: Traffic(1, 10)}
    assert not agent.totals.knows("one")

    agent.totals.reported(batch)

    assert not agent.totals.batch(FORGET + 1)


# --- what was recorded


def test_a_message_of_no_session_is_answered_with_one_and_not_counted(agent):
    answer = agent.totals.take(report(), 0)

    assert isinstance(answer, Challenge)
    assert answer.chassis == "one"
    assert not agent.totals.batch(0)


@pytest.mark.parametrize("message", [report(), levels(a=5)], ids=["report", "levels"])
def test_what_was_recorded_under_another_agent_does_not_count(message):
    before, after = Agent(), Totals(lambda: "another")
    before.take(message)
    fields = {name: getattr(message, name) for name in type(message).__slots__}
    recorded = type(message)(**{**fields, "session": before.sessions["one"]})

    assert after.take(recorded, 0) == Challenge("one", "another")
    assert not after.batch(0)


def test_what_was_recorded_of_an_older_life_does_not_reset_the_sender(agent):
    recorded = report(1, life="old", session="session-1")
    agent.take(report(1, life="old"))
    agent.totals.reported(agent.totals.batch(0))
    agent.begin_anew()
    agent.take(report(1, life="new"))
    agent.take(levels(1, a=7))
    agent.totals.reported(agent.totals.batch(0))

    assert isinstance(agent.totals.take(recorded, 0), Challenge)
    assert isinstance(agent.totals.take(levels(9, session="session-1", a=0), 0), Challenge)

    assert agent.take(report(1, life="new")) == acknowledgement(1, life="new")
    assert not agent.totals.batch(0)


def test_repeating_what_was_recorded_does_not_keep_a_collector_out(agent):
    agent.take(report(1))
    for _ in range(3):
        agent.totals.take(report(1, session="stale"), 0)
    agent.begin_anew()

    assert agent.take(report(2)) is None


# --- bounds


def test_what_one_chassis_has_the_agent_remember_is_bounded(agent):
    for life in range(3):
        agent.sessions.clear()
        for number in range(1, SPAN + 1):
            agent.take(report(number, life=f"{life}"))

    assert len(agent.totals.batch(0).reports) == SPAN

    agent.totals.reported(agent.totals.batch(0))
    agent.take(report(1, life="2"))
    assert agent.totals.batch(0).reports == (("one", "2", 1),)


def test_open_connections_of_one_chassis_are_bounded(agent, monkeypatch):
    monkeypatch.setattr(module, "MOST_OPEN", 2)
    for number in range(9):
        agent.take(OpenConnections("one", "", 1, {Key(f"{number:08x}", 80): 1}))

    assert len(agent.totals.batch(0).open) == 2


# --- open connections


def test_open_connections_of_all_chassis(agent):
    agent.take(levels(a=3))
    agent.take(levels(b=1))
    agent.take(levels(a=4, chassis="two"))
    batch = agent.totals.batch(0)
    assert batch.open == {A: 7, B: 1}

    agent.totals.reported(batch)
    assert not agent.totals.batch(0)

    agent.take(levels(2, a=1))
    assert agent.totals.batch(0).open == {A: 5, B: 0}


def test_an_older_count_does_not_replace_a_newer_one(agent):
    agent.take(levels(2, a=3))
    agent.take(levels(1, a=9))

    assert agent.totals.batch(0).open == {A: 3}


def test_a_restarted_collector_counts_turns_from_the_beginning(agent):
    agent.take(levels(1_700_003_600, a=500))
    agent.begin_anew()
    agent.take(levels(1, a=0))

    assert agent.totals.batch(0).open == {A: 0}


def test_open_connections_of_a_former_process_end_if_it_counts_none_any_more(agent):
    agent.take(levels(a=500))
    agent.totals.reported(agent.totals.batch(0))
    agent.begin_anew()
    for minute in range(1, 5):
        agent.take(report(minute), 60.0 * minute)
        batch = agent.totals.batch(60.0 * minute)
        agent.totals.reported(batch)
        assert batch.open == {A: 500}

    agent.take(report(9), 300.0)
    assert agent.totals.batch(300.0).open == {A: 0}


def test_zero_open_connections_are_reported_once_by_a_new_agent(agent):
    agent.take(levels(a=0))
    batch = agent.totals.batch(0)
    assert batch.open == {A: 0}

    agent.totals.reported(batch)

    assert not agent.totals.batch(0)


def test_listeners_that_no_chassis_reports_are_forgotten(agent):
    for turn, values in enumerate(({"a": 3}, {"a": 0}, {}), 1):
        agent.take(levels(turn, **values))
        agent.totals.reported(agent.totals.batch(0))

    assert not agent.totals.batch(0)
    assert agent.totals._reported_open == {}


def test_a_silent_chassis_has_no_open_connections(agent):
    agent.take(levels(a=3))
    agent.totals.reported(agent.totals.batch(0))

    batch = agent.totals.batch(SILENCE + 1)
    assert batch.open == {A: 0}

    agent.totals.reported(batch)
    assert not agent.totals.batch(SILENCE + 2)


def test_a_listener_with_traffic_is_reported_with_its_open_connections(agent):
    agent.take(levels(a=3))
    agent.totals.reported(agent.totals.batch(0))
    agent.take(report())

    assert agent.totals.batch(0) == Batch((("one", "x", 1),), {A: Traffic(1, 10)}, {A: 3})


def test_acknowledgements_by_sender():
    reports = [("one", "x", 1), ("two", "y", 1), ("one", "x", 2)]

    assert acknowledged(reports) == {("one", "x"): (1, 2), ("two", "y"): (1,)}


def test_open_connections_of_some_listeners(agent):
    agent.take(levels(a=3, b=1))
    agent.take(levels(chassis="two", a=4))

    assert agent.totals.open_of(frozenset({A}), 0.0) == {A: 7}
    assert agent.totals.open_of(frozenset({B, C}), 0.0) == {B: 1, C: 0}
    assert agent.totals.open_of(frozenset({A}), SILENCE + 1) == {A: 0}


def test_a_count_of_some_listeners_leaves_the_others(agent):
    agent.take(levels(turn=5, a=3, b=1))
    agent.take(levels(turn=5, a=9))

    assert agent.totals.open_of(frozenset({A, B}), 0.0) == {A: 9, B: 1}


def test_whether_a_chassis_counts_for_limits(agent):
    agent.take(levels(a=3), now=10.0)
    assert not agent.totals.counts_limits(10.0)

    agent.take(OpenConnections("two", "", 1, {}, limits=True), now=10.0)
    assert agent.totals.counts_limits(10.0 + SILENCE)
    assert not agent.totals.counts_limits(11.0 + SILENCE)
