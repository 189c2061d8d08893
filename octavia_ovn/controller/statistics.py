# SPDX-License-Identifier: Apache-2.0
"""Adds up what the chassis report and reports it to Octavia, while this agent is the leader.

It keeps no more than the sums of listeners with traffic. A report is acknowledged only when Octavia
has it, so one that this agent has taken with it when it died comes again to the next one.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from octavia_ovn.controller.leader_thread import LeaderServer
from octavia_ovn.controller.listener_counters import Accounts
from octavia_ovn.core.statistics.limited import Counts
from octavia_ovn.core.statistics.messages import (
    Acknowledgement,
    Challenge,
    Message,
    OpenConnections,
    Report,
)
from octavia_ovn.core.statistics.totals import Totals, acknowledged
from octavia_ovn.core.statistics.traffic import Key
from octavia_ovn.errors import Unavailable, failure
from octavia_ovn.observer import SILENT, Observer

LOG = logging.getLogger(__name__)

_POLL = 0.5
"""Seconds between two checks whether this agent is still the leader, while nothing is received."""
_COUNT = 0.5
"""Seconds between two sums of the connections of listeners with a limit."""
_SETTLE = 60.0
"""Seconds until all chassis have had the time to report: they do every 10 s, as often as a message
may be lost."""
_PATIENCE = 30.0
"""Seconds that the main loop may take to say whose rows are whose."""


class Chassis(Protocol):
    """The way to and from all collectors."""

    def receive(self, timeout: float) -> tuple[Message, object] | None:
        """Return a message and its sender; None when none came within some seconds."""

    def send(self, message: Message, receiver: object) -> None:
        """Answer."""

    def close(self) -> None:
        """Receive no more."""


@dataclass(slots=True)
class _Question:
    hints: Collection[str]
    answered: threading.Event = field(default_factory=threading.Event)
    answer: Mapping[Key, str] = field(default_factory=dict)


class Listeners:
    """Has the main loop, which owns the replica, say which listener a key means.

    :param wake: makes the main loop turn
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._question: _Question | None = None

    def ask(self, hints: Collection[str]) -> Mapping[Key, str]:
        """Return the ids of listeners; called by other threads than the main loop.

        :raises Unavailable: when the main loop does not answer
        """
        question = _Question(hints)
        self._question = question
        self._wake()
        if not question.answered.wait(_PATIENCE):
            raise Unavailable(f"the agent's main loop has not answered within {_PATIENCE:g} s")
        return question.answer

    def answer(self, look_up: Callable[[Collection[str]], Mapping[Key, str]]) -> None:
        """Answer what has been asked; called by the main loop."""
        question, self._question = self._question, None
        if question is not None:
            question.answer = look_up(question.hints)
            question.answered.set()


class Limits(Protocol):
    """Follows the connections of listeners with a limit."""

    @property
    def keys(self) -> frozenset[Key]:
        """The listeners."""

    def counted(self, counts: Counts) -> None:
        """Take note of what is open."""


class StatisticsReceiver:
    """One leadership term of an agent.

    :param interval: seconds between two messages to Octavia
    :param limits: is told the connections of listeners with a limit
    :param clock: seconds, monotonic
    """

    def __init__(
        self,
        chassis: Chassis,
        accounts: Accounts,
        interval: float,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chassis = chassis
        self._accounts = accounts
        self._interval = interval
        self._limits = limits
        self._clock = clock
        self._totals = Totals(lambda: secrets.token_hex(16))
        self._senders: dict[str, object] = {}
        self._due = clock() + interval
        self._count_due = clock()
        self._complete = clock() + _SETTLE
        self._complaint = ""

    def turn(self) -> None:
        """Process the next message, if one arrives soon; report to Octavia when it is due."""
        now = self._clock()
        received = self._chassis.receive(max(0.01, min(_POLL, self._due - now)))
        if received is not None:
            self._take(*received)
        self._count(self._clock())
        if self._clock() >= self._due:
            self._due = self._clock() + self._interval
            self._report()

    def _take(self, message: Message, sender: object) -> None:
        if not isinstance(message, Report | OpenConnections):
            return
        answer = self._totals.take(message, self._clock())
        if not isinstance(answer, Challenge):
            self._senders[message.chassis] = sender
        if answer is not None:
            self._chassis.send(answer, sender)

    def _count(self, now: float) -> None:
        """Add up the connections of listeners with a limit, now and then."""
        if now < self._count_due:
            return
        self._count_due = now + _COUNT
        found = self._totals.open_of(self._limits.keys, now)
        counting = self._totals.counts_limits(now)
        self._limits.counted(Counts(found, now >= self._complete, counting))

    def _report(self) -> None:
        batch = self._totals.batch(self._clock())
        self._senders = {
            name: sender for name, sender in self._senders.items() if self._totals.knows(name)
        }
        if not batch and not self._accounts.waits:
            return
        error = failure(lambda: self._accounts.report(batch))
        if error is not None:
            if str(error) != self._complaint:
                LOG.warning("Statistics could not be reported to Octavia, and wait: %s", error)
            self._complaint = str(error)
            return
        self._complaint = ""
        self._totals.reported(batch)
        for (name, incarnation), numbers in acknowledged(batch.reports).items():
            if name in self._senders:
                acknowledgement = Acknowledgement(name, incarnation, numbers)
                self._chassis.send(acknowledgement, self._senders[name])


class Statistics(LeaderServer):
    """Listens to the chassis while this agent is the leader.

    :param listen: opens the way to the collectors
    :param ledger: makes a new ledger for it
    :param observer: is notified when the thread crashes
    """

    def __init__(
        self,
        listen: Callable[[], Chassis],
        ledger: Callable[[Chassis], StatisticsReceiver],
        observer: Observer = SILENT,
    ) -> None:
        super().__init__(self._receive, "statistics", observer)
        self._listen = listen
        self._ledger = ledger

    def _receive(self, running: Callable[[], bool]) -> None:
        chassis = self._listen()
        try:
            # Another agent may have reported between two terms: start with what Octavia shows.
            ledger = self._ledger(chassis)
            while running():
                ledger.turn()
        finally:
            chassis.close()
