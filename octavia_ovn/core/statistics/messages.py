# SPDX-License-Identifier: Apache-2.0
"""The datagrams between collectors and agents.

A datagram is a line with the protocol's name, its version and the chassis's name, then a body in
JSON, then an HMAC-SHA256 of both under the key of that chassis, in both directions:

    octavia-ovn-stats 1 compute-17
    {"kind":"report","session":"5f0c…","incarnation":"1c5b…","number":7,"floor":5,"rows":[…]}…

Others can read it, but not forge it. No clock is involved: an agent gives each collector a random
session, and accepts only messages of that session. So a recording from before an agent became
active, or before a collector was restarted, is invalid afterwards, whichever time the clocks show.

Types and ranges are checked here only: results of :func:`decode` are safe to add up.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from octavia_ovn.core.statistics.traffic import Key, Traffic

VERSION = 1
"""Incremented when an older agent or collector would misunderstand a message."""
ROWS = 24
"""Listeners in a datagram: with numbers of usual size it has below 1,200 bytes."""
SPAN = 256
"""Numbers from the lowest report that may come again to the highest, at most."""
MAX_COUNT = (1 << 63) - 1
"""The largest number that Octavia's database can hold."""
_MAX_PORT = (1 << 16) - 1
_DIGEST = hashlib.sha256().digest_size
_HEADER = re.compile(rb"octavia-ovn-stats ([0-9]{1,3}) ([^\n]{1,255})\n")
_HINT = re.compile("[0-9a-f]{8}")
_TOKEN = re.compile("[0-9A-Za-z-]{1,64}")


class Reason(str, enum.Enum):
    """Reasons to reject a datagram."""

    VERSION = "version"
    """Another version of the protocol."""
    SIGNATURE = "signature"
    """Not signed with the key of the chassis that it names."""
    MALFORMED = "malformed"
    """Not a datagram of this protocol, or a field of the wrong type or out of range."""


class BadMessage(ValueError):
    """A datagram that is rejected; the message says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Report:
    """Traffic on a chassis.

    :param session: given by the agent; empty before one has answered
    :param incarnation: of the collector's memory; numbers restart with it
    :param floor: no lower number will be sent again
    """

    kind: ClassVar[str] = "report"
    chassis: str
    session: str
    incarnation: str
    number: int
    floor: int
    traffic: Mapping[Key, Traffic]


@dataclass(frozen=True, slots=True)
class OpenConnections:
    """Connections that are open now on a chassis; not sent again, the next replaces it.

    :param session: given by the agent; empty before one has answered
    :param turn: grows with each time that all connections are counted in the life of a collector's
        process; equal in all parts of one count, and in what is counted of some listeners after it
    :param limits: whether the collector counts those of listeners with a limit often
    """

    kind: ClassVar[str] = "levels"
    chassis: str
    session: str
    turn: int
    open: Mapping[Key, int]
    limits: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Octavia has these reports."""

    kind: ClassVar[str] = "acknowledgement"
    chassis: str
    incarnation: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Challenge:
    """The answer to a message of no session, or of another one: name this one from now on."""

    kind: ClassVar[str] = "challenge"
    chassis: str
    session: str


Message = Report | OpenConnections | Acknowledgement | Challenge


def encode(message: Message, key: str) -> bytes:
    """Return a signed datagram.

    :param key: of the chassis that the message names
    """
    content = {"kind": message.kind, **_content(message)}
    header = f"octavia-ovn-stats {VERSION} {message.chassis}\n"
    signed = (header + json.dumps(content, separators=(",", ":"))).encode()
    return signed + _digest(signed, key)


