# SPDX-License-Identifier: Apache-2.0
"""Has chassis probe members, and follows what they say, while this agent is the leader.

The main loop owns it. Another thread serves the connections; what happens there waits in an inbox.
"""

from __future__ import annotations

import collections
import functools
import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from octavia_ovn.controller.global_row import GlobalRow
from octavia_ovn.controller.protocols import Chassis, Northbound
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.probing.conditions import Condition
from octavia_ovn.core.probing.damping import Damping
from octavia_ovn.core.probing.liveness import Liveness
from octavia_ovn.core.probing.messages import Message, Results
from octavia_ovn.core.probing.registry import Registry
from octavia_ovn.core.rows import IncrementNumber
from octavia_ovn.core.text import plain
from octavia_ovn.observer import SILENT, Observer

LOG = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two examinations of which chassis are silent."""
QUIET = 4.0
"""Seconds without a line from a chassis until it counts as silent: two are sent in that time."""
MOVES = 5.0
"""Seconds in which a port that is on no chassis any more may appear on another one: at the end of a
live migration, OVN takes it from the old one first."""
KEPT = 60.0
"""Seconds for which NB_Global says that chassis probe after the last one has gone."""
FLIPS = 20, 30.0, 100
"""How many results may change a load balancer at once, seconds until one more may, and how many
load balancers may change beyond that in a second."""
WEIGHTS = 2, 5.0
"""The same for weights."""
_SENTENCES = {
    Condition.SILENT: "octavia-ovn-chassis on chassis %s is not connected: its members are not"
    " checked, and serve unless they were DOWN",
    Condition.DEAD: "Chassis %s does not answer, neither octavia-ovn-chassis nor ovn-controller:"
    " its members are DOWN",
    None: "Chassis %s answers again",
}


class Link(Protocol):
    """A connection of a chassis."""

    @property
    def chassis(self) -> str:
        """The name of the chassis."""

    @property
    def last_seen(self) -> float:
        """When the last line arrived, in seconds, monotonic."""

    def send(self, message: Message) -> None:
        """Send a message, unless the connection is over."""


class Probing:
    """What chassis are to probe, and what they have said.

    :param chassis: says where members are; None when OVN checks members itself: then all that this
        does is to say so to API workers
    :param wake: makes the main loop turn
    :param timeout: seconds that a hypervisor has to follow, see :class:`Liveness`
    :param clock: seconds, monotonic
    """

    def __init__(  # noqa: PLR0913 - by keyword
        self,
        nb: Northbound,
        chassis: Chassis | None = None,
        *,
        wake: Callable[[], None] = lambda: None,
        timeout: float = 10.0,
        observer: Observer = SILENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry = Registry()
        self._nb = nb
        self._global = GlobalRow(nb)
        self._chassis = chassis
        self._wake = wake
        self._liveness = Liveness(timeout)
        self._observer = observer
        self._clock = clock
        self._inbox: collections.deque[Callable[[], frozenset[str]]] = collections.deque()
        self._changed: set[str] = set()
        """Load balancers of which the health has changed; an error in a turn loses none."""
        self._found: set[str] = set()
        """The same, if results of chassis say so."""
        self._flips, self._weights = Damping(*FLIPS), Damping(*WEIGHTS)
        self._links: dict[str, Link] = {}
        self._conditions: Mapping[str, Condition] = {}
        self._moving: dict[str, float] = {}
        """Switch port → until when it may appear on another chassis."""
        self.begin()

    @property
    def enabled(self) -> bool:
        """Whether chassis check members, instead of OVN."""
        return self._chassis is not None

    def begin(self) -> None:
        """Begin a leadership term, or end one: nothing is kept but what OVN's databases say."""
        now = self._clock()
        self._inbox.clear()
        self._found.clear()
        self._flips.clear()
        self._weights.clear()
        self._links.clear()
        self._moving.clear()
        self.registry.begin()
        self._liveness.begin()
        self._conditions = {}
        self._due = now
        self._follow_due = now
        self._last_connected = now

    # --- called from the thread that serves the connections

    def joined(self, link: Link) -> None:
        """Take note of a connection."""
        self._post(functools.partial(self._join, link))

    def received(self, link: Link, results: Results) -> None:
        """Take note of results."""
        self._post(functools.partial(self.registry.receive, link, results))

    def left(self, link: Link) -> None:
        """Take note that a connection is over."""
        self._post(functools.partial(self._leave, link))

    def _post(self, function: Callable[[], frozenset[str]]) -> None:
        self._inbox.append(function)
        self._wake()

    # --- called from the main loop

    def _join(self, link: Link) -> frozenset[str]:
        self._links[link.chassis] = link
        self.registry.join(link)
        return frozenset()

    def _leave(self, link: Link) -> frozenset[str]:
        if self._links.get(link.chassis) is link:
            del self._links[link.chassis]
        return self.registry.leave(link)

    def located(self, port: str) -> bool:
        """Whether a switch port is known to be on a chassis, or on its way to one."""
        return self.enabled and bool(self.registry.places.of(port) or port in self._moving)

    def locate(self, port: str, *chassis: str) -> None:
        """Take note of the chassis where a switch port is; see :meth:`Registry.locate`."""
        if chassis:
            self._moving.pop(port, None)
        elif self.registry.places.of(port):
            self._moving[port] = self._clock() + MOVES
        self._changed |= self.registry.locate(port, *chassis)

    def turn(self, *, settled: bool) -> frozenset[str]:
        """Follow what has happened; return the load balancers of which the health has changed.

        :param settled: whether all load balancers have been reconciled in this term
        """
        # What arrives meanwhile waits for the next turn, however fast it comes.
        for _ in range(len(self._inbox)):
            self._found |= self._inbox.popleft()()
        if settled and self._is_located():
            self.registry.settle()
        now = self._clock()
        if now >= self._due or (self.registry.new_ports and now >= self._follow_due):
            self._due = now + INTERVAL
            self._changed |= self._look(now)
        self._tell()
        self._damp(now)
        changed, self._changed = self._changed, set()
        return frozenset(changed)

    def _damp(self, now: float) -> None:
        """Take over results, but not so often that one load balancer takes the time of all."""
        self._changed |= self._flips.admit(self._found, now)
        self._changed |= self._weights.admit(self.registry.reweighted, now)
        self._found.clear()
        self.registry.reweighted.clear()

    def next_due(self) -> float | None:
        """Return in how many seconds there is something to do for :meth:`turn`."""
        if not self.enabled:
            return None
        waiting = (self._flips.scan_due, self._weights.scan_due)
        due = min((self._due, *(each for each in waiting if each is not None)))
        if self.registry.new_ports:
            due = min(due, self._follow_due)
        if self.registry.waits or self._changed:
            due = 0.0
        return max(0.0, due - self._clock())

    def _tell(self) -> None:
        """Tell chassis what has changed."""
        for link, message in self.registry.outgoing():
            found = self._links.get(link.chassis)
            if found is link:
                found.send(message)

    def _look(self, now: float) -> frozenset[str]:
        """Do what is done from time to time."""
        if self._chassis is None:
            self._global.announce(now, k.PROBES_MARK, value=False)
            return frozenset()
        self._changed |= self._lost(now)
        if self.registry.new_ports:
            self.registry.new_ports = False
            self._chassis.follow(self.registry.ports())
            self._follow_due = now + INTERVAL
        silent = [each for each in self.registry.planned() if self._is_silent(now, each)]
        conditions = self._liveness.update(now, silent, self._chassis.reached())
        self._log(conditions)
        if self._liveness.is_due(now) and self._global.write(now, IncrementNumber()):
            self._liveness.tested(now, self._nb.global_number())
        if self._links:
            self._last_connected = now
            self._global.announce(now, k.PROBES_MARK, value=True)
        elif now - self._last_connected >= KEPT:
            self._global.announce(now, k.PROBES_MARK, value=False)
        self._observer.probes(
            connected=len(self._links), silent=len(silent), members=len(self.registry)
        )
        for state, count in self.registry.flips.items():
            self._observer.flips(state, count)
        self.registry.flips.clear()
        return self.registry.expire(now) | self.registry.judge(conditions)

    def _lost(self, now: float) -> frozenset[str]:
        """Give up ports that have not appeared on another chassis."""
        lost = [port for port, until in self._moving.items() if now >= until]
        for port in lost:
            del self._moving[port]
        return frozenset().union(*map(self.registry.at, lost))

    def _is_located(self) -> bool:
        """Whether it is known of all members where they are."""
        found = self._chassis
        return found is not None and not self.registry.new_ports and found.located

    def _is_silent(self, now: float, chassis: str) -> bool:
        link = self._links.get(chassis)
        return link is None or now - link.last_seen >= QUIET

    def _log(self, conditions: Mapping[str, Condition]) -> None:
        """Log what has become of chassis."""
        before, self._conditions = self._conditions, conditions
        for chassis in sorted({**before, **conditions}):
            condition = conditions.get(chassis)
            if condition is not before.get(chassis):
                LOG.warning(_SENTENCES[condition], plain(chassis))
