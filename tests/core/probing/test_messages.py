# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing import messages
from octavia_ovn.core.probing.messages import (
    MAX_LINE,
    MAX_REASON,
    MAX_WEIGHT,
    OF_AGENT,
    OF_CHASSIS,
    ROWS,
    BadLine,
    Beat,
    Message,
    Opener,
    Plan,
    Result,
    Results,
    Sealer,
)
from tests.core.probing.examples import probe
from tests.core.probing.test_spec import probes

NONCE, OTHER = "0" * 32, "1" * 32
KEY = messages.session_key("chassis key", NONCE, OTHER)

results = st.builds(
    Result,
    id=st.from_regex("[0-9a-z][0-9a-z-]{0,36}", fullmatch=True),
    version=st.from_regex("[0-9a-f]{16}", fullmatch=True),
    state=st.sampled_from(sorted(set(HealthState) - {HealthState.UNREACHABLE})),
    reason=st.text(st.characters(categories=["L", "N"]), max_size=MAX_REASON),
    weight=st.none() | st.integers(0, MAX_WEIGHT),
)
said = st.one_of(
    st.just(Beat()),
    st.builds(
        Plan,
        st.lists(probes, max_size=3).map(tuple),
        st.just(("gone",)),
        st.sampled_from([(), ("weighted",)]),
        st.sampled_from([{}, {"member-1": "project-1", "member-2": "project-1"}]),
    ),
    st.builds(
        Results,
        st.lists(results, max_size=3, unique_by=lambda each: each.id).map(tuple),
        st.booleans(),
    ),
)


def opener(key: bytes = KEY, sender: str = "agent") -> Opener:
    return Opener(key, sender, OF_AGENT + OF_CHASSIS)


@given(st.lists(said, max_size=4))
def test_what_is_said_is_understood(conversation: list[Message]) -> None:
    sealer, end = Sealer(KEY, "agent"), opener()
    lines = [sealer.seal(each) for each in conversation]
    assert [end.open(each) for each in lines] == conversation


def test_the_largest_messages_fit_into_a_line() -> None:
    longest = probe(
        id="m" * 64,
        url_path="/" + '"' * 254,
        domain_name="d" * 255,
        expected_codes="200" + ",201" * 15,
        http_version="1.1",
    )
    ids = [f"{number:03}".ljust(64, "m") for number in range(ROWS)]
    reason = "\U0001f4a9" * MAX_REASON
    worst = (Result(each, "0" * 16, HealthState.DOWN, reason, MAX_WEIGHT) for each in ids)
    plan = Plan((longest,) * ROWS, (), tuple(ids), dict.fromkeys(ids, "p" * 64))
    for message in (plan, Results(tuple(worst))):
        assert len(Sealer(KEY, "agent").seal(message)) < MAX_LINE


def test_parts() -> None:
    assert [len(each) for each in messages.in_parts(range(2 * ROWS + 1))] == [ROWS, ROWS, 1]
    assert list(messages.in_parts([])) == [()]


def test_a_line_counts_once_in_its_place_from_its_sender_in_its_connection() -> None:
    sealer = Sealer(KEY, "agent")
    first, second = sealer.seal(Beat()), sealer.seal(Beat())
    other_key = messages.session_key("chassis key", NONCE, NONCE)
    end = opener()
    assert end.open(first) == Beat()
    attempts = [
        (opener(), second),  # the first was left out
        (end, first),  # repeated
        (opener(sender="chassis"), first),  # reflected
        (opener(key=other_key), first),  # from another connection
        (opener(), first.replace(b"beat", b"plan")),
        (opener(), first.rstrip()),
        (opener(), b"nonsense\n"),
    ]
    for each, line in attempts:
        with pytest.raises(BadLine):
            each.open(line)