def decode(datagram: bytes, key_of: Callable[[str], str]) -> Message:
    """Return the message in a datagram.

    :param datagram: any bytes
    :param key_of: returns the key of a chassis by its name
    :raises BadMessage: when it is forged, of another version, or nonsense
    """
    header = _HEADER.match(datagram)
    if header is None:
        raise BadMessage(Reason.MALFORMED, "it is no datagram of octavia-ovn-stats")
    if int(header[1]) != VERSION:
        msg = (
            f"it has version {int(header[1])} of the protocol, this host understands {VERSION}."
            " Install the same octavia-ovn on controllers and chassis"
        )
        raise BadMessage(Reason.VERSION, msg)
    try:
        chassis = header[2].decode()
    except UnicodeDecodeError as error:
        raise BadMessage(Reason.MALFORMED, f"its chassis has no name: {error}") from error
    signed, digest = datagram[:-_DIGEST], datagram[-_DIGEST:]
    if not hmac.compare_digest(digest, _digest(signed, key_of(chassis))):
        raise BadMessage(Reason.SIGNATURE, f"it is not signed with the key of chassis {chassis!r}")
    try:
        content = json.loads(signed[header.end() :])
        return _READERS[content["kind"]](chassis, content)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        msg = f"chassis {chassis!r} has signed what is not understood: {error!r}"
        raise BadMessage(Reason.MALFORMED, msg) from error


def in_parts(levels: Mapping[Key, int]) -> Iterator[Mapping[Key, int]]:
    """Yield what fits into a datagram each; at least one part, though it be empty."""
    items = list(levels.items())
    for start in range(0, max(1, len(items)), ROWS):
        yield dict(items[start : start + ROWS])


def _content(message: Message) -> dict[str, object]:
    """Return the fields of a message for JSON, without its chassis, which the header names."""
    content = {each.name: getattr(message, each.name) for each in fields(message)[1:]}
    if isinstance(message, Report):
        counts = content.pop("traffic").items()
        content["rows"] = [[*key, each.connections, each.bytes_in] for key, each in counts]
    elif isinstance(message, OpenConnections):
        content["rows"] = [[*key, number] for key, number in content.pop("open").items()]
    return content


def _read_report(chassis: str, content: Any) -> Report:
    number = _integer(content["number"], 1)
    return Report(
        chassis,
        _session(content["session"]),
        _text(content["incarnation"], _TOKEN),
        number,
        _integer(content["floor"], max(1, number - SPAN + 1), number),
        {key: Traffic(*(_integer(each) for each in counts)) for key, counts in _rows(content, 2)},
    )


def _read_levels(chassis: str, content: Any) -> OpenConnections:
    current = {key: _integer(counts[0]) for key, counts in _rows(content, 1)}
    return OpenConnections(
        chassis,
        _session(content["session"]),
        _integer(content["turn"], 1),
        current,
        content.get("limits") is True,  # older collectors do not say it
    )


def _read_acknowledgement(chassis: str, content: Any) -> Acknowledgement:
    numbers = tuple(_integer(each, 1) for each in _list(content["numbers"]))
    return Acknowledgement(chassis, _text(content["incarnation"], _TOKEN), numbers)


def _read_challenge(chassis: str, content: Any) -> Challenge:
    return Challenge(chassis, _text(content["session"], _TOKEN))


_READERS: Mapping[str, Callable[[str, Any], Message]] = {
    Report.kind: _read_report,
    OpenConnections.kind: _read_levels,
    Acknowledgement.kind: _read_acknowledgement,
    Challenge.kind: _read_challenge,
}


def _rows(content: Any, counts: int) -> Iterator[tuple[Key, list[Any]]]:
    """Yield key and numbers of each row."""
    rows = _list(content["rows"])
    if len(rows) > ROWS:
        raise ValueError(f"{len(rows)} rows")
    for row in rows:
        hint, port, *numbers = _list(row)
        if len(numbers) != counts:
            raise ValueError(f"a row of {len(row)}")
        yield Key(_text(hint, _HINT), _integer(port, 1, _MAX_PORT)), numbers


def _integer(value: object, least: int = 0, most: int = MAX_COUNT) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{str(value)[:40]!r} is no number from {least} to {most}")
    return value


def _text(value: object, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise ValueError(f"{str(value)[:40]!r} is not {form.pattern}")
    return value


def _session(value: object) -> str:
    return "" if value == "" else _text(value, _TOKEN)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("no list where there should be one")
    return value


def _digest(signed: bytes, key: str) -> bytes:
    return hmac.new(key.encode(), signed, hashlib.sha256).digest()
