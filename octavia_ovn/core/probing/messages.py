# SPDX-License-Identifier: Apache-2.0
"""The messages between the agent and the program on a chassis, over one TCP connection.

The agent greets with a random number, the chassis with another and its name. Both derive the key of
this connection from the chassis's own key and the two numbers. Each further line is JSON with an
HMAC-SHA256 of the key, the direction, the number of the line and its text: others can read it, but
not forge, repeat, reorder or leave out a line.

    octavia-ovn-probes 1 5f0c…
    octavia-ovn-probes 1 91ab… compute-17
    0c3d…7e {"kind":"results","rows":[["b8…","2f6d…","up",""]],"complete":true}

The chassis begins with the results of all probes that it has; the agent answers with what differs
from what it wants. Afterwards each tells the other what changes, and that it is there. Types and
ranges are checked here: what :meth:`Opener.open` returns is safe to use.

A reader ignores names that it does not know beside `rows`, `put` and so on, but refuses rows and
probes that have more than it knows. So weights and projects are beside them: an older end neither
asks for them nor sends them, and does not stumble over them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing import spec
from octavia_ovn.core.text import plain

VERSION = 1
"""Incremented when an older agent or chassis would misunderstand a message."""
MAX_LINE = 1 << 18
"""Bytes in a line at most."""
ROWS = 100
"""Probes or results in a message at most: far below :data:`MAX_LINE`."""
MAX_REASON = 200
"""Characters of a reason."""
MAX_WEIGHT = 1000
"""Of what an answer may say; more counts as this."""
_STATES = {each.value: each for each in HealthState if each is not HealthState.UNREACHABLE}
"""UNCHECKED: the chassis has not been able to probe a member that was UP, for a minute."""
_NONCE = "[0-9a-f]{32}"
_GREETING = re.compile(rf"octavia-ovn-probes ([0-9]{{1,3}}) ({_NONCE})\n")
_REPLY = re.compile(rf"octavia-ovn-probes ([0-9]{{1,3}}) ({_NONCE}) ([^\n]{{1,255}})\n")
_LINE = re.compile(rb"([0-9a-f]{64}) ([^\n]*)\n")
_VERSION_OF_PROBE = re.compile("[0-9a-f]{16}")
T = TypeVar("T")


class BadLine(ValueError):
    """A line that is not understood, or not signed as it should be; the connection must end."""


@dataclass(frozen=True, slots=True)
class Result:
    """The state of a probe.

    :param version: of the probe that it belongs to
    :param reason: why the last probe failed; empty after a success
    :param weight: that the last answer of a member has said; None for none, or if it is not UP
    """

    id: str
    version: str
    state: HealthState
    reason: str = ""
    weight: int | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """From the chassis: results that are new, or all of them at the beginning.

    :param complete: whether these are the last of all at the beginning
    """

    kind: ClassVar[str] = "results"
    rows: tuple[Result, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """From the agent: probes to begin or to replace, and ids of those to end.

    :param weighted: ids of those of `put` whose answers say weights
    :param projects: ids of those of `put` whose project is known → project
    """

    kind: ClassVar[str] = "plan"
    put: tuple[spec.Probe, ...] = ()
    drop: tuple[str, ...] = ()
    weighted: tuple[str, ...] = ()
    projects: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Beat:
    """From either: nothing but a sign of life."""

    kind: ClassVar[str] = "beat"


Message = Results | Plan | Beat


def in_parts(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """Yield what fits into a message each; at least one part, though it be empty."""
    found = tuple(items)
    for start in range(0, max(1, len(found)), ROWS):
        yield found[start : start + ROWS]


# --- the beginning of a connection


def greeting(nonce: str) -> bytes:
    """Return the agent's first line.

    :param nonce: 32 random hexadecimal digits, used once
    """
    return f"octavia-ovn-probes {VERSION} {nonce}\n".encode()


def reply(nonce: str, chassis: str) -> bytes:
    """Return the first line of a chassis."""
    return f"octavia-ovn-probes {VERSION} {nonce} {chassis}\n".encode()


def read_greeting(line: bytes) -> str:
    """Return the agent's nonce.

    :raises BadLine: when it is no greeting, or of another version
    """
    return _first(line, _GREETING)[0]


def read_reply(line: bytes) -> tuple[str, str]:
    """Return the nonce and the name of a chassis.

    :raises BadLine: when it is no reply, or of another version
    """
    nonce, chassis = _first(line, _REPLY)
    return nonce, chassis


def _first(line: bytes, form: re.Pattern[str]) -> Sequence[str]:
    try:
        found = form.fullmatch(line.decode())
    except UnicodeDecodeError as error:
        raise BadLine(f"the other end does not speak octavia-ovn-probes: {error}") from error
    if found is None:
        raise BadLine("the other end does not speak octavia-ovn-probes")
    version, *rest = found.groups()
    if int(version) != VERSION:
        msg = (
            f"the other end has version {int(version)} of the protocol, this host understands"
            f" {VERSION}. Install the same octavia-ovn on controllers and chassis"
        )
        raise BadLine(msg)
    return rest


def session_key(chassis_key: str, agent_nonce: str, chassis_nonce: str) -> bytes:
    """Return the key of a connection."""
    text = f"octavia-ovn-probes {agent_nonce} {chassis_nonce}"
    return hmac.new(chassis_key.encode(), text.encode(), hashlib.sha256).digest()


# --- lines


class _Numbered:
    """The end of one direction: knows the number of the next line.

    :param sender: "agent" or "chassis"
    """

    def __init__(self, key: bytes, sender: str) -> None:
        self._key = key
        self._sender = sender
        self._number = 0

    def _digest(self, text: bytes) -> bytes:
        signed = f"{self._sender} {self._number} ".encode() + text
        self._number += 1
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest().encode()


class Sealer(_Numbered):
    """Writes the lines of one direction."""

    def seal(self, message: Message) -> bytes:
        """Return the next line."""
        content = {"kind": message.kind, **_WRITERS[message.kind](message)}
        text = json.dumps(content, separators=(",", ":")).encode()
        return self._digest(text) + b" " + text + b"\n"


class Opener(_Numbered):
    """Reads the lines of one direction.

    :param kinds: what the sender may say
    """

    def __init__(self, key: bytes, sender: str, kinds: Iterable[str]) -> None:
        super().__init__(key, sender)
        self._kinds = frozenset(kinds)

    def open(self, line: bytes) -> Message:
        """Return the message in the next line.

        :raises BadLine: when it is not the next line of the sender, or nonsense
        """
        found = _LINE.fullmatch(line)
        if found is None:
            raise BadLine("a line of another protocol")
        if not hmac.compare_digest(found[1], self._digest(found[2])):
            raise BadLine("a line is not signed with the key of this chassis and connection")
        try:
            content = json.loads(found[2])
            if content["kind"] not in self._kinds:
                raise BadLine(f"a message of kind {plain(str(content['kind']))[:40]!r}")
            return _READERS[content["kind"]](content)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise BadLine(f"a signed line is not understood: {error!r}") from error


OF_CHASSIS = (Results.kind, Beat.kind)
"""What a chassis may say."""
OF_AGENT = (Plan.kind, Beat.kind)
"""What the agent may say."""


def _write_results(message: Results) -> dict[str, Any]:
    rows = [[each.id, each.version, each.state.value, each.reason] for each in message.rows]
    weights = {each.id: each.weight for each in message.rows if each.weight is not None}
    rest = {"weights": weights} if weights else {}
    return {"rows": rows, "complete": message.complete, **rest}


def _write_plan(message: Plan) -> dict[str, Any]:
    rest = {"weighted": list(message.weighted), "projects": dict(message.projects)}
    rest = {key: value for key, value in rest.items() if value}
    return {"put": [spec.write(each) for each in message.put], "drop": list(message.drop), **rest}


_WRITERS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    Results.kind: _write_results,
    Plan.kind: _write_plan,
    Beat.kind: lambda _: {},
}


def _read_results(content: Any) -> Results:
    weights = {key: _weight(value) for key, value in content.get("weights", {}).items()}
    rows = tuple(_result(*each, weights=weights) for each in _list(content["rows"]))
    return Results(rows, content["complete"] is True)


def _read_plan(content: Any) -> Plan:
    put = tuple(spec.read(each) for each in _list(content["put"]))
    drop, weighted = tuple(_list(content["drop"])), tuple(_list(content.get("weighted", [])))
    projects = dict(content.get("projects", {}))
    for each in (*drop, *weighted, *projects, *projects.values()):
        spec.check_id(each)
    return Plan(put, drop, weighted, projects)


_READERS: Mapping[str, Callable[[Any], Message]] = {
    Results.kind: _read_results,
    Plan.kind: _read_plan,
    Beat.kind: lambda _: Beat(),
}


def _result(
    probe_id: str, version: str, state: str, reason: str, *, weights: Mapping[str, int]
) -> Result:
    spec.check_id(probe_id)
    if not _VERSION_OF_PROBE.fullmatch(version):
        msg = f"{version!r} is not the version of a probe"
        raise ValueError(msg)
    weight = weights.get(probe_id)
    return Result(probe_id, version, _STATES[state], plain(reason)[:MAX_REASON], weight)


def _weight(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_WEIGHT:
        msg = f"{value!r} is not a weight"
        raise ValueError(msg)
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > ROWS:
        raise TypeError("no list of a length that is allowed")
    return value
