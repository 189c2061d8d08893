"""What the agent that acts knows of all chassis: what Octavia has, and what it has not heard yet.

An agent begins with nothing. What a listener has carried before is what Octavia shows; what it has
not been told comes again from the collectors, because nobody has acknowledged it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from octavia_ovn.core.statistics.messages import Levels, Report
from octavia_ovn.core.statistics.traffic import Key, Traffic, add

SILENCE = 180.0
"""Seconds without a word after which the open connections of a chassis do not count any more."""
FORGET = 86400.0
"""Seconds without a word after which nothing of a chassis is remembered."""

ReportId = tuple[str, str, int]
"""Chassis, incarnation, number."""


@dataclass(slots=True)
class _Chassis:
    incarnation: str
    heard: float
    floor: int = 0
    known: set[int] = field(default_factory=set)
    told: set[int] = field(default_factory=set)
    turn: int = 0
    open: dict[Key, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be told to Octavia next.

    :param reports: those that are in it
    :param traffic: since what Octavia has
    :param open: the connections that are open now, of listeners in `traffic` and of those where
        the number has changed
    """

    reports: tuple[ReportId, ...]
    traffic: Mapping[Key, Traffic]
    open: Mapping[Key, int]

    def __bool__(self) -> bool:
        return bool(self.reports or self.open)


class Totals:
    """Sums over all chassis; times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._chassis: dict[str, _Chassis] = {}
        self._reports: dict[ReportId, Mapping[Key, Traffic]] = {}
        self._told_open: dict[Key, int] = {}

    def report(self, message: Report, now: float) -> bool:
        """Take a report; return whether Octavia has it already."""
        chassis = self._sender(message, now)
        chassis.floor = max(chassis.floor, message.floor)
        chassis.known = {number for number in chassis.known if number >= chassis.floor}
        chassis.told &= chassis.known
        if message.number in chassis.told or message.number < chassis.floor:
            return True
        if message.number not in chassis.known:
            chassis.known.add(message.number)
            self._reports[_id(message)] = message.traffic
        return False

    def levels(self, message: Levels, now: float) -> None:
        """Take the number of open connections."""
        chassis = self._sender(message, now)
        if message.turn > chassis.turn:
            chassis.turn, chassis.open = message.turn, {}
        if message.turn == chassis.turn:
            chassis.open.update(message.open)

    def _sender(self, message: Report | Levels, now: float) -> _Chassis:
        chassis = self._chassis.get(message.chassis)
        if chassis is None or chassis.incarnation != message.incarnation:
            chassis = self._chassis[message.chassis] = _Chassis(message.incarnation, now)
        chassis.heard = now
        return chassis

    def batch(self, now: float) -> Batch:
        """Return what Octavia has not been told."""
        for name in [name for name, each in self._chassis.items() if now - each.heard > FORGET]:
            del self._chassis[name]
        traffic: dict[Key, Traffic] = {}
        for rows in self._reports.values():
            add(traffic, rows)
        level = self._open(now)
        changed = {key for key, number in level.items() if number != self._told_open.get(key)}
        # What is neither open nor reported any more may belong to a listener that is gone.
        self._told_open = {
            key: number for key, number in self._told_open.items() if number or key in level
        }
        changed |= {key for key, number in self._told_open.items() if number and key not in level}
        keys = sorted({*traffic, *changed})
        return Batch(tuple(self._reports), traffic, {key: level.get(key, 0) for key in keys})

    def _open(self, now: float) -> dict[Key, int]:
        sums: dict[Key, int] = {}
        for chassis in self._chassis.values():
            if now - chassis.heard <= SILENCE:
                for key, number in chassis.open.items():
                    sums[key] = sums.get(key, 0) + number
        return sums

    def told(self, batch: Batch) -> None:
        """Take note that Octavia has what is in a batch."""
        for identity in batch.reports:
            self._reports.pop(identity, None)
            name, incarnation, number = identity
            chassis = self._chassis.get(name)
            if chassis is not None and chassis.incarnation == incarnation:
                chassis.told.add(number)
        self._told_open.update(batch.open)


def _id(message: Report) -> ReportId:
    return message.chassis, message.incarnation, message.number


def acknowledged(reports: Iterable[ReportId]) -> dict[tuple[str, str], tuple[int, ...]]:
    """Return the numbers of reports by sender: chassis and incarnation."""
    numbers: dict[tuple[str, str], list[int]] = {}
    for chassis, incarnation, number in reports:
        numbers.setdefault((chassis, incarnation), []).append(number)
    return {sender: tuple(each) for sender, each in numbers.items()}
