# SPDX-License-Identifier: Apache-2.0

import functools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.core.statistics import messages
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.core.statistics.messages import (
    MAX_COUNT,
    ROWS,
    SPAN,
    VERSION,
    Acknowledgement,
    BadMessage,
    Challenge,
    OpenConnections,
    Reason,
    Report,
    decode,
    encode,
    in_parts,
)
from octavia_ovn.core.statistics.traffic import Key, Traffic

A = Key("aaaaaaaa", 80)
REPORT = Report("chassis-1", "5e55", "life", 7, 5, {A: Traffic(3, 300)})
KEY_OF = functools.partial(chassis_key, "0123456789abcdef" * 2)
KEY = KEY_OF("chassis-1")

counts = st.integers(0, MAX_COUNT)
words = st.text("0123456789abcdef-", min_size=1, max_size=36)
keys = st.builds(Key, st.from_regex("[0-9a-f]{8}", fullmatch=True), st.integers(1, 65535))
names = st.text(st.characters(exclude_characters="\n", codec="utf-8"), min_size=1, max_size=60)
reports = st.builds(
    lambda chassis, session, life, floor, more, rows: Report(
        chassis, session, life, floor + more, floor, rows
    ),
    names,
    st.just("") | words,
    words,
    st.integers(1, MAX_COUNT - SPAN),
    st.integers(0, SPAN - 1),
    st.dictionaries(keys, st.builds(Traffic, counts, counts), max_size=ROWS),
)
levels = st.builds(
    OpenConnections,
    names,
    words,
    st.integers(1, MAX_COUNT),
    st.dictionaries(keys, counts, max_size=ROWS),
    st.booleans(),
)
acknowledgements = st.builds(
    Acknowledgement, names, words, st.lists(st.integers(1, MAX_COUNT)).map(tuple)
)
challenges = st.builds(Challenge, names, words)


