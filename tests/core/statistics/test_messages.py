import json

import pytest

from octavia_ovn.core.statistics import messages
from octavia_ovn.core.statistics.messages import (
    ROWS,
    Acknowledgement,
    BadMessage,
    Levels,
    Report,
    decode,
    encode,
    in_parts,
)
from octavia_ovn.core.statistics.traffic import Key, Traffic

A = Key("aaaaaaaa", 80)
REPORT = Report("chassis-1", "life", 7, 5, {A: Traffic(3, 300)})
NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    "message",
    [REPORT, Levels("chassis-1", "life", 9, {A: 4}), Acknowledgement("chassis-1", "life", (1, 2))],
)
def test_there_and_back(message):
    assert decode(encode(message, "secret", NOW), "secret", NOW + 1) == message


def test_a_full_datagram_is_not_fragmented():
    key = Key("ffffffff", 65535)
    rows = {key._replace(port=65535 - each): Traffic(10**7, 10**11) for each in range(ROWS)}
    report = Report("h" * 63, "12345678-1234-1234-1234-123456789012", 10**6, 10**6, rows)

    assert len(encode(report, "secret", NOW)) < 1400


@pytest.mark.parametrize(
    "datagram",
    [
        encode(REPORT, "another", NOW),
        encode(REPORT, "secret", NOW).replace(b"300", b"999"),
        encode(REPORT, "secret", NOW - 2 * messages.MAX_SKEW),
        encode(REPORT, "secret", NOW + 2 * messages.MAX_SKEW),
        b"",
    ],
    ids=["key", "changed", "old", "early", "empty"],
)
def test_what_is_not_believed(datagram):
    with pytest.raises(BadMessage):
        decode(datagram, "secret", NOW)


@pytest.mark.parametrize("content", [[], {}, {"at": NOW}, {"at": NOW, "from": "c", "life": "l"}])
def test_what_is_signed_but_nonsense(content):
    body = json.dumps(content).encode()

    with pytest.raises(BadMessage, match="not understood"):
        decode(body + messages._digest(body, "secret"), "secret", NOW)


def test_levels_in_parts():
    many = {Key(f"{number:08x}", 80): number for number in range(ROWS + 3)}

    assert [len(each) for each in in_parts(many)] == [ROWS, 3]
    assert list(in_parts({})) == [{}]
