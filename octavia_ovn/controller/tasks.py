"""Slow questions and deeds (Neutron, Octavia), done once each beside the main loop.

`get` returns what is known and starts what is not; whoever waits is told when there is more to
know. An answer is kept until it is forgotten: what the controller asks about does not change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from octavia_ovn.controller.queue import Queue
from octavia_ovn.errors import NotFound, OctaviaOvnError, Refused
from octavia_ovn.observer import NOBODY, Observer, Step

LOG = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """A finished task: its value, or the refusal that no repetition changes soon."""

    value: T | None
    refusal: Refused | None = None


class Tasks:
    """Runs tasks in an executor, and again with back-off while a service is unavailable.

    All methods but the completion run in the main loop's thread.

    :param executor: runs them
    :param post: hands a function to the main loop, from any thread
    :param wake: tells that a waiter should look again
    :param clock: seconds, monotonic
    """

    def __init__(  # noqa: PLR0913 - it stands between threads
        self,
        executor: Executor,
        post: Callable[[Callable[[], None]], None],
        wake: Callable[[str], None],
        clock: Callable[[], float],
        longest: float = 60.0,
        observer: Observer = NOBODY,
    ) -> None:
        self._executor = executor
        self._post = post
        self._wake = wake
        self._observer = observer
        self._done: dict[Hashable, Done[object]] = {}
        self._waiters: dict[Hashable, set[str]] = {}
        self._work: dict[Hashable, Callable[[], object]] = {}
        self._deeds: set[Hashable] = set()
        self._retries: Queue[Hashable] = Queue(clock, longest=longest)

    def get(self, key: Hashable, work: Callable[[], T], waiter: str) -> Done[T] | None:
        """Return the result of a task, or None after having started it for a waiter."""
        found = self._done.get(key)
        if found is not None:
            return found  # type: ignore[return-value]
        self._waiters.setdefault(key, set()).add(waiter)
        if key not in self._work:
            self._work[key] = work
            self._start(key)
        return None

    def do(self, key: Hashable, work: Callable[[], object], waiter: str) -> None:
        """Start a task of which only the end counts: see `wait_for`. Its result is not kept."""
        self._deeds.add(key)
        self.get(key, work, waiter)

    def forget(self, key: Hashable) -> None:
        """Forget a result, so that the next question is asked anew."""
        self._done.pop(key, None)

    def forget_refusals(self) -> None:
        """Forget what was refused for reasons that may have gone since, such as a quota.

        What did not exist then never will: ids do not come back.
        """
        for key in [key for key, done in self._done.items() if _may_be_granted(done)]:
            self.forget(key)

    def wait_for(self, key: Hashable, waiter: str) -> bool:
        """Whether a task has been started and has not ended; its waiter will be woken."""
        if key not in self._work:
            return False
        self._waiters.setdefault(key, set()).add(waiter)
        return True

    def is_first_attempt(self, key: Hashable, waiter: str) -> bool:
        """Whether the first attempt at a task is under way; its waiter will be woken."""
        return not self._retries.has_failed(key) and self.wait_for(key, waiter)

    def retry_due(self) -> None:
        """Start the tasks whose back-off is over."""
        for key in self._retries.ready(100):
            self._start(key)

    def next_due(self) -> float | None:
        """Return in how many seconds the next retry is due."""
        return self._retries.next_due()

    def _start(self, key: Hashable) -> None:
        future = self._executor.submit(self._work[key])
        future.add_done_callback(lambda done: self._post(lambda: self._finish(key, done)))

    def _finish(self, key: Hashable, future: Future[object]) -> None:
        error = future.exception()
        if error is None:
            self._complete(key, Done(future.result()))
        elif isinstance(error, Refused):
            LOG.warning("%s: %s", key, error)
            self._complete(key, Done(None, error))
        else:
            delay = self._retries.retry(key)
            self._observer.retries(Step.TASK)
            # Whoever can go on without it should: the task stays wanted all the same.
            self._wake_waiters(key)
            known = isinstance(error, OctaviaOvnError)
            LOG.warning(
                "%s will be tried again in %.1f s: %s",
                key,
                delay,
                error,
                exc_info=None if known else error,
            )

    def _complete(self, key: Hashable, done: Done[object]) -> None:
        if key in self._deeds:
            self._deeds.discard(key)
        else:
            self._done[key] = done
        self._retries.succeeded(key)
        self._work.pop(key, None)
        self._wake_waiters(key)

    def _wake_waiters(self, key: Hashable) -> None:
        for waiter in sorted(self._waiters.pop(key, ())):
            self._wake(waiter)


def _may_be_granted(done: Done[object]) -> bool:
    return done.refusal is not None and not isinstance(done.refusal, NotFound)
