# SPDX-License-Identifier: Apache-2.0
"""Decides which listeners let no new connections in, while this agent is the leader.

The main loop owns it. The thread that receives statistics leaves its sums here. What was decided is
in the rows only, see :mod:`octavia_ovn.core.desired.connection_limit`: another agent continues from
there, and without sums nothing changes for a time.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from octavia_ovn.controller.global_row import GlobalRow
from octavia_ovn.controller.protocols import Northbound
from octavia_ovn.core import codec, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import connection_limit
from octavia_ovn.core.rows import Row
from octavia_ovn.core.statistics.limited import Counts
from octavia_ovn.core.statistics.totals import SILENCE
from octavia_ovn.core.statistics.traffic import ROW_UUID_PREFIX_DIGITS, Key
from octavia_ovn.observer import SILENT, Observer

LOG = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between two changes of a load balancer at least."""
_AGAIN = 5.0
"""Seconds until a load balancer that could not be changed is named again: it has a back-off of its
own."""
_REOPENINGS = 20, 10.0
"""How often a load balancer may let connections in again without more than that pause, and seconds
until it may once more: a client that comes and goes must not have OVN compute all the time. The
limit itself holds as soon as ever."""
_LOOK = 0.25
"""Seconds between two comparisons at most, while any listener has a limit."""
_SENTENCES = {
    True: "Listener %s of load balancer %s has %s open connections, its limit is %d: new ones are"
    " not let in",
    False: "Listener %s of load balancer %s has %s open connections, its limit is %d: new ones are"
    " let in again",
}
_UNKNOWN = Counts()


@dataclass(frozen=True, slots=True)
class _Listener:
    """A listener with a limit.

    :param key: None while its row does not exist
    :param was_closed: whether it let no new connections in before
    :param closed: whether it should let none in
    """

    id: str
    key: Key | None
    limit: int
    was_closed: bool
    closed: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """Which listeners of a load balancer let no new connections in."""

    lb_id: str
    listeners: tuple[_Listener, ...] = ()

    @property
    def closed(self) -> frozenset[str]:
        """The ids of those listeners."""
        return frozenset(each.id for each in self.listeners if each.closed)