def signed(content, chassis="chassis-1", version=VERSION):
    """A datagram with any content, and a signature that is right."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    data = f"octavia-ovn-stats {version} {chassis}\n".encode() + body
    return data + messages._digest(data, KEY_OF(chassis))


def reason(datagram):
    with pytest.raises(BadMessage) as caught:
        decode(datagram, KEY_OF)
    return caught.value.reason


@given(reports | levels | acknowledgements | challenges)
def test_there_and_back(message):
    assert decode(encode(message, KEY_OF(message.chassis)), KEY_OF) == message


def test_a_full_datagram_is_not_fragmented():
    key = Key("ffffffff", 65535)
    rows = {key._replace(port=65535 - each): Traffic(10**7, 10**11) for each in range(ROWS)}
    life = "12345678-1234-1234-1234-123456789012"
    report = Report("h" * 63, "f" * 32, life, 10**6, 10**6, rows)

    assert len(encode(report, KEY)) < 1400


@given(st.binary())
def test_any_bytes_are_refused_and_break_nothing(datagram):
    reason(datagram)


@given(st.binary())
def test_any_bytes_that_a_chassis_signs_are_refused_and_break_nothing(body):
    assert reason(signed(body)) is Reason.MALFORMED


@given(st.integers(0, 400), st.integers(1, 255))
def test_a_datagram_with_any_byte_changed_is_refused(place, change):
    datagram = bytearray(encode(REPORT, KEY))
    datagram[place % len(datagram)] ^= change

    reason(bytes(datagram))


ODD = [
    -1, -(2**70), 2**63, 2**70, 1.0, 1.5, float("nan"), float("inf"), "1", "", None, True, [], {},
    [[]], {"a": 1},
]  # fmt: skip
GOOD = {
    "report": {
        "kind": "report",
        "session": "s",
        "incarnation": "i",
        "number": 7,
        "floor": 5,
        "rows": [["aaaaaaaa", 80, 3, 300]],
    },
    "levels": {"kind": "levels", "session": "s", "turn": 1, "rows": [["aaaaaaaa", 80, 3]]},
    "acknowledgement": {"kind": "acknowledgement", "incarnation": "i", "numbers": [1]},
    "challenge": {"kind": "challenge", "session": "s"},
}
LISTS = {"rows", "numbers"}
NAMES = {"incarnation", "session"}  # that may consist of digits, and the latter of nothing
ODD_FIELDS = [
    (kind, field, odd)
    for kind, content in GOOD.items()
    for field in content
    for odd in ODD
    if not (field in NAMES and isinstance(odd, str)) and not (field in LISTS and odd == [])
]
ODD_COLUMNS = [
    (kind, column, odd)
    for kind in ("report", "levels")
    for column in range(len(GOOD[kind]["rows"][0]))
    for odd in ODD
]


@pytest.mark.parametrize("kind", GOOD)
def test_what_is_good_is_read(kind):
    assert decode(signed(GOOD[kind]), KEY_OF).kind == kind


@pytest.mark.parametrize(("kind", "field", "odd"), ODD_FIELDS, ids=repr)
def test_a_field_of_the_wrong_type_or_range_is_refused(kind, field, odd):
    assert reason(signed({**GOOD[kind], field: odd})) is Reason.MALFORMED


@pytest.mark.parametrize(("kind", "column", "odd"), ODD_COLUMNS, ids=repr)
def test_a_number_in_a_row_of_the_wrong_type_or_range_is_refused(kind, column, odd):
    (row,) = GOOD[kind]["rows"]
    rows = [[*row[:column], odd, *row[column + 1 :]]]

    assert reason(signed({**GOOD[kind], "rows": rows})) is Reason.MALFORMED


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        b"",
        b"[" * 60000,
        b"9" * 60000,
        {"kind": "order"},
        {"kind": ["report"]},
        {**GOOD["report"], "rows": None},
        {**GOOD["report"], "rows": [["aaaaaaaa", 80, 3]]},
        {**GOOD["report"], "rows": [["aaaaaaaa", 80, 3, 300, 1]]},
        {**GOOD["report"], "rows": [["aaaaaaaa", 80, 3, 300]] * (ROWS + 1)},
        {**GOOD["report"], "rows": [["AAAAAAAA", 80, 3, 300]]},
        {**GOOD["report"], "rows": [["aaaaaaaa", 0, 3, 300]]},
        {**GOOD["report"], "rows": [["aaaaaaaa", 65536, 3, 300]]},
        {**GOOD["report"], "number": 4},
        {**GOOD["report"], "number": 5 + SPAN},
        {**GOOD["report"], "session": 5},
        {**GOOD["acknowledgement"], "numbers": "12"},
        {**GOOD["acknowledgement"], "numbers": [-1]},
        {**GOOD["challenge"], "session": ""},
        {**GOOD["challenge"], "session": "\x1b[2J"},
        {"kind": "challenge"},
    ],
    ids=lambda content: repr(content)[:40],
)
def test_what_is_signed_but_nonsense_is_refused(content):
    assert reason(signed(content)) is Reason.MALFORMED


def test_a_key_signs_for_its_own_chassis_only():
    forged = encode(REPORT, KEY_OF("chassis-2"))

    assert reason(forged) is Reason.SIGNATURE


def test_the_name_of_the_chassis_is_signed():
    datagram = encode(REPORT, KEY).replace(b"chassis-1", b"chassis-2")

    assert reason(datagram) is Reason.SIGNATURE


@pytest.mark.parametrize("version", [0, 2, 999])
def test_another_version_is_recognised_with_any_content(version):
    assert reason(signed(b"\xff\x00", version=version)) is Reason.VERSION
    assert reason(f"octavia-ovn-stats {version} c\n".encode()) is Reason.VERSION


def test_a_name_that_is_no_text():
    assert reason(b"octavia-ovn-stats 1 \xff\n{}" + bytes(32)) is Reason.MALFORMED


def test_levels_in_parts():
    many = {Key(f"{number:08x}", 80): number for number in range(ROWS + 3)}

    assert [len(each) for each in in_parts(many)] == [ROWS, 3]
    assert list(in_parts({})) == [{}]


def test_an_older_collector_does_not_count_for_limits():
    assert decode(signed(GOOD["levels"]), KEY_OF).limits is False
    assert decode(signed({**GOOD["levels"], "limits": True}), KEY_OF).limits is True
