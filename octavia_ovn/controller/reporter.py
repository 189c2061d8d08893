# SPDX-License-Identifier: Apache-2.0
"""Reports statuses to Octavia, beside the main loop: one message for all load balancers that wait.

Through a socket a message costs a fork and some 0.3 s, with any size, and one whose load
balancer is locked by an open request waits for it. So several threads send, each takes all updates
that wait, and a message that fails is sent again load balancer by load balancer.

Octavia takes minutes for large deletions, so they are sent in parts, after those of small load
balancers; the next part follows when the one before has been answered. Octavia may still be
processing a message that it has not answered: the same message again at the same time would count
quotas down twice. So the reporter asks what Octavia has deleted until that no longer changes.

Octavia may overwrite some records, because it commits only after the driver has answered. Those are
sent once more soon after. Where Octavia shows that an object has left PENDING, its record is left
out: users see when an object was changed last.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from octavia_ovn.controller.status_updates import (
    BUDGET,
    NOT_ASKED,
    StatusUpdate,
    advanced,
    cut,
    deletions,
    ids,
    merge,
    priced,
    without,
)
from octavia_ovn.core.backoff import backoff
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.status import Message
from octavia_ovn.errors import OctaviaOvnError, Refused, Unanswered
from octavia_ovn.observer import SILENT, Defect, Observer, Step
from octavia_ovn.supervised import SupervisedThread

LOG = logging.getLogger(__name__)
K = TypeVar("K")

RESEND_DELAY = 0.1
"""Seconds after which records that Octavia may have overwritten are sent once more.

