# SPDX-License-Identifier: Apache-2.0
"""Background calls of Neutron and Octavia, each made once, beside the main loop.

`get` returns a known result or starts the call; those that wait for it are enqueued when it has
ended. No result stays valid: an old one is requested again and serves until the new one
arrives.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from octavia_ovn.controller.queue import Queue
from octavia_ovn.errors import OctaviaOvnError, Refused
from octavia_ovn.observer import SILENT, Observer, Step

LOG = logging.getLogger(__name__)
T = TypeVar("T")

REFUSAL_AGE = 300.0
"""Seconds after which something that was refused or did not exist is asked for again."""
ANSWER_AGE = 3600.0
"""Seconds after which any other answer is asked for again, if it is still used."""
MOST = 10_000
"""Answers kept at most; those go first that have not been used for longest."""


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """A finished task: its value, or the refusal that no repetition changes soon."""

    value: T | None
    refusal: Refused | None = None


@dataclass(slots=True)
class _Kept:
    """A result, when it arrived, and the load balancers that have used it since."""

    done: Done[object]
    since: float
    users: set[str] = field(default_factory=set)

    def left(self, now: float) -> float:
        """Return the seconds until it is too old."""
        return self.since + (REFUSAL_AGE if self.done.refusal else ANSWER_AGE) - now


@dataclass(slots=True, eq=False)
class _Task:
    """Work that has not ended.

    :param kept: whether its result is
    :param after: another task that must have ended before this one starts
    :param future: an attempt that is under way
    :param successor: work to be done afterwards, because the attempt came too early
    :param forgotten: whether the result is no longer wanted
    :param failing_since: when the first of the attempts failed that have all failed
    """

    work: Callable[[], object]
    kept: bool
    after: Hashable = None
    future: Future[object] | None = None
    waiters: set[str] = field(default_factory=set)
    successor: Callable[[], object] | None = None
    forgotten: bool = False
    failing_since: float | None = None

    def has_begun(self) -> bool:
        """Whether an attempt may already have done its work."""
        return self.future is not None and (self.future.running() or self.future.done())

    def succeed(self) -> bool:
        """Continue with the work to be done afterwards; return whether there is any."""
        if self.successor is None:
            return False
        self.work, self.successor, self.forgotten = self.successor, None, False
        return True


class Tasks:
    """Runs tasks in an executor, and again with back-off while a service is unavailable.

    All methods but the completion run in the main loop's thread.

    :param executor: runs them
    :param post: hands a function to the main loop, from any thread
    :param wake: enqueues a waiter
    :param clock: seconds, monotonic
    """

    def __init__(  # noqa: PLR0913 - it stands between threads
        self,
        executor: Executor,
        post: Callable[[Callable[[], None]], None],
        wake: Callable[[str], None],
        clock: Callable[[], float],
        longest: float = 60.0,
        observer: Observer = SILENT,
    ) -> None:
        self._executor = executor
        self._post = post
        self._wake = wake
        self._clock = clock
        self._observer = observer
        self._done: dict[Hashable, _Kept] = {}
        """In the order of their last use."""
        self._tasks: dict[Hashable, _Task] = {}
        self._held: dict[Hashable, list[Hashable]] = {}
        """Task → tasks that start when it has ended."""
        self._retries: Queue[Hashable] = Queue(clock, longest=longest)
        self._refusals: Queue[Hashable] = Queue(clock)

    def get(self, key: Hashable, work: Callable[[], T], waiter: str) -> Done[T] | None:
        """Return the result of a task, or None after having started it for a waiter.

        An old result is returned, too, and refreshed in the background.
        """
        kept = self._done.pop(key, None)
        if kept is not None:
            self._done[key] = kept
            kept.users.add(waiter)
            if kept.left(self._clock()) > 0:
                return kept.done  # type: ignore[return-value]
        self._want(key, work, waiter)
        return None if kept is None else kept.done  # type: ignore[return-value]

    def run_once(
        self, key: Hashable, work: Callable[[], object], waiter: str, after: Hashable = None
    ) -> None:
        """Start a task whose result is not kept; see :meth:`is_running`.

        :param after: a task that must have ended before
        """
        task = self._tasks.get(key)
        if task is not None and task.has_begun():
            task.successor = work
        self._want(key, work, waiter, kept=False, after=after)

    def forget(self, key: Hashable) -> None:
        """Forget a result, so that the next request starts a call.

        That of an attempt which is under way will not count either.
        """
        self._done.pop(key, None)
        task = self._tasks.get(key)
        if task is None:
            return
        task.forgotten, task.successor = True, None
        if task.future is None or task.future.cancel():
            self._end(key, task)

    def clear(self) -> None:
        """Forget all results and drop calls that have not begun: another agent is the leader."""
        for key in [*self._done, *self._tasks]:
            self.forget(key)

    def expire(self, key: Hashable) -> None:
        """Have a result refreshed when it is used next; it serves until then."""
        if key in self._done:
            self._done[key].since = -math.inf

    def forget_all(self, kind: str) -> None:
        """Forget the results of all tasks whose key is a tuple that begins with a kind."""
        for key in [*self._done, *self._tasks]:
            if isinstance(key, tuple) and key[0] == kind:
                self.forget(key)

    def forget_refusals(self) -> None:
        """Have all refusals and missing objects requested again: that may have changed."""
        for key, kept in self._done.items():
            if kept.done.refusal is not None:
                self.expire(key)

    def peek(self, key: Hashable) -> Done[object] | None:
        """Return the result of a task if it is known; nothing is started."""
        kept = self._done.get(key)
        return None if kept is None else kept.done

    def has_failed(self, key: Hashable) -> bool:
        """Whether an attempt at a task has failed since it last succeeded."""
        return self._retries.has_failed(key)

    def is_running(self, key: Hashable, waiter: str | None = None) -> bool:
        """Whether a task has been started and has not ended.

        :param waiter: is enqueued when it ends
        """
        task = self._tasks.get(key)
        if task is not None and waiter is not None:
            task.waiters.add(waiter)
        return task is not None

    def is_first_attempt(self, key: Hashable, waiter: str) -> bool:
        """Whether the first attempt at a task is under way; its waiter will be woken."""
        return not self.has_failed(key) and self.is_running(key, waiter)

    def failing_for(self, key: Hashable) -> float:
        """Return the seconds since the first failure of a task that has not succeeded since."""
        task = self._tasks.get(key)
        if task is None or task.failing_since is None:
            return 0.0
        return self._clock() - task.failing_since

    def retry_due(self) -> None:
        """Start the tasks whose back-off is over; wake those who use an old refusal."""
        for key in self._retries.ready(100):
            task = self._tasks.get(key)
            if task is not None and task.future is None:
                self._start(key, task)
        for key in self._refusals.ready(100):
            kept = self._done.get(key)
            if kept is not None and kept.done.refusal is not None:
                self._watch(key, kept)

    def _watch(self, key: Hashable, kept: _Kept) -> None:
        """Wake those who use a refusal when it is old: they ask again if they still need it."""
        left = kept.left(self._clock())
        if left > 0:
            self._refusals.add(key, left)
        else:
            self._wake_all(kept.users)

    def next_due(self) -> float | None:
        """Return in how many seconds there is something to do for :meth:`retry_due`."""
        dues = (self._retries.next_due(), self._refusals.next_due())
        return min((due for due in dues if due is not None), default=None)

    def _want(
        self,
        key: Hashable,
        work: Callable[[], object],
        waiter: str,
        *,
        kept: bool = True,
        after: Hashable = None,
    ) -> None:
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = _Task(work, kept, after)
            self._start(key, task)
        elif task.forgotten:
            task.successor = work
        task.waiters.add(waiter)

    def _start(self, key: Hashable, task: _Task) -> None:
        after, task.after = task.after, None
        if after in self._tasks:
            self._held.setdefault(after, []).append(key)
            return
        task.future = self._executor.submit(task.work)
        finish = functools.partial(self._finish, key, task)
        task.future.add_done_callback(lambda done: self._post(lambda: finish(done)))

    def _finish(self, key: Hashable, task: _Task, future: Future[object]) -> None:
        if self._tasks.get(key) is not task or future.cancelled():
            return
        task.future = None
        error = future.exception()
        if error is not None and not isinstance(error, Refused):
            if task.succeed() or not task.forgotten:
                self._retry(key, task, error)
            else:
                self._end(key, task)
            return
        if error is not None:
            LOG.warning("Task %s was refused: %s", _name(key), error)
        if task.succeed():
            self._start(key, task)
            return
        if task.kept and not task.forgotten:
            self._keep(key, task, Done(None, error) if error else Done(future.result()))
        self._end(key, task)

    def _retry(self, key: Hashable, task: _Task, error: BaseException) -> None:
        delay = self._retries.retry(key)
        if task.failing_since is None:
            task.failing_since = self._clock()
        self._observer.retries(Step.TASK)
        # Waiters may continue without the result; the task is retried all the same.
        self._wake_all(task.waiters)
        known = isinstance(error, OctaviaOvnError)
        LOG.warning(
            "Task %s will be tried again in %.1f s: %s",
            _name(key),
            delay,
            error,
            exc_info=None if known else error,
        )

    def _keep(self, key: Hashable, task: _Task, done: Done[object]) -> None:
        before = self._done.pop(key, None)
        if before is not None:
            task.waiters |= before.users
        kept = self._done[key] = _Kept(done, self._clock())
        if done.refusal is not None:
            self._watch(key, kept)
        while len(self._done) > MOST:
            del self._done[next(iter(self._done))]

    def _end(self, key: Hashable, task: _Task) -> None:
        self._retries.succeeded(key)
        del self._tasks[key]
        self._wake_all(task.waiters)
        for held in self._held.pop(key, ()):
            if held in self._tasks:
                self._start(held, self._tasks[held])

    def _wake_all(self, waiters: set[str]) -> None:
        found = sorted(waiters)
        waiters.clear()
        for waiter in found:
            self._wake(waiter)


def _name(key: Hashable) -> str:
    """Return a key as operators read it, such as `source 0c2f…`, without requests and objects."""
    parts = key if isinstance(key, tuple) else (key,)
    return " ".join(each for each in parts if isinstance(each, str))
