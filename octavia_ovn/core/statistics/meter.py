# SPDX-License-Identifier: Apache-2.0
"""Differences between readings of counters that restart from zero at times.

OVN replaces the flows of a listener whenever its members change, and a restarted Open vSwitch has
new ones only. A counter that belongs to the same flow as before has grown by the difference; one of
a new flow has grown by all it shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from octavia_ovn.core.statistics.openflow import FlowCounters

_JITTER = 0.25
"""Seconds by which two readings of one flow may disagree about when it was added, besides those
that they have taken."""
RESCAN = 60.0
"""Seconds between two readings of all flows, present or not."""
_NEW = 60.0
"""Seconds until a flow of the Southbound database must have arrived in Open vSwitch."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The last reading of a flow.

    :param born: in seconds of the monotonic clock; no earlier than when the flow was added
    """

    cookie: int
    packets: int
    bytes: int
    born: float


@dataclass(frozen=True, slots=True)
class Growth:
    """By how much a flow has grown since it was last seen."""

    flow: FlowCounters
    packets: int
    bytes: int


class Meter:
    """Remembers the last reading of each flow.

    :param since: when counting began, in seconds of the monotonic clock: what flows that are older
        have counted before they are first seen is not known to be new, so it is left out
    :param baselines: what was last seen, by flow
    """

    def __init__(self, since: float, baselines: Mapping[str, Baseline] | None = None) -> None:
        self.since = since
        self.baselines = dict(baselines or {})

    def advance(
        self,
        asked: Collection[int],
        flows: Iterable[FlowCounters],
        now: float,
        delay: float = 0.0,
    ) -> list[Growth]:
        """Process a reading; return the growth of flows.

        :param asked: the cookies that were asked for; what is not in the reading of them is gone
        :param flows: the reading
        :param now: when it had arrived, in seconds of the monotonic clock
        :param delay: seconds that it may be older: since it was asked for
        """
        seen: dict[str, Baseline] = {}
        grown = []
        for flow in flows:
            name = _name(flow)
            after = Baseline(flow.cookie, flow.packets, flow.bytes, now - flow.age)
            before = self._before(self.baselines.get(name), after, delay)
            seen[name] = replace(after, born=min(before.born, after.born))
            packets, octets = after.packets - before.packets, after.bytes - before.bytes
            if packets or octets:
                grown.append(Growth(flow, packets, octets))
        for name in [name for name, old in self.baselines.items() if old.cookie in asked]:
            del self.baselines[name]
        self.baselines.update(seen)
        return grown

    def _before(self, known: Baseline | None, now: Baseline, delay: float) -> Baseline:
        """Return the part of a flow's counters that has been counted already."""
        if known is not None and _is_same(known, now, delay):
            return known
        if known is None and now.born - delay < self.since:
            return now
        return Baseline(now.cookie, 0, 0, now.born)


class Watchlist:
    """Cookies of flows that are on this chassis or may come soon; times are in seconds."""

    def __init__(self) -> None:
        self._new: dict[int, float] = {}
        self._present: set[int] = set()
        self._next_scan = 0.0

    def added(self, cookies: Iterable[int], now: float) -> None:
        """Record flows that are new in the Southbound database."""
        self._new.update(dict.fromkeys(cookies, now))

    def due(self, everything: Iterable[int], now: float) -> list[int]:
        """Return the cookies to ask for now.

        :param everything: the cookies of all flows that count something
        """
        if now >= self._next_scan:
            self._next_scan = now + RESCAN
            return sorted(everything)
        self._new = {cookie: since for cookie, since in self._new.items() if now - since < _NEW}
        return sorted(self._present.union(self._new))

    def seen(self, asked: Collection[int], found: Iterable[int]) -> None:
        """Record which of the requested flows exist on this chassis."""
        self._present.difference_update(asked)
        self._present.update(found)

    @property
    def present(self) -> frozenset[int]:
        """The cookies of the flows that are here."""
        return frozenset(self._present)


def _is_same(before: Baseline, after: Baseline, delay: float) -> bool:
    """Whether two readings may show one flow: another one in its place is younger."""
    return (
        after.born - delay - before.born <= _JITTER
        and after.packets >= before.packets
        and after.bytes >= before.bytes
    )


def _name(flow: FlowCounters) -> str:
    identity = flow.cookie.to_bytes(8, "big") + flow.identity
    return hashlib.blake2b(identity, digest_size=8).hexdigest()
