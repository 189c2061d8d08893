# SPDX-License-Identifier: Apache-2.0
"""The protocol between OVSDB clients and servers (RFC 7047): messages, values, the schema.

Nothing here does I/O. Values follow one rule in both directions: a map is a dict, a set (and an
optional value) is a list, a UUID is a str. The IDL of the `ovs` library has the same rule.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PLAIN = json.JSONDecoder()
_encoder = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_BRACES = b"{}"
_NOT_BRACES = bytes(set(range(256)) - set(_BRACES))
_PAIR = 2  # a tagged value is [tag, content]


class NewRow(dict[str, Any]):
    """The columns of a new row of a monitor's message, as `decode` returns them."""


class RowDecoder(json.JSONDecoder):
    """Makes a :class:`NewRow` of each new row as soon as its text ends.

    The first message of a large database is as large as all rows, and a tree of lists would be five
    times larger. Equal strings, sets of strings and maps of one key are kept once in a message.
    """

    def __init__(self) -> None:
        super().__init__(object_hook=self._object)
        self._known: dict[Any, Any] = {}

    def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
        """Decode one message, see the base class."""
        self._known = {}
        return super().raw_decode(s, idx)

    def _object(self, content: dict[str, Any]) -> dict[str, Any]:
        for kind in ("initial", "insert"):
            row = content.get(kind)
            if isinstance(row, dict):
                content[kind] = NewRow({column: self._value(row[column]) for column in row})
        return content

    def _value(self, wire: Any) -> Any:
        share = self._known.setdefault
        if isinstance(wire, str):
            return share(wire, wire)
        value = decode(wire)
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return share(tuple(value), value)
        if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
            value = {share(key, key): share(each, each) for key, each in value.items()}
            return share(tuple(value.items()), value) if len(value) == 1 else value
        return value


def encode_message(message: Mapping[str, object]) -> bytes:
    """Serialise one JSON-RPC message."""
    return _encoder.encode(message).encode()


