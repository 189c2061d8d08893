# SPDX-License-Identifier: Apache-2.0
"""Framing and values, without a server."""

from __future__ import annotations

import json
import random
import time

import pytest

from octavia_ovn.adapters.ovsdb.wire import (
    Framer,
    RowDecoder,
    Schema,
    decode,
    failure,
    ovs_map,
    ovs_set,
    ovs_uuid,
)

MESSAGES = [
    {"id": 1, "result": [], "error": None},
    {"a": 'quote " and } and {', "b": "back\\slash", "c": '\\"', "d": "tail\\"},
    {"é": "日本語 🦉", "nested": {"{": {"}": [{}]}}},
    {},
]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_messages_come_out_of_any_pieces(ascii_only: bool) -> None:
    stream = "".join(json.dumps(message, ensure_ascii=ascii_only) for message in MESSAGES).encode()
    dice = random.Random(1)
    for longest in (1, 2, 3, 7, 50, len(stream)):
        framer = Framer()
        found: list[object] = []
        rest = stream
        while rest:
            cut = dice.randint(1, longest)
            found += framer.feed(rest[:cut])
            rest = rest[cut:]
        assert found == MESSAGES


def test_white_space_between_messages() -> None:
    assert Framer().feed(b' {"a": 1}\n\n{} \n') == [{"a": 1}, {}]


@pytest.mark.parametrize("garbage", [b"{nonsense}", b"}", b"[1]{}"])
def test_garbage(garbage: bytes) -> None:
    with pytest.raises(ValueError, match=r"malformed|object"):
        Framer().feed(garbage)


def test_time_is_linear_in_the_size() -> None:
    message = json.dumps({"schema": json.dumps([{"k": "v" * 10}] * 200_000)}).encode()
    framer, start = Framer(), time.process_time()
    found: list[object] = []
    for position in range(0, len(message), 4096):
        found += framer.feed(message[position : position + 4096])
    spent = time.process_time() - start
    assert len(found) == 1
    print(f"{len(message) / 1e6:.1f} MB in pieces of 4 kB: {spent:.3f} s")
    assert spent < 2


def test_values() -> None:
    uuid = "6804aee8-258c-4983-88fb-687786a46b0c"
    assert decode(ovs_map({"a": "b"})) == {"a": "b"}
    assert decode(ovs_set([ovs_uuid(uuid)])) == [uuid]
    assert decode(ovs_uuid(uuid)) == uuid
    assert decode(ovs_uuid(uuid), is_set=True) == [uuid]
    assert decode("a") == "a"
    assert decode("a", is_set=True) == ["a"]
    assert decode(["set", []], is_set=True) == []


def test_schema() -> None:
    columns = {
        "plain": {"type": "string"},
        "one": {"type": {"key": "string"}},
        "optional": {"type": {"key": {"type": "string", "enum": ["set", ["a", "b"]]}, "min": 0}},
        "many": {"type": {"key": {"type": "string", "enum": "x"}, "max": "unlimited"}},
        "map": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
    }
    schema = Schema({"tables": {"T": {"columns": columns}}})
    assert {name for name in columns if schema.is_set("T", name)} == {"optional", "many"}
    assert schema.enum("T", "optional") == {"a", "b"}
    assert schema.enum("T", "many") == {"x"}
    assert schema.enum("T", "plain") == schema.enum("T", "gone") == frozenset()
    assert schema.has_column("T", "map")
    assert not schema.has_column("T", "gone")
    assert not schema.has_column("Gone", "map")
    assert schema.decode_row("T", {"plain": "a", "many": "a"}) == {"plain": "a", "many": ["a"]}


def test_new_rows_are_decoded_with_equal_strings_once() -> None:
    row = {
        "map": ["map", [["key", "value"], ["key2", "value"]]],
        "set": ["set", ["value", "b"]],
        "references": ["set", [["uuid", "u"], ["uuid", "v"]]],
        "reference": ["uuid", "w"],
        "number": 1,
    }
    update = {"T": {"1": {"initial": row}, "2": {"insert": row}, "3": {"modify": row}}}
    (message,) = Framer(RowDecoder()).feed(json.dumps({"result": update}).encode())
    table = message["result"]["T"]
    decoded = {
        "map": {"key": "value", "key2": "value"},
        "set": ["value", "b"],
        "references": ["u", "v"],
        "reference": "w",
        "number": 1,
    }
    assert table == {"1": {"initial": decoded}, "2": {"insert": decoded}, "3": {"modify": row}}
    maps = [table["1"]["initial"]["map"], table["2"]["insert"]["map"]]
    assert len({id(key) for each in maps for key in each}) == 2
    assert len({id(value) for each in maps for value in each.values()}) == 1


def test_equal_sets_and_short_maps_of_a_message_are_kept_once() -> None:
    row = {
        "fields": ["set", ["ip_dst", "ip_src"]],
        "options": ["map", [["reject", "true"]]],
        "numbers": ["set", [1, 2]],
        "flags": ["set", [True, 2]],
    }
    update = {"T": {"1": {"initial": row}, "2": {"initial": row}}}
    (message,) = Framer(RowDecoder()).feed(json.dumps({"result": update}).encode())
    one, other = (each["initial"] for each in message["result"]["T"].values())
    assert one == other
    assert one["fields"] is other["fields"]
    assert one["options"] is other["options"]
    assert one["numbers"][0] == 1
    assert one["flags"][0] is True


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"result": [{}, {"rows": []}], "error": None}, None),
        ({"result": {"name": "OVN_Northbound"}, "error": None}, None),
        ({"result": [{}, None], "error": None}, None),
        ({"result": [{}, {"error": "x", "details": "y"}, None], "error": None}, ("x", "y", 1)),
        ({"result": None, "error": {"error": "unknown database"}}, ("unknown database", "", -1)),
        ({"result": None, "error": "canceled"}, ("canceled", "", -1)),
    ],
)
def test_what_a_reply_says_of_failure(reply: dict[str, object], expected: object) -> None:
    assert failure(reply) == expected
