"""What the agent that acts knows of all chassis: what Octavia has, and what it has not heard yet.

An agent begins with nothing. What a listener has carried before is what Octavia shows; what it has
not been told comes again from the collectors, because nobody has acknowledged it.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from octavia_ovn.core.statistics.messages import (
    SPAN,
    Acknowledgement,
    Challenge,
    OpenConnections,
    Report,
)
from octavia_ovn.core.statistics.traffic import Key, Traffic, add

SILENCE = 180.0
"""Seconds without a word after which the open connections of a chassis do not count any more."""
FORGET = 86400.0
"""Seconds without a word after which nothing of a chassis is remembered."""
MOST_OPEN = 1 << 16
"""Listeners with open connections that are remembered of a chassis at most."""

ReportId = tuple[str, str, int]
"""Chassis, incarnation, number."""


@dataclass(slots=True)
class _Chassis:
    """What is known of a chassis.

    :param heard: when its last message was believed, in seconds of a monotonic clock
    :param offered: the session that it is to name next
    :param session: the session that it has named; None before it has
    :param began: when it has named it first
    :param known: numbers of its reports from `floor` on; `told`: those that Octavia has
    """

    heard: float
    offered: str
    session: str | None = None
    began: float = 0.0
    incarnation: str = ""
    floor: int = 0
    known: set[int] = field(default_factory=set)
    told: set[int] = field(default_factory=set)
    turn: int = 0
    open: dict[Key, int] = field(default_factory=dict)

    def shows_open(self, now: float) -> bool:
        """Whether its open connections still count: those of the session before only for a time."""
        since = self.heard if self.turn else min(self.heard, self.began)
        return now - since <= SILENCE

    def begins(self, incarnation: str) -> None:
        """Forget the reports of another memory of the collector."""
        if incarnation != self.incarnation:
            self.incarnation, self.floor = incarnation, 0
            self.known, self.told = set(), set()


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
    """Sums over all chassis; times are seconds of a monotonic clock.

    :param new_session: returns a name that nobody can guess and that never comes again
    """

    def __init__(self, new_session: Callable[[], str]) -> None:
        self._new_session = new_session
        self._chassis: dict[str, _Chassis] = {}
        self._reports: dict[ReportId, Mapping[Key, Traffic]] = {}
        self._waiting: collections.Counter[str] = collections.Counter()
        """How many of those are of a chassis."""
        self._told_open: dict[Key, int] = {}

    def take(
        self, message: Report | OpenConnections, now: float
    ) -> Acknowledgement | Challenge | None:
        """Take a message; return the answer that can be given at once.

        A message of another session than the one that its chassis was given last is not believed:
        a collector that has just started sends it, an agent that has just taken over gets it, or
        somebody repeats what he has recorded.
        """
        chassis = self._chassis.setdefault(message.chassis, _Chassis(now, self._new_session()))
        if message.session == chassis.offered:
            # From now on nothing of the session before counts any more.
            chassis.session, chassis.offered = chassis.offered, self._new_session()
            chassis.began, chassis.turn = now, 0
        if message.session != chassis.session:
            return Challenge(message.chassis, chassis.offered)
        chassis.heard = now
        if isinstance(message, Report):
            return self._report(chassis, message)
        _count_open(chassis, message)
        return None

    def _report(self, chassis: _Chassis, message: Report) -> Acknowledgement | None:
        chassis.begins(message.incarnation)
        chassis.floor = max(chassis.floor, message.floor)
        chassis.known = {number for number in chassis.known if number >= chassis.floor}
        chassis.told &= chassis.known
        if message.number in chassis.told or message.number < chassis.floor:
            return Acknowledgement(message.chassis, message.incarnation, (message.number,))
        if message.number not in chassis.known and self._waiting[message.chassis] < SPAN:
            chassis.known.add(message.number)
            self._reports[_id(message)] = message.traffic
            self._waiting[message.chassis] += 1
        return None

    def knows(self, chassis: str) -> bool:
        """Whether something of a chassis is remembered."""
        return chassis in self._chassis

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
            if chassis.shows_open(now):
                for key, number in chassis.open.items():
                    sums[key] = sums.get(key, 0) + number
        return sums

    def told(self, batch: Batch) -> None:
        """Take note that Octavia has what is in a batch."""
        for identity in batch.reports:
            name, incarnation, number = identity
            del self._reports[identity]
            self._waiting -= collections.Counter([name])
            chassis = self._chassis.get(name)
            if chassis is not None and chassis.incarnation == incarnation:
                chassis.told.add(number)
        self._told_open.update(batch.open)


def _count_open(chassis: _Chassis, message: OpenConnections) -> None:
    if message.turn > chassis.turn:
        chassis.turn, chassis.open = message.turn, {}
    if message.turn == chassis.turn and len(chassis.open) < MOST_OPEN:
        chassis.open.update(message.open)


def _id(message: Report) -> ReportId:
    return message.chassis, message.incarnation, message.number


def acknowledged(reports: Iterable[ReportId]) -> dict[tuple[str, str], tuple[int, ...]]:
    """Return the numbers of reports by sender: chassis and incarnation."""
    numbers: dict[tuple[str, str], list[int]] = {}
    for chassis, incarnation, number in reports:
        numbers.setdefault((chassis, incarnation), []).append(number)
    return {sender: tuple(each) for sender, each in numbers.items()}
