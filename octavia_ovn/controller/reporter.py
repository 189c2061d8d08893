# SPDX-License-Identifier: Apache-2.0
"""Reports statuses to Octavia, beside the main loop: a message for each load balancer.

A request may be realised before Octavia has committed it, and Octavia writes some statuses only
after the driver has answered. So Octavia is asked for its commit first: a message about the load
balancer alone is answered once the request that holds it has been committed, because it waits for
its lock. A new load balancer has no lock that each database shows, so the reporter waits until
Octavia shows it. Octavia lets the load balancer go with the last record, and nothing follows it.

Octavia takes minutes for large deletions, so they are sent in parts, between those of others.
Octavia may still be processing a message that it has not answered: the same message again at the
same time would count quotas down twice. So the reporter asks what Octavia has deleted until that no
longer changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, wait
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from octavia_ovn.controller.protocols import Octavia
from octavia_ovn.controller.queue import Queue
from octavia_ovn.controller.status_updates import StatusUpdate, cut, deletions, without
from octavia_ovn.core.backoff import backoff
from octavia_ovn.errors import OctaviaOvnError, Refused, Unanswered
from octavia_ovn.observer import SILENT, Defect, Observer, Step

LOG = logging.getLogger(__name__)
K = TypeVar("K")

MAX_MESSAGES = 8
"""Messages at a time: through a socket each costs a process."""
MAX_WAITING = 32
"""The same with those that wait: fewer than the processes of the socket and the connections of the
database."""
SLOW = 3.0
"""Seconds after which a message is waiting: for a lock, or for a database that does not answer."""
_FIRST_RETRY = 0.05
_LONGEST_RETRY = 10.0
_FIRST_LOOK = 0.02
"""Seconds until Octavia is asked again whether it has a new load balancer."""
_QUIET = 5.0
"""Seconds in which an unanswered message deletes something, unless its work has ended."""
_PATIENCE = 12
"""Attempts, in about a minute: to send a record that Octavia refuses; to see a new load balancer;
to ask Octavia something before an update is sent without the answer."""


class StatusSink(Protocol):
    """Octavia's driver agent."""

    def update_status(self, status: Mapping[str, object]) -> None:
        """Deliver statuses.

        :raises Refused: when Octavia cannot apply a record
        :raises Unanswered: when it does not answer, and may still be processing them
        :raises Unavailable: when it cannot be reached
        """


