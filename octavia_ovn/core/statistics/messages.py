"""The datagrams between collectors and agents.

Each is JSON and an HMAC-SHA256 of it under a shared key, like the heartbeats that amphorae send to
Octavia's health manager: readable by others, but not to be forged. Its time bounds how long a
recorded one can be sent again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from octavia_ovn.core.statistics.traffic import Key, Traffic

ROWS = 24
"""Listeners in a datagram: with numbers of usual size it has below 1,200 bytes."""
MAX_SKEW = 60.0
"""Seconds by which the clocks of two hosts may differ, with the time that a datagram travels."""
_DIGEST = hashlib.sha256().digest_size


class BadMessage(ValueError):
    """A datagram that is not to be believed; the message says why."""


@dataclass(frozen=True, slots=True)
class Report:
    """Traffic on a chassis.

    :param incarnation: of the collector's memory; numbers begin anew with it
    :param floor: no lower number will be sent again
    """

    chassis: str
    incarnation: str
    number: int
    floor: int
    traffic: Mapping[Key, Traffic]


@dataclass(frozen=True, slots=True)
class Levels:
    """Connections that are open now on a chassis; not sent again, the next replaces it.

    :param turn: counts the times that connections were counted; equal in all parts of one
    """

    chassis: str
    incarnation: str
    turn: int
    open: Mapping[Key, int]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Octavia has these reports."""

    chassis: str
    incarnation: str
    numbers: tuple[int, ...]


Message = Report | Levels | Acknowledgement


def encode(message: Message, key: str, now: float) -> bytes:
    """Return a signed datagram.

    :param key: the shared secret
    :param now: seconds since 1970
    """
    content = {"from": message.chassis, "life": message.incarnation, "at": round(now, 3)}
    if isinstance(message, Report):
        rows = [[*each, *_numbers(traffic)] for each, traffic in message.traffic.items()]
        content |= {"report": message.number, "floor": message.floor, "rows": rows}
    elif isinstance(message, Levels):
        rows = [[*each, number] for each, number in message.open.items()]
        content |= {"levels": message.turn, "rows": rows}
    else:
        content |= {"acknowledged": message.numbers}
    body = json.dumps(content, separators=(",", ":")).encode()
    return body + _digest(body, key)


def decode(datagram: bytes, key: str, now: float) -> Message:
    """Return what a datagram says.

    :param key: the shared secret
    :param now: seconds since 1970
    :raises BadMessage: when it is forged, old or nonsense
    """
    body, digest = datagram[:-_DIGEST], datagram[-_DIGEST:]
    if not hmac.compare_digest(digest, _digest(body, key)):
        raise BadMessage("it is not signed with the key of this host")
    try:
        content = json.loads(body)
        if abs(content["at"] - now) > MAX_SKEW:
            raise BadMessage(f"{content['from']} and this host differ in time by over {MAX_SKEW} s")
        return _message(content)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise BadMessage(f"it is signed, but not understood: {error}") from error


def _message(content: Mapping[str, Any]) -> Message:
    sender = (content["from"], content["life"])
    if "report" in content:
        traffic = {Key(*row[:2]): Traffic(*row[2:]) for row in content["rows"]}
        return Report(*sender, content["report"], content["floor"], traffic)
    if "levels" in content:
        levels = {Key(*row[:2]): row[2] for row in content["rows"]}
        return Levels(*sender, content["levels"], levels)
    return Acknowledgement(*sender, tuple(content["acknowledged"]))


def in_parts(levels: Mapping[Key, int]) -> Iterator[Mapping[Key, int]]:
    """Yield what fits into a datagram each; at least one part, though it be empty."""
    items = list(levels.items())
    for start in range(0, max(1, len(items)), ROWS):
        yield dict(items[start : start + ROWS])


def _numbers(traffic: Traffic) -> tuple[int, int]:
    return traffic.connections, traffic.bytes_in


def _digest(body: bytes, key: str) -> bytes:
    return hmac.new(key.encode(), body, hashlib.sha256).digest()