def test_neither_end_says_what_the_other_may_say() -> None:
    plan = Sealer(KEY, "chassis").seal(Plan())
    with pytest.raises(BadLine, match="kind 'plan'"):
        Opener(KEY, "chassis", OF_CHASSIS).open(plan)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"kind": "results"},
        {"kind": "results", "rows": [["m", "0" * 16, "up"]], "complete": True},
        {"kind": "results", "rows": [["m", "0" * 15, "up", ""]], "complete": True},
        {"kind": "results", "rows": [["m", "0" * 16, "unreachable", ""]], "complete": True},
        {"kind": "results", "rows": [["a b", "0" * 16, "up", ""]], "complete": True},
        {"kind": "results", "rows": [["m", "0" * 16, "up", 7]], "complete": True},
        {"kind": "results", "rows": [["m", "0" * 16, "up", ""]] * (ROWS + 1), "complete": True},
        {"kind": "results", "rows": {}, "complete": True},
        {"kind": "plan", "put": [[]], "drop": []},
        {"kind": "plan", "put": [], "drop": ["a b"]},
        {"kind": "plan", "put": [], "drop": [7]},
        {"kind": "plan", "put": [], "drop": [], "weighted": ["a b"]},
        {"kind": "plan", "put": [], "drop": [], "weighted": ["m"] * (ROWS + 1)},
        {"kind": "plan", "put": [], "drop": [], "projects": [7]},
        {"kind": "plan", "put": [], "drop": [], "projects": {"a b": "p"}},
        {"kind": "plan", "put": [], "drop": [], "projects": {"m": "a b"}},
        {"kind": "plan", "put": [], "drop": [], "projects": {"m": 7}},
        {"kind": "plan", "put": [], "drop": [], "projects": {"m": "p" * 65}},
        {"kind": "results", "rows": [], "complete": True, "weights": []},
        {"kind": "results", "rows": [], "complete": True, "weights": {"m": -1}},
        {"kind": "results", "rows": [], "complete": True, "weights": {"m": 1001}},
        {"kind": "results", "rows": [], "complete": True, "weights": {"m": "1"}},
        {"kind": "results", "rows": [], "complete": True, "weights": {"m": True}},
    ],
)
def test_signed_nonsense(content: object) -> None:
    text = json.dumps(content).encode()
    line = Sealer(KEY, "agent")._digest(text) + b" " + text + b"\n"
    with pytest.raises(BadLine):
        opener().open(line)


def test_reasons_cannot_control_a_terminal() -> None:
    line = Sealer(KEY, "agent").seal(
        Results((Result("m", "0" * 16, HealthState.DOWN, "\x1b[31m" + "x" * 500),))
    )
    (row,) = opener().open(line).rows
    assert row.reason.isprintable()
    assert len(row.reason) == MAX_REASON


def test_the_beginning() -> None:
    assert messages.read_greeting(messages.greeting(NONCE)) == NONCE
    assert messages.read_reply(messages.reply(OTHER, "compute 17")) == (OTHER, "compute 17")
    with pytest.raises(BadLine, match="version 2 of the protocol"):
        messages.read_greeting(messages.greeting(NONCE).replace(b" 1 ", b" 2 "))
    for line in (
        b"SSH-2.0\n",
        b"\xff\n",
        messages.greeting("short"),
        messages.greeting(NONCE)[:-1],
    ):
        with pytest.raises(BadLine, match="does not speak"):
            messages.read_greeting(line)
    with pytest.raises(BadLine, match="does not speak"):
        messages.read_reply(messages.reply(OTHER, ""))


def test_an_id_without_end_is_refused() -> None:
    """One chassis could fill the memory of the agent with what it says that it has."""
    row = Result("a" * 65, "0123456789abcdef", HealthState.UP)
    with pytest.raises(BadLine, match="65 characters"):
        opener().open(Sealer(KEY, "agent").seal(Results((row,))))


def test_ends_that_know_nothing_of_weights_are_not_disturbed() -> None:
    """What they read has no more than they know; what they say is understood."""
    row = Result("m", "0" * 16, HealthState.UP, "", 7)
    said: list[tuple[Results | Plan, str]]
    said = [(Results((row,)), "rows"), (Plan((probe(),), weighted=("m",)), "put")]
    for message, key in said:
        content = json.loads(Sealer(KEY, "agent").seal(message).partition(b" ")[2])
        plain = json.loads(Sealer(KEY, "agent").seal(without_weights(message)).partition(b" ")[2])
        assert content[key] == plain[key]
        assert len(content.keys() - plain.keys()) == 1
        assert set(plain) in ({"kind", "rows", "complete"}, {"kind", "put", "drop"})


def without_weights(message: Results | Plan) -> Message:
    if isinstance(message, Plan):
        return Plan(message.put, message.drop)
    rows = tuple(Result(each.id, each.version, each.state, each.reason) for each in message.rows)
    return Results(rows, message.complete)