class Reporter(Generic[K]):
    """Sends updates in background threads until Octavia has accepted them.

    All methods but what the executor runs are called in the main loop's thread.

    :param octavia: says what Octavia has committed
    :param accepted: called with the load balancer's id and the update's key
    :param executor: sends messages; at most :data:`MAX_WAITING` at a time
    :param post: hands a function to the main loop, from any thread
    :param clock: seconds, monotonic
    :param wanted: whether an update must still be sent, by the load balancer's id and its key
    """

    def __init__(  # noqa: PLR0913 - it stands between threads
        self,
        sink: StatusSink,
        octavia: Octavia,
        accepted: Callable[[str, K], None],
        executor: Executor,
        post: Callable[[Callable[[], None]], None],
        clock: Callable[[], float],
        observer: Observer = SILENT,
        wanted: Callable[[str, K], bool] = lambda _, __: True,
    ) -> None:
        self._sink = sink
        self._octavia = octavia
        self._accepted = accepted
        self._executor = executor
        self._post = post
        self._observer = observer
        self._wanted = wanted
        self._waiting: dict[str, StatusUpdate[K]] = {}
        self._sending: dict[str, Future[StatusUpdate[K] | None]] = {}
        self._since: dict[str, float] = {}
        """When each of them began."""
        self._dropped: set[str] = set()
        """Load balancers whose updates were dropped while they were being sent."""
        self._clock = clock
        self._queue: Queue[str] = Queue(clock)
        """Load balancers with updates that wait, but for those that are being sent."""

    def send(self, update: StatusUpdate[K]) -> None:
        """Accept an update; it replaces one of the same load balancer that still waits."""
        lb_id = update.lb_id
        before = self._waiting.get(lb_id)
        if before is not None and before.doubt is not None:
            # It may contain the same deletions, which Octavia may still be doing.
            update = replace(update, doubt=before.doubt, delay=before.delay)
        self._waiting[lb_id] = update
        if lb_id not in self._sending:
            self._queue.add(lb_id, update.delay)

    def drop(self) -> None:
        """Drop what Octavia has not accepted: another agent reports from now on."""
        self._waiting.clear()
        self._dropped.update(self._sending)

    def close(self, timeout: float) -> None:
        """Wait for the messages that are being sent, for that many seconds at most."""
        wait(self._sending.values(), timeout)

    def run(self) -> None:
        """Send what is due, the oldest first."""
        for lb_id in self._queue.ready(self._free()):
            self._queue.succeeded(lb_id)
            update = self._waiting.pop(lb_id, None)
            if update is not None and self._is_wanted(update):
                self._start(update)

    def _is_wanted(self, update: StatusUpdate[K]) -> bool:
        try:
            return self._wanted(update.lb_id, update.key)
        # Rows that cannot be read must not end the loop for all load balancers.
        except Exception:
            LOG.exception("Load balancer %s cannot be read", update.lb_id)
            self._observer.meets(Defect.REPORT, update.lb_id)
            return True

    def next_due(self) -> float | None:
        """Return in how many seconds :meth:`run` has something to send; None if nothing waits."""
        due = self._queue.next_due()
        return due if due is None or self._free() > 0 else SLOW

    def _free(self) -> int:
        """Return how many more messages may be sent now; those that wait hold no others up."""
        slow = self._clock() - SLOW
        quick = sum(since > slow for since in self._since.values())
        return min(MAX_MESSAGES - quick, MAX_WAITING - len(self._sending))

    def _start(self, update: StatusUpdate[K]) -> None:
        self._since[update.lb_id] = self._clock()
        future = self._sending[update.lb_id] = self._executor.submit(self._deliver, update)
        future.add_done_callback(lambda done: self._post(lambda: self._finish(update, done)))

    def _finish(self, update: StatusUpdate[K], done: Future[StatusUpdate[K] | None]) -> None:
        """Take note of how a message has ended; keep what must be sent later."""
        lb_id = update.lb_id
        del self._sending[lb_id], self._since[lb_id]
        dropped = lb_id in self._dropped
        self._dropped.discard(lb_id)
        error = done.exception()
        left = done.result() if error is None else self._failed(update, error)
        newer = self._waiting.pop(lb_id, None)
        for each in (None if dropped else left, newer):
            if each is not None:
                self.send(each)
        if left is None:
            self._observer.overcomes(lb_id, Defect.REPORT)
            if not dropped:
                self._accepted(lb_id, update.key)

    def _deliver(self, update: StatusUpdate[K]) -> StatusUpdate[K] | None:
        """Send the next message, in another thread; return what is left, None if nothing is."""
        patient = update.failures < _PATIENCE
        if update.doubt is not None and patient:
            update = self._without_done(update)
            if update.doubt is not None:
                return update
        if update.new and patient and not self._octavia.exists(update.lb_id):
            return _later(update, _FIRST_LOOK)
        if update.first:
            self._sink.update_status(update.first)
        if update.lb_id in self._dropped:  # the answer may have taken long
            return None
        now, rest = cut(update.message)
        self._sink.update_status(now)
        return StatusUpdate(update.lb_id, update.key, rest) if rest else None

    def _without_done(self, update: StatusUpdate[K]) -> StatusUpdate[K]:
        """Return an update without the deletions that Octavia has done after all.

        It is in doubt as long as Octavia keeps deleting.
        """
        wanted = deletions(update.message)
        left = self._octavia.belonging(update.lb_id, wanted)
        done = frozenset(object_id for _, object_id in wanted - left)
        doubt = None if left in (frozenset(), update.doubt) else left
        message = without(update.message, done)
        return replace(update, message=message, doubt=doubt, delay=_QUIET, failures=0)

    def _failed(self, update: StatusUpdate[K], error: BaseException) -> StatusUpdate[K]:
        """Return what must be sent again after a message that failed."""
        lb_id = update.lb_id
        self._observer.retries(Step.REPORT)
        if isinstance(error, Refused):
            if update.failures >= _PATIENCE:
                return _without_refused(update, error)
        elif isinstance(error, OctaviaOvnError):
            # Once: an outage concerns many load balancers.
            level = logging.DEBUG if update.failures else logging.WARNING
            LOG.log(
                level,
                "The status of load balancer %s cannot be reported to Octavia: %s",
                lb_id,
                error,
            )
            if isinstance(error, Unanswered) and update.doubt is None and deletions(update.message):
                return replace(update, doubt=frozenset(), delay=_QUIET, failures=0)
        else:
            LOG.error(
                "The status of load balancer %s could not be reported to Octavia",
                lb_id,
                exc_info=error,
            )
            self._observer.meets(Defect.REPORT, lb_id)
        return _later(update, _FIRST_RETRY)


def _later(update: StatusUpdate[K], first: float) -> StatusUpdate[K]:
    delay = backoff(update.failures, first, _LONGEST_RETRY)
    return replace(update, delay=delay, failures=update.failures + 1)


def _without_refused(update: StatusUpdate[K], error: Refused) -> StatusUpdate[K]:
    """Return an update without the record that Octavia refuses: it does not know the object."""
    culprit = getattr(error, "status_object_id", None)
    LOG.error(
        "Load balancer %s: Octavia refuses the status of %s: %s", update.lb_id, culprit, error
    )
    message = without(update.message, frozenset({culprit}))
    return replace(update, message=message, delay=_LONGEST_RETRY, failures=0)