class Framer:
    """Cuts a stream of JSON objects, which nothing separates, into values in linear time.

    Trying to parse at every piece that arrives is quadratic in the size of a reply. Here each piece
    is read once, by a few C-speed passes that count the braces outside strings, and parsing
    happens only when an object is complete.

    :param decoder: makes values of text
    """

    def __init__(self, decoder: json.JSONDecoder = PLAIN) -> None:
        self._decoder = decoder
        self._restart()

    def _restart(self) -> None:
        self._pieces: list[bytes] = []
        self._depth = 0
        self._in_string = False
        self._escape = b""  # a backslash at the end of the last piece

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Process the next bytes of the stream; return the objects that they complete.

        :raises ValueError: the stream is not a sequence of JSON objects
        """
        self._pieces.append(data)
        if not self._completes(data):
            return []
        # An incomplete character at the end survives decoding and encoding as surrogates.
        text = b"".join(self._pieces).decode("utf-8", "surrogateescape")
        self._restart()
        values, end = _decode_objects(self._decoder, text)
        if not values:
            raise ValueError(f"malformed JSON: {text[:80]!r}")
        if end < len(text):
            rest = text[end:].encode("utf-8", "surrogateescape")
            self._pieces.append(rest)
            self._completes(rest)
        return values

    def _completes(self, data: bytes) -> bool:
        """Whether an object ends in these bytes; keep count otherwise."""
        data = self._escape + data
        backslashes = len(data) - len(data.rstrip(b"\\"))
        self._escape = b"\\" if backslashes % 2 else b""
        if self._escape:
            data = data[:-1]
        parts = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[1 if self._in_string else 0 :: 2])
        self._in_string ^= len(parts) % 2 == 0
        closing = outside.count(b"}")
        if self._depth > closing:
            self._depth += outside.count(b"{") - closing
            return False
        for brace in outside.translate(None, _NOT_BRACES):
            self._depth += 1 if brace == _BRACES[0] else -1
            if self._depth <= 0:
                return True
        return False


def _decode_objects(decoder: json.JSONDecoder, text: str) -> tuple[list[dict[str, Any]], int]:
    """Parse the complete objects at the beginning; return them and where the rest begins."""
    values: list[dict[str, Any]] = []
    end = 0
    while end < len(text):
        if text[end].isspace():
            end += 1
            continue
        try:
            value, end = decoder.raw_decode(text, end)
        except json.JSONDecodeError:
            break
        if not isinstance(value, dict):
            raise ValueError(f"a JSON-RPC message is an object, not {text[:80]!r}")  # noqa: TRY004
        values.append(value)
    return values, end


def ovs_map(value: Mapping[Any, Any]) -> list[object]:
    """Return the wire form of a map."""
    return ["map", [[key, content] for key, content in value.items()]]


def ovs_set(value: Iterable[object]) -> list[object]:
    """Return the wire form of a set; its items are already in wire form."""
    return ["set", list(value)]


def ovs_uuid(value: object) -> list[object]:
    """Return the wire form of the UUID of an existing row, given as str or `uuid.UUID`."""
    return ["uuid", str(value)]


def decode(value: Any, *, is_set: bool = False) -> Any:
    """Return the Python value of a wire value.

    The wire form of a set with one item is that item alone; only the schema distinguishes
    them, hence `is_set`.
    """
    if isinstance(value, list) and len(value) == _PAIR:
        tag, content = value
        if tag == "map":
            return {decode(key): decode(item) for key, item in content}
        if tag == "set":
            return [decode(item) for item in content]
        value = content
    return [value] if is_set else value


class Failure(NamedTuple):
    """Why a server has refused a request; `operation` is the index of the failed one."""

    error: str
    details: str
    operation: int
    """-1 when no operation failed."""


def failure(reply: Mapping[str, Any]) -> Failure | None:
    """Return what went wrong according to a reply, None if nothing did."""
    results = [reply["error"]] if reply.get("error") else reply["result"]
    first = -1 if reply.get("error") else 0
    if not isinstance(results, list):
        return None  # the answer to a method other than "transact"
    for index, result in enumerate(results, first):
        if isinstance(result, str):
            return Failure(result, "", index)
        if result and result.get("error"):
            return Failure(result["error"], result.get("details", ""), index)
    return None


def library_failure(error: str) -> Failure:
    """Return what the `ovs` library says of a failed transaction: the server's answer as JSON."""
    try:
        answer = json.loads(error)
        return Failure(answer.get("error", "error"), answer.get("details", ""), -1)
    except ValueError:
        return Failure("error", error, -1)


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a server's database: the answer to `get_schema`."""

    json: Mapping[str, Any] = field(repr=False)

    def tables(self) -> frozenset[str]:
        """Return the names of all tables."""
        return frozenset(self.json["tables"])

    def has_table(self, table: str) -> bool:
        """Whether the server knows this table."""
        return table in self.json["tables"]

    def has_column(self, table: str, column: str) -> bool:
        """Whether the server knows this column of this table."""
        return self.has_table(table) and column in self.json["tables"][table]["columns"]

    def enum(self, table: str, column: str) -> frozenset[str]:
        """Return the values that a column of strings is limited to; empty when it is not."""
        if not self.has_column(table, column):
            return frozenset()
        key = self._type(table, column).get("key", {})
        values = key.get("enum", []) if isinstance(key, dict) else []
        return frozenset(decode(values, is_set=True) if values else [])

    def is_set(self, table: str, column: str) -> bool:
        """Whether the Python value of this column is a list."""
        if not self.has_column(table, column):
            return False
        type_ = self._type(table, column)
        return "value" not in type_ and (type_.get("min", 1), type_.get("max", 1)) != (1, 1)

    def _type(self, table: str, column: str) -> Mapping[str, Any]:
        """Return a column's type in its long form; a short one is the name of an atomic type."""
        type_ = self.json["tables"][table]["columns"][column]["type"]
        return type_ if isinstance(type_, dict) else {"key": type_}

    def decode_row(self, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row of a `select` with Python values."""
        return {
            column: decode(value, is_set=self.is_set(table, column))
            for column, value in row.items()
        }
