# SPDX-License-Identifier: Apache-2.0
"""The counters of listeners, as Octavia has them and as they are to be.

A listener whose counters Octavia does not give, or does not take, must not hold up the others: its
traffic waits here. What waits is one sum for each such listener, and is lost with the agent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from octavia_ovn.core.statistics.messages import MAX_COUNT
from octavia_ovn.core.statistics.totals import Batch
from octavia_ovn.core.statistics.traffic import Key, Traffic
from octavia_ovn.errors import OctaviaOvnError, Refused, Unavailable
from octavia_ovn.observer import SILENT, Observer

LOG = logging.getLogger(__name__)

_RECORDS = 500
"""Listeners in one message to Octavia, which applies it in one transaction."""
_MOST = 10_000
"""Listeners whose counters are remembered at least; those beyond are asked for again, if they have
traffic again. Some of them may have been deleted."""
_RETRY = 60.0
"""Seconds until Octavia is asked again for the counters of a listener that it did not give."""
_REFUSALS = 3
"""Refusals of a record in a row after which its traffic is dropped."""
_NAMES = ("active_connections", "bytes_in", "bytes_out", "request_errors", "total_connections")
_MAX_OPEN = (1 << 31) - 1
"""The largest number of open connections that Octavia's database can hold."""

Counters = Mapping[str, int]
"""What Octavia shows of a listener, by name."""
_Due = Mapping[Key, tuple[Traffic, int]]
"""What to report: the traffic since the last report, and the connections that are open now."""


class Shown(Protocol):
    """What Octavia shows its users."""

    def listener_statistics(self, listener_id: str) -> Counters | None:
        """Return the counters of a listener; None when there is none."""


class StatisticsSink(Protocol):
    """Where statistics are reported to Octavia."""

    def update_statistics(self, statistics: Mapping[str, object]) -> None:
        """Report the counters of listeners."""


