# SPDX-License-Identifier: Apache-2.0
"""A queue of keys to reconcile: coalescing, with back-off for each key.

It is level-triggered: a key in the queue does not say what has happened. However often a key is
added, it is processed once.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from octavia_ovn.core.backoff import backoff

Key = TypeVar("Key", bound=Hashable)


class Queue(Generic[Key]):
    """Keys and when they are due. Used by one thread.

    :param clock: returns seconds, monotonic
    :param first: seconds until the first retry of a key; doubled with every failure
    :param longest: seconds between retries at most
    """

    def __init__(
        self, clock: Callable[[], float], first: float = 0.1, longest: float = 60.0
    ) -> None:
        self._clock = clock
        self._first = first
        self._longest = longest
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._failures: dict[Key, int] = {}
        self._count = 0
        self._idle: dict[Key, None] = {}
        self._since: dict[Key, float] = {}
        """When each key was added that has not been done since, the oldest first."""
        self._alarms: dict[Key, float] = {}
        """When keys are to be added that need nothing until then."""

    def __len__(self) -> int:
        return len(self._due) + len(self._idle)

    def age(self) -> float:
        """Return the seconds for which the oldest key has been waiting to be done, 0 if none is.

        Called from any thread, like `len`.
        """
        since = next(iter(list(self._since.values())), None)
        return 0.0 if since is None else max(0.0, self._clock() - since)

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Enqueue a key for some seconds later, or earlier if it is enqueued already.

        A key that waits for its retry is due at once: something has changed.
        """
        self._idle.pop(key, None)
        now = self._clock()
        self._since.setdefault(key, now)
        due = now + delay
        if self._due.get(key, due + 1) > due:
            self._due[key] = due
            self._count += 1
            heapq.heappush(self._heap, (due, self._count, key))

    def add_idle(self, key: Key) -> None:
        """Enqueue a key with low priority."""
        if key not in self._due:
            self._since.setdefault(key, self._clock())
            self._idle[key] = None

    def set_alarm(self, key: Key, delay: float | None) -> None:
        """Enqueue a key in some seconds, instead of at an earlier call's moment; None for never.

        Until then it does not count as waiting.
        """
        if delay is None:
            self._alarms.pop(key, None)
        else:
            self._alarms[key] = self._clock() + delay

    def ready(self, limit: int, idle_limit: int = 0) -> list[Key]:
        """Take the keys that are due, oldest first, and some of low priority."""
        now = self._clock()
        for key in [each for each, due in self._alarms.items() if due <= now]:
            del self._alarms[key]
            self.add(key)
        found: list[Key] = []
        while self._heap and len(found) < limit and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                found.append(key)
        idle = list(itertools.islice(self._idle, idle_limit))
        for key in idle:
            del self._idle[key]
        return found + idle

    def next_due(self) -> float | None:
        """Return in how many seconds the next key is due (0 for now), None when there is none."""
        if self._idle:
            return 0.0
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        moments = [*self._alarms.values(), *(due for due, _, _ in self._heap[:1])]
        return max(0.0, min(moments) - self._clock()) if moments else None

    def retry(self, key: Key) -> float:
        """Enqueue a key after its back-off; return the seconds until then."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = backoff(failures, self._first, self._longest)
        self.add(key, delay)
        return delay

    def has_failed(self, key: Key) -> bool:
        """Whether a key has failed since it last succeeded."""
        return key in self._failures

    def succeeded(self, key: Key) -> None:
        """Forget the failures of a key, which is done unless it has been added meanwhile."""
        self._failures.pop(key, None)
        self._since.pop(key, None)
        if key in self._due or key in self._idle:
            self._since[key] = self._clock()