Octavia accepts the record of a load balancer only after the request that locks it has committed, so
nothing is overwritten later; and until then a user sees PENDING."""
_COMMIT_DELAY = 1.0
"""The same as long as Octavia does not show the load balancer, growing by itself each time."""
_MAX_UPDATES = 100
_MAX_QUESTIONS = 16
"""Records that are verified with Octavia before they are sent once more; with more than that,
sending them all costs less."""
_FIRST_RETRY = 0.05
_LONGEST_RETRY = 10.0
_LOAD_BALANCERS = Kind.LOAD_BALANCER.value
_PATIENCE = 8
"""Attempts to send a record that Octavia refuses, whose row may not be committed yet; and attempts
to ask Octavia something before an update is sent without the answer."""
_QUIET = 5.0
"""Seconds in which an unanswered message deletes something, unless its work has ended."""


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

    :param accepted: called (in a background thread) with the load balancer's id and the
        update's key
    :param settled: returns the ids of those objects of a message that Octavia shows in a final
        status; raises OctaviaOvnError when Octavia does not answer
    :param objects: returns the ids of a load balancer and all that belongs to it, as Octavia has
        committed them, None when it does not answer; raises nothing
    """

    def __init__(  # noqa: PLR0913 - Octavia has many sides
        self,
        sink: StatusSink,
        accepted: Callable[[str, K], None],
        clock: Callable[[], float],
        settled: Callable[[Message], frozenset[str]] = lambda _: frozenset(),
        objects: Callable[[str], frozenset[str] | None] = lambda _: None,
        workers: int = 4,
        observer: Observer = SILENT,
    ) -> None:
        self._sink = sink
        self._accepted = accepted
        self._clock = clock
        self._settled = settled
        self._objects = objects
        self._observer = observer
        self._changed = threading.Condition()
        self._waiting: dict[str, StatusUpdate[K]] = {}
        self._resends: dict[str, StatusUpdate[K]] = {}
        self._sending: set[str] = set()
        self._dropped: set[str] = set()
        """Load balancers whose updates were dropped while they were being sent."""
        self._withdrawn: set[str] = set()
        """Load balancers that were withdrawn while their updates were being sent."""
        self._closed = False
        self._threads = [SupervisedThread(self._work, "reporter", observer) for _ in range(workers)]
        self._threads.append(SupervisedThread(self._verify, "reporter-ask", observer))
        for thread in self._threads:
            thread.start()

    def send(self, update: StatusUpdate[K]) -> None:
        """Accept an update; it replaces one of the same load balancer that still waits."""
        with self._changed:
            self._waiting[update.lb_id] = priced(replace(update, since=self._clock()))
            resend = self._resends.get(update.lb_id)
            if resend is not None:
                self._set_resend(resend)
            self._changed.notify_all()

    def withdraw(self, lb_id: str) -> None:
        """Do not report a load balancer ACTIVE once more: another request has locked it."""
        with self._changed:
            if lb_id in self._sending:
                self._withdrawn.add(lb_id)
            waiting, resend = self._waiting.get(lb_id), self._resends.get(lb_id)
            if waiting is not None:
                self._waiting[lb_id] = replace(waiting, resend=_children(waiting.resend))
            if resend is not None and _LOAD_BALANCERS in resend.message:
                self._set_resend(replace(resend, message=_children(resend.message)))

    def drop(self) -> None:
        """Drop what Octavia has not accepted: another agent reports from now on.

        Records to send once more are kept, because only this agent knows of them.
        """
        with self._changed:
            self._waiting.clear()
            self._dropped |= self._sending

    def close(self, timeout: float) -> None:
        """Stop after what is being sent, in that many seconds at most."""
        deadline = time.monotonic() + timeout
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.stop()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while updates := self._take():
            left = updates  # unless they are sent
            try:
                left = self._deliver(updates)
            finally:
                self._finish(updates, left)

    def _finish(self, sent: list[StatusUpdate[K]], left: list[StatusUpdate[K]]) -> None:
        """Release load balancers for the next message; keep what must be sent later."""
        with self._changed:
            for update in left:
                self._put_back(update)
            done = {update.lb_id for update in sent}
            self._sending -= done
            self._dropped -= done
            self._withdrawn -= done
            self._changed.notify_all()

    def _take(self) -> list[StatusUpdate[K]]:
        """Wait for updates that are due; none when closed."""
        with self._changed:
            while not self._closed:
                now = self._clock()
                resend = (each for each in self._resends.values() if each.verified)
                every = (*self._waiting.values(), *resend)
                free = [each for each in every if each.lb_id not in self._sending]
                due = [each for each in free if each.due <= now]
                if due:
                    return self._pick(due)
                self._changed.wait(min((each.due - now for each in free), default=None))
            return []

    def _verify(self) -> None:
        """Drop records to resend that are settled, in a thread of its own: nothing else waits."""
        while updates := self._unverified():
            resend = merge(update.message for update in updates)
            if len(ids(resend)) > _MAX_QUESTIONS:
                # A load balancer that a later request has locked must never be unlocked.
                resend = {kind: each for kind, each in resend.items() if kind == _LOAD_BALANCERS}
            verified = self._verify_resends(updates, resend)
            with self._changed:
                for update, later in zip(updates, verified, strict=True):
                    # An update that has replaced it meanwhile is not verified.
                    if self._resends.get(update.lb_id) is update:
                        self._set_resend(later)
                self._changed.notify_all()

    def _verify_resends(
        self, updates: list[StatusUpdate[K]], resend: Message
    ) -> list[StatusUpdate[K]]:
        settled: frozenset[str] | None = None
        try:
            settled = self._settled(resend) if resend else frozenset()
        except OctaviaOvnError as error:
            LOG.info("Octavia does not answer which statuses are settled: %s", error)
        # Sending too many records is harmless, sending too few is not.
        except Exception:
            LOG.exception("Octavia could not be asked which statuses are settled")
            self._observer.meets(Defect.REPORT)
        return [self._without_settled(update, settled) for update in updates]

    def _without_settled(
        self, update: StatusUpdate[K], settled: frozenset[str] | None
    ) -> StatusUpdate[K]:
        """Return what is left to send once more, or the update for later.

        Some databases do not have a status wait for the commit of a new load balancer: it is lost.
        While Octavia does not answer, the load balancer's own record waits; a later request removes
        it, see :meth:`withdraw`.
        """
        message = without(update.message, settled or frozenset())
        new = _LOAD_BALANCERS in message
        sure = settled is not None and self._objects(update.lb_id) != frozenset()
        if new and update.failures < _PATIENCE and not sure:
            due = self._clock() + _COMMIT_DELAY * (1 + update.failures)
            return replace(update, due=due, failures=update.failures + 1)
        return replace(update, message=message, verified=True, failures=0)

    def _unverified(self) -> list[StatusUpdate[K]]:
        """Wait for records to resend that are due and not verified; none when closed."""
        with self._changed:
            while not self._closed:
                now = self._clock()
                unverified = [each for each in self._resends.values() if not each.verified]
                due = [each for each in unverified if each.due <= now]
                if due:
                    return due
                self._changed.wait(min((each.due - now for each in unverified), default=None))
            return []

    def _pick(self, due: list[StatusUpdate[K]]) -> list[StatusUpdate[K]]:
        """Take what goes into one message: small updates first, but none waits without limit."""
        isolate = next((each for each in due if each.isolate), None)
        picked: dict[str, StatusUpdate[K]] = {}
        left = BUDGET
        for update in [isolate] if isolate else sorted(due, key=_urgency)[:_MAX_UPDATES]:
            if picked and update.cost > left:
                break
            if picked.setdefault(update.lb_id, update) is update:
                source = self._resends if update.key is None else self._waiting
                del source[update.lb_id]
                left -= update.cost
        self._sending |= picked.keys()
        return list(picked.values())

    def _put_back(self, update: StatusUpdate[K]) -> None:
        if update.key is None:
            self._set_resend(update)
        elif update.lb_id not in self._dropped:
            self._waiting.setdefault(update.lb_id, update)

    def _set_resend(self, update: StatusUpdate[K]) -> None:
        waiting = self._waiting.get(update.lb_id)
        if waiting is not None:
            # A newer status must not be overwritten by an old one.
            update = replace(update, message=without(update.message, ids(waiting.message)))
        if update.message:
            self._resends[update.lb_id] = update
        else:
            self._resends.pop(update.lb_id, None)

    def _deliver(self, updates: list[StatusUpdate[K]]) -> list[StatusUpdate[K]]:
        """Send the next message; return what must be sent later.

        Only an update that is sent alone may be too large for one message.
        """
        if updates[0].doubt is not None:
            updates = [self._without_done(updates[0])]
            if updates[0].doubt is not None:
                return updates
        parts = [cut(update) for update in updates]
        began = self._clock()
        try:
            self._sink.update_status(merge(now for now, _ in parts))
        # No exception may end this thread: nothing would be reported any more.
        except Exception as error:  # noqa: BLE001 - it is logged there
            return self._failed(updates, error)
        if len(updates) == 1 and parts[0][1]:
            return [advanced(updates[0], *parts[0], self._clock() - began)]
        return [resend for update in updates if (resend := self._delivered(update))]

    def _failed(self, updates: list[StatusUpdate[K]], error: Exception) -> list[StatusUpdate[K]]:
        """Return what must be sent again after a message that failed."""
        several = len(updates) > 1
        if isinstance(error, Refused):
            if several:
                return [replace(update, isolate=True) for update in updates]
            return [self._refused(updates[0], error)]
        if isinstance(error, OctaviaOvnError):
            LOG.warning(
                "The status of %d load balancers cannot be reported to Octavia: %s",
                len(updates),
                error,
            )
            doubt = NOT_ASKED if isinstance(error, Unanswered) else None
            return [self._later(_doubted(update, doubt)) for update in updates]
        LOG.error(
            "The status of %d load balancers could not be reported to Octavia",
            len(updates),
            exc_info=error,
        )
        self._observer.meets(Defect.REPORT, None if several else updates[0].lb_id)
        return [self._later(replace(update, isolate=True)) for update in updates]

    def _without_done(self, update: StatusUpdate[K]) -> StatusUpdate[K]:
        """Return an update without the deletions that Octavia has done after all.

        It is in doubt as long as Octavia keeps deleting, or does not answer.
        """
        there = self._objects(update.lb_id)
        if there is None:
            return self._later(update, _QUIET) if update.failures < _PATIENCE else _sure(update)
        wanted = deletions(update.message)
        left = len(wanted & there)
        update = priced(replace(update, message=without(update.message, wanted - there)))
        if left in (0, update.doubt):
            return _sure(update)
        return replace(update, doubt=left, due=self._clock() + _QUIET)

    def _delivered(self, update: StatusUpdate[K]) -> StatusUpdate[K] | None:
        """Note that an update has been accepted; return what must be sent once more."""
        self._observer.overcomes(update.lb_id, Defect.REPORT)
        if update.key is None:
            return None
        with self._changed:
            if update.lb_id not in self._dropped:
                self._accepted(update.lb_id, update.key)
            earlier = self._resends.get(update.lb_id)
            again = update.resend
            if update.lb_id in self._withdrawn:
                again = _children(again)
        kept = without(earlier.message, ids(update.message)) if earlier else {}
        resend = merge([kept, again])
        # These records may be overwritten later than the earlier ones.
        due = self._clock() + RESEND_DELAY
        return (
            priced(StatusUpdate(update.lb_id, None, resend, due=due, since=due)) if resend else None
        )

    def _later(self, update: StatusUpdate[K], first: float = _FIRST_RETRY) -> StatusUpdate[K]:
        self._observer.retries(Step.REPORT)
        delay = backoff(update.failures, first, _LONGEST_RETRY)
        return replace(update, due=self._clock() + delay, failures=update.failures + 1)

    def _refused(self, update: StatusUpdate[K], error: Refused) -> StatusUpdate[K]:
        """Retry, and in the end without the record: Octavia does not know the object."""
        if update.failures < _PATIENCE:
            return self._later(replace(update, isolate=True))
        culprit = getattr(error, "status_object_id", None)
        LOG.error(
            "Load balancer %s: Octavia refuses the status of %s: %s", update.lb_id, culprit, error
        )
        unknown = frozenset({culprit})
        return replace(
            update,
            message=without(update.message, unknown),
            resend=without(update.resend, unknown),
            due=self._clock() + _LONGEST_RETRY,
            failures=0,
        )


def _urgency(update: StatusUpdate[K]) -> float:
    """Return what orders updates: smaller ones overtake larger ones, but not without limit."""
    return update.since + update.cost


def _children(message: Message) -> Message:
    """Return a message without load balancers."""
    return {kind: records for kind, records in message.items() if kind != _LOAD_BALANCERS}


def _doubted(update: StatusUpdate[K], doubt: int | None) -> StatusUpdate[K]:
    """Return an update whose message may have been executed, if that makes a difference."""
    if doubt is None or not deletions(update.message):
        return update
    return replace(update, doubt=doubt, isolate=True)


def _sure(update: StatusUpdate[K]) -> StatusUpdate[K]:
    return replace(update, doubt=None, failures=0)