class Accounts:
    """The counters of listeners: what Octavia showed before, and what has come since.

    :param shown: asked once for each listener that has traffic
    :param sink: receives what has changed
    :param ask: returns the ids of listeners by key
    :param observer: is notified of listeners whose traffic is dropped
    :param clock: seconds, monotonic
    """

    def __init__(
        self,
        shown: Shown,
        sink: StatisticsSink,
        ask: Callable[[Collection[str]], Mapping[Key, str]],
        observer: Observer = SILENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shown = shown
        self._sink = sink
        self._ask = ask
        self._observer = observer
        self._clock = clock
        self._counters: dict[str, Counters] = {}
        self._held: _Due = {}
        self._retry: dict[str, float] = {}
        """Listeners whose counters Octavia did not give, and when to ask again."""
        self._refusals: dict[str, int] = {}

    def report(self, batch: Batch) -> None:
        """Report a batch to Octavia, except what belongs to no listener.

        When this returns, the batch is done with; a part of it may wait here.

        :raises OctaviaOvnError: when Octavia could not be reached; retry the whole batch
        """
        due = _merge(self._held, batch)
        ids = self._ask({key.row_uuid_prefix for key in due})
        wanted = {ids[key]: key for key in due if key in ids}
        bases = dict(self._bases(wanted))
        missing = wanted.keys() - bases.keys()
        records = {
            listener_id: _add(base, *due[wanted[listener_id]])
            for listener_id, base in bases.items()
            if base is not None
        }
        refused = self._send(records)
        if len(self._counters) > _MOST:
            self._counters.clear()
        self._counters.update(records)
        kept = missing | self._refuse(records, refused)
        self._held = {wanted[each]: due[wanted[each]] for each in kept}
        self._retry = {each: at for each, at in self._retry.items() if each in missing}

    @property
    def waits(self) -> bool:
        """Whether a part of a former batch is not reported yet."""
        return bool(self._held)

    def _bases(self, listener_ids: Iterable[str]) -> Iterator[tuple[str, Counters | None]]:
        """Yield what Octavia shows of listeners, None of those it does not have.

        Those that it does not give are left out if it gives others; they are asked for last.
        """
        now = self._clock()
        for each in sorted(listener_ids, key=self._retry.__contains__):
            if now < self._retry.get(each, now):
                continue
            try:
                base = self._base(each)
            except OctaviaOvnError as reason:
                error = reason  # not logged in the handler: see errors.failure
            else:
                yield each, base
                continue
            if each not in self._retry:
                LOG.warning("Octavia does not give counters of listener %s: %s", each, error)
            self._retry[each] = now
            self._probe(error)
            self._retry[each] = now + _RETRY

    def _base(self, listener_id: str) -> Counters | None:
        if listener_id not in self._counters:
            found = _asked(self._shown, listener_id)
            if found is None:
                return None
            self._counters[listener_id] = found
        return self._counters[listener_id]

    def _probe(self, error: OctaviaOvnError) -> None:
        """Raise an error unless Octavia answers for another listener: then it is of one only."""
        other = next(iter(self._counters), None)
        if other is None:
            raise error
        _asked(self._shown, other)

    def _send(self, records: Mapping[str, Counters]) -> dict[str, Refused]:
        items = list(records.items())
        refused: dict[str, Refused] = {}
        for start in range(0, len(items), _RECORDS):
            refused.update(self._isolate(items[start : start + _RECORDS]))
        return refused

    def _isolate(self, records: Sequence[tuple[str, Counters]]) -> dict[str, Refused]:
        """Report records to Octavia; return those that it refuses, by listener.

        One that it refuses makes it refuse the whole message, so halves are sent then.
        """
        try:
            self._sink.update_statistics(
                {"listeners": [{"id": each, **counters} for each, counters in records]}
            )
        except Refused as error:
            if len(records) == 1:
                return {records[0][0]: error}
            middle = len(records) // 2
            return self._isolate(records[:middle]) | self._isolate(records[middle:])
        return {}

    def _refuse(self, records: Collection[str], refused: Mapping[str, OctaviaOvnError]) -> set[str]:
        """Drop what Octavia refuses again and again; return the listeners that may still wait."""
        for each in records:
            if each not in refused:
                self._refusals.pop(each, None)
        for each, error in refused.items():
            # What Octavia shows may have changed, and may be why.
            self._counters.pop(each, None)
            self._refusals[each] = self._refusals.get(each, 0) + 1
            if self._refusals[each] == _REFUSALS:
                LOG.error(
                    "Octavia refuses the statistics of listener %s, which are dropped until it"
                    " accepts them: %s",
                    each,
                    error,
                )
            if self._refusals[each] >= _REFUSALS:
                self._observer.drops_statistics()
        if len(self._refusals) > _MOST:
            self._refusals.clear()
        return {each for each in refused if self._refusals.get(each, 0) < _REFUSALS}


def _merge(held: _Due, batch: Batch) -> _Due:
    """Return what waits and what is new."""
    fresh = {
        key: (batch.traffic.get(key, Traffic()) + held.get(key, (Traffic(), 0))[0], number)
        for key, number in batch.open.items()
    }
    return {**held, **fresh}


def _asked(shown: Shown, listener_id: str) -> Counters | None:
    """Return what Octavia shows of a listener.

    :raises OctaviaOvnError: when it does not answer, or with something else than numbers
    """
    try:
        found = shown.listener_statistics(listener_id)
        return None if found is None else {name: int(found[name]) for name in _NAMES}
    except (LookupError, TypeError, ValueError) as error:
        raise Unavailable(f"Its answer is not understood: {error!r}") from error


def _add(base: Counters, more: Traffic, current: int) -> Counters:
    return {
        **base,
        "total_connections": min(base["total_connections"] + more.connections, MAX_COUNT),
        "bytes_in": min(base["bytes_in"] + more.bytes_in, MAX_COUNT),
        "active_connections": min(current, _MAX_OPEN),
    }