class ConnectionLimits:
    """Compares what is open with the limits.

    :param wake: makes the main loop turn
    :param clock: seconds, monotonic
    """

    def __init__(
        self,
        nb: Northbound,
        *,
        wake: Callable[[], None] = lambda: None,
        observer: Observer = SILENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nb = nb
        self._wake = wake
        self._observer = observer
        self._clock = clock
        self._global = GlobalRow(nb)
        self._decisions: dict[str, Decision] = {}
        """What the rows say."""
        self._changed: dict[str, float] = {}
        """Load balancer → when its listeners were last opened or closed."""
        self._full: dict[str, float] = {}
        """Load balancer → when it may be opened as often as ever."""
        self._named: dict[str, float] = {}
        """Load balancer → until when it is not named again."""
        self.begin()

    def begin(self) -> None:
        """Begin a leadership term, or end one: nothing is kept but what the rows say."""
        now = self._clock()
        self._counts = self._compared = _UNKNOWN
        self._decisions.clear()
        self._changed.clear()
        self._full.clear()
        self._named.clear()
        self.keys: frozenset[Key] = frozenset()
        """The listeners with a limit; replaced, never changed."""
        self._new_keys = False
        """Whether there are others now."""
        self._heard = self._last_counting = self._due = now

    # --- called from the thread that receives statistics

    def counted(self, counts: Counts) -> None:
        """Take note of what is open."""
        self._heard = self._clock()
        if counts != self._counts:
            self._counts = counts
            self._wake()

    # --- called from the main loop

    def decide(self, lb: model.LoadBalancer, rows: Sequence[Row]) -> Decision:
        """Decide which listeners of a load balancer let no new connections in; no effects."""
        limited = connection_limit.limited(lb)
        if not limited:
            return Decision(lb.id)
        now, keys = self._clock(), _keys(rows)
        closed = connection_limit.closed(self._nb.access(lb.id).groups)
        listeners = []
        for each in limited:
            key, limit, was = keys.get(each.id), each.connection_limit or 0, each.id in closed
            should = self._should_be_closed(now, lb.id, key, limit, closed=was)
            listeners.append(_Listener(each.id, key, limit, was, should))
        return Decision(lb.id, tuple(listeners))

    def _should_be_closed(
        self, now: float, lb_id: str, key: Key | None, limit: int, *, closed: bool
    ) -> bool:
        if self._pauses(now, lb_id, closed=closed):
            return closed
        if now - self._heard >= SILENCE:
            # No chassis counts: a limit protects servers, and denies clients for a time only.
            return False
        count = self._counts.open.get(key) if key else None
        if count is None:
            return closed
        complete = self._counts.complete
        return connection_limit.is_closed(limit, count, closed=closed, complete=complete)

    def _pauses(self, now: float, lb_id: str, *, closed: bool) -> bool:
        """Whether listeners of a load balancer must stay as they are for a moment."""
        if now - self._changed.get(lb_id, -math.inf) < PAUSE:
            return True
        most, interval = _REOPENINGS
        return closed and self._full.get(lb_id, now) - now > (most - 1) * interval

    def follow(self, decision: Decision) -> None:
        """Take note of a decision that is in the rows now."""
        self._named.pop(decision.lb_id, None)
        if decision.listeners:
            before = self._decisions.get(decision.lb_id)
            self._decisions[decision.lb_id] = decision
            self._note(decision)
            self._new_keys |= before is None or _known(before) != _known(decision)
        else:
            self.forget(decision.lb_id)

    def _note(self, decision: Decision) -> None:
        """Log which listeners have been opened or closed."""
        now, lb_id = self._clock(), decision.lb_id
        turned = [each for each in decision.listeners if each.closed is not each.was_closed]
        for each in turned:
            self._changed[lb_id] = now
            count = self._counts.open.get(each.key) if each.key else None
            LOG.warning(_SENTENCES[each.closed], each.id, lb_id, count, each.limit)
        if not all(each.closed for each in turned):
            self._full[lb_id] = max(now, self._full.get(lb_id, now)) + _REOPENINGS[1]

    def forget(self, lb_id: str) -> None:
        """Forget a load balancer."""
        for kept in (self._changed, self._full, self._named):
            kept.pop(lb_id, None)
        self._new_keys |= self._decisions.pop(lb_id, None) is not None

    def turn(self) -> frozenset[str]:
        """Return the load balancers of which a listener should be opened or closed."""
        now = self._clock()
        self._announce(now)
        if self._new_keys:  # at once for all that have been reconciled
            self._new_keys = False
            self.keys = frozenset().union(*map(_known, self._decisions.values()))
            self._compared = _UNKNOWN
        if self._counts is self._compared and now < self._due:
            return frozenset()
        self._compared, self._due = self._counts, now + _LOOK
        found = [(lb_id, each) for lb_id, one in self._decisions.items() for each in one.listeners]
        self._observer.limits(limited=len(found), closed=sum(each.closed for _, each in found))
        wrong = {
            lb_id
            for lb_id, each in found
            if now >= self._named.get(lb_id, now)
            and each.closed
            is not self._should_be_closed(now, lb_id, each.key, each.limit, closed=each.closed)
        }
        self._named |= dict.fromkeys(wrong, now + _AGAIN)
        return frozenset(wrong)

    def next_due(self) -> float | None:
        """Return in how many seconds there is something to do for :meth:`turn`."""
        if self._new_keys:
            return 0.0
        return max(0.0, self._due - self._clock()) if self._decisions else None

    def _announce(self, now: float) -> None:
        """Say whether chassis count, so that API workers let in limits."""
        if self._counts.counting:
            self._last_counting = now
            self._global.announce(now, k.COUNTS_MARK, value=True)
        elif now - self._last_counting >= SILENCE:
            self._global.announce(now, k.COUNTS_MARK, value=False)


def _known(decision: Decision) -> frozenset[Key]:
    return frozenset(each.key for each in decision.listeners if each.key)


def _keys(rows: Sequence[Row]) -> dict[str, Key]:
    """Return listener → how chassis know it."""
    return {
        listener_id: Key(row.uuid[:ROW_UUID_PREFIX_DIGITS], port)
        for row in rows
        if row.uuid
        for port, listener_id in codec.listeners_by_port(row.external_ids).items()
    }
