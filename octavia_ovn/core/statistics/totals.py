# SPDX-License-Identifier: Apache-2.0
"""Sums over all chassis, kept by the active agent: reported to Octavia or not yet.

A new active agent starts empty. Earlier traffic is in Octavia already; collectors send unreported
traffic again, because it was not acknowledged.
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
"""Seconds without a message after which the open connections of a chassis do not count any more."""
FORGET = 86400.0
"""Seconds without a message after which a chassis is forgotten."""
MOST_OPEN = 1 << 16
"""Listeners with open connections that are remembered of a chassis at most."""

ReportId = tuple[str, str, int]
"""Chassis, incarnation, number."""


@dataclass(slots=True)
class _Chassis:
    """The state of a chassis.

    :param last_seen: when its last valid message arrived, in seconds of a monotonic clock
    :param offered: the session that it is to name next
    :param session: the session that it has named; None before it has
    :param began: when it has named it first
    :param limits: whether it counts the connections of listeners with a limit often
    :param known: numbers of its reports from `floor` on; `reported`: those that Octavia has
    """

    last_seen: float
    offered: str
    session: str | None = None
    began: float = 0.0
    incarnation: str = ""
    floor: int = 0
    known: set[int] = field(default_factory=set)
    reported: set[int] = field(default_factory=set)
    turn: int = 0
    open: dict[Key, int] = field(default_factory=dict)
    limits: bool = False

    def shows_open(self, now: float) -> bool:
        """Whether its open connections still count; those of the previous session expire."""
        since = self.last_seen if self.turn else min(self.last_seen, self.began)
        return now - since <= SILENCE

    def begins(self, incarnation: str) -> None:
        """Forget the reports of another memory of the collector."""
        if incarnation != self.incarnation:
            self.incarnation, self.floor = incarnation, 0
            self.known, self.reported = set(), set()


@dataclass(frozen=True, slots=True)
class Batch:
    """The next report to Octavia.

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

    :param new_session: returns an unguessable name that is never used again
    """

    def __init__(self, new_session: Callable[[], str]) -> None:
        self._new_session = new_session
        self._chassis: dict[str, _Chassis] = {}
        self._reports: dict[ReportId, Mapping[Key, Traffic]] = {}
        self._waiting: collections.Counter[str] = collections.Counter()
        """Number of those reports by chassis."""
        self._reported_open: dict[Key, int] = {}

    def take(
        self, message: Report | OpenConnections, now: float
    ) -> Acknowledgement | Challenge | None:
        """Process a message; return the immediate answer, if any.

        A message of another session than the current one of its chassis is answered by a challenge:
        the collector has just started, this agent has just become active, or the message is a
        replay.
        """
        chassis = self._chassis.setdefault(message.chassis, _Chassis(now, self._new_session()))
        if message.session == chassis.offered:
            # From now on nothing of the session before counts any more.
            chassis.session, chassis.offered = chassis.offered, self._new_session()
            chassis.began, chassis.turn = now, 0
        if message.session != chassis.session:
            return Challenge(message.chassis, chassis.offered)
        chassis.last_seen = now
        if isinstance(message, Report):
            return self._report(chassis, message)
        _count_open(chassis, message)
        return None

    def _report(self, chassis: _Chassis, message: Report) -> Acknowledgement | None:
        chassis.begins(message.incarnation)
        chassis.floor = max(chassis.floor, message.floor)
        chassis.known = {number for number in chassis.known if number >= chassis.floor}
        chassis.reported &= chassis.known
        if message.number in chassis.reported or message.number < chassis.floor:
            return Acknowledgement(message.chassis, message.incarnation, (message.number,))
        if message.number not in chassis.known and self._waiting[message.chassis] < SPAN:
            chassis.known.add(message.number)
            self._reports[_id(message)] = message.traffic
            self._waiting[message.chassis] += 1
        return None

    def knows(self, chassis: str) -> bool:
        """Whether a chassis is known."""
        return chassis in self._chassis

    def batch(self, now: float) -> Batch:
        """Return the traffic that is not reported yet."""
        for name in [name for name, each in self._chassis.items() if now - each.last_seen > FORGET]:
            del self._chassis[name]
        traffic: dict[Key, Traffic] = {}
        for rows in self._reports.values():
            add(traffic, rows)
        level = self._open(now)
        changed = {key for key, number in level.items() if number != self._reported_open.get(key)}
        # What is neither open nor reported any more may belong to a listener that is gone.
        self._reported_open = {
            key: number for key, number in self._reported_open.items() if number or key in level
        }
        changed |= {
            key for key, number in self._reported_open.items() if number and key not in level
        }
        keys = sorted({*traffic, *changed})
        return Batch(tuple(self._reports), traffic, {key: level.get(key, 0) for key in keys})

    def _open(self, now: float) -> dict[Key, int]:
        sums: dict[Key, int] = {}
        for chassis in self._chassis.values():
            if chassis.shows_open(now):
                for key, number in chassis.open.items():
                    sums[key] = sums.get(key, 0) + number
        return sums

    def open_of(self, keys: frozenset[Key], now: float) -> dict[Key, int]:
        """Return the connections that are open now of some listeners, 0 included."""
        sums = dict.fromkeys(keys, 0)
        for chassis in self._chassis.values():
            if chassis.shows_open(now):
                for key in chassis.open.keys() & keys:
                    sums[key] += chassis.open[key]
        return sums

    def counts_limits(self, now: float) -> bool:
        """Whether any chassis counts the connections of listeners with a limit often."""
        return any(
            each.limits and now - each.last_seen <= SILENCE for each in self._chassis.values()
        )

    def reported(self, batch: Batch) -> None:
        """Record that a batch is reported to Octavia."""
        for identity in batch.reports:
            name, incarnation, number = identity
            del self._reports[identity]
            self._waiting -= collections.Counter([name])
            chassis = self._chassis.get(name)
            if chassis is not None and chassis.incarnation == incarnation:
                chassis.reported.add(number)
        self._reported_open.update(batch.open)


def _count_open(chassis: _Chassis, message: OpenConnections) -> None:
    chassis.limits = message.limits
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
