"""Tells Octavia, beside the main loop: one message for as many load balancers as are waiting.

With a real Octavia a message costs a fork and some 0.3 s, whatever is in it, and one whose load
balancer is locked by an open request waits for it. So several threads send, each takes all that
waits, and a message that fails is sent again load balancer by load balancer.

Octavia takes minutes for large deletions, so they are told in parts, the small load balancers'
first; the next part follows when the one before has been answered. Of a message that was not
answered Octavia may still be doing the work: the same again at the same time would count quotas
down twice. So it is asked what it has deleted, until that does not change any more.

Octavia may overwrite some records, because it commits only after the driver has answered. Those are
sent once more a second later, many at a time; nobody waits for that. Where Octavia can say that an
object has left PENDING, its record is left out: users see when an object was changed last, and it
was not changed then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

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
from octavia_ovn.observer import NOBODY, Defect, Observer, Step
from octavia_ovn.supervised import SupervisedThread

LOG = logging.getLogger(__name__)

LATE_DELAY = 1.0
"""Seconds after which records that Octavia may have overwritten are sent once more."""
_MAX_PARCELS = 100
_MAX_QUESTIONS = 16
"""Records about which Octavia is asked before they are sent once more; of more than that, sending
them all costs less."""
_FIRST_RETRY = 0.05
_LONGEST_RETRY = 10.0
_LOAD_BALANCERS = Kind.LOAD_BALANCER.value
_PATIENCE = 8
"""How often a record that Octavia refuses is tried: its row may not be committed yet; and how often
Octavia is asked for something before it is told without an answer."""
_QUIET = 5.0
"""Seconds in which an unanswered message deletes something, unless its work has ended."""


class StatusSink(Protocol):
    """Octavia's driver agent."""

    def update_status(self, status: Mapping[str, object]) -> None:
        """Deliver statuses.

        :raises Refused: when Octavia cannot apply a record
        :raises Unanswered: when it does not answer, and may be at work on it
        :raises Unavailable: when it cannot be told
        """


class Reporter:
    """Sends parcels in background threads until Octavia has accepted them.

    :param accepted: called (in a background thread) with the load balancer's id and the ticket
    :param settled: returns the ids of those objects of a message that Octavia shows in a final
        status; raises OctaviaOvnError when it does not say
    :param objects: returns the ids of a load balancer and all that belongs to it, as Octavia has
        committed them, None when it does not say; raises nothing
    """

    def __init__(  # noqa: PLR0913 - Octavia has many sides
        self,
        sink: StatusSink,
        accepted: Callable[[str, object], None],
        clock: Callable[[], float],
        settled: Callable[[Message], frozenset[str]] = lambda _: frozenset(),
        objects: Callable[[str], frozenset[str] | None] = lambda _: None,
        workers: int = 4,
        observer: Observer = NOBODY,
    ) -> None:
        self._sink = sink
        self._accepted = accepted
        self._clock = clock
        self._settled = settled
        self._objects = objects
        self._observer = observer
        self._changed = threading.Condition()
        self._waiting: dict[str, StatusUpdate] = {}
        self._late: dict[str, StatusUpdate] = {}
        self._sending: set[str] = set()
        self._dropped: set[str] = set()
        """Load balancers whose parcels were dropped while they were being sent."""
        self._withdrawn: set[str] = set()
        """Load balancers that were withdrawn while their parcels were being sent."""
        self._closed = False
        self._threads = [SupervisedThread(self._work, "reporter", observer) for _ in range(workers)]
        self._threads.append(SupervisedThread(self._ask, "reporter-ask", observer))
        for thread in self._threads:
            thread.start()

    def send(self, update: StatusUpdate) -> None:
        """Take a parcel; it replaces one of the same load balancer that still waits."""
        with self._changed:
            self._waiting[update.lb_id] = priced(replace(update, since=self._clock()))
            late = self._late.get(update.lb_id)
            if late is not None:
                self._set_late(late)
            self._changed.notify_all()

    def withdraw(self, lb_id: str) -> None:
        """Take back that a load balancer is to be told ACTIVE once more: a request holds it now."""
        with self._changed:
            if lb_id in self._sending:
                self._withdrawn.add(lb_id)
            waiting, late = self._waiting.get(lb_id), self._late.get(lb_id)
            if waiting is not None:
                self._waiting[lb_id] = replace(waiting, late=_children(waiting.late))
            if late is not None and _LOAD_BALANCERS in late.message:
                self._set_late(replace(late, message=_children(late.message)))

    def drop(self) -> None:
        """Drop what has not been accepted: another agent reports from now on, and knows better.

        What is to be told once more is, because nobody else knows of it.
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
            left = updates  # unless they are told
            try:
                left = self._deliver(updates)
            finally:
                self._finish(updates, left)

    def _finish(self, sent: list[StatusUpdate], left: list[StatusUpdate]) -> None:
        """Release load balancers for the next message; keep what must be sent later."""
        with self._changed:
            for update in left:
                self._put_back(update)
            done = {update.lb_id for update in sent}
            self._sending -= done
            self._dropped -= done
            self._withdrawn -= done
            self._changed.notify_all()

    def _take(self) -> list[StatusUpdate]:
        """Wait for parcels that are due; none when closed."""
        with self._changed:
            while not self._closed:
                now = self._clock()
                late = (each for each in self._late.values() if each.asked)
                every = (*self._waiting.values(), *late)
                free = [each for each in every if each.lb_id not in self._sending]
                due = [each for each in free if each.due <= now]
                if due:
                    return self._pick(due)
                self._changed.wait(min((each.due - now for each in free), default=None))
            return []

    def _ask(self) -> None:
        """Leave out of late records what is settled; beside the others, who wait for no answer."""
        while updates := self._unasked():
            late = merge(update.message for update in updates)
            if len(ids(late)) > _MAX_QUESTIONS:
                # A load balancer that a later request holds must not be let go by any means.
                late = {kind: each for kind, each in late.items() if kind == _LOAD_BALANCERS}
            judged = self._judge(updates, late)
            with self._changed:
                for update, later in zip(updates, judged, strict=True):
                    # Octavia was not asked about what has been put by meanwhile.
                    if self._late.get(update.lb_id) is update:
                        self._set_late(later)
                self._changed.notify_all()

    def _judge(self, updates: list[StatusUpdate], late: Message) -> list[StatusUpdate]:
        settled: frozenset[str] | None = None
        try:
            settled = self._settled(late) if late else frozenset()
        except OctaviaOvnError as error:
            LOG.info("Octavia does not say what is settled: %s", error)
        # What belongs to a load balancer must be told all the same: telling too much is harmless.
        except Exception:
            LOG.exception("Octavia could not be asked what is settled")
            self._observer.meets(Defect.REPORT)
        return [self._judged(update, settled) for update in updates]

    def _judged(self, update: StatusUpdate, settled: frozenset[str] | None) -> StatusUpdate:
        """Return what is left to be told once more, or the parcel for later.

        Some databases do not have a status wait for the commit of a new load balancer: it is lost.
        Where Octavia does not say, the load balancer's own record waits: a later request that holds
        it takes the record back, see :meth:`withdraw`.
        """
        message = without(update.message, settled or frozenset())
        new = _LOAD_BALANCERS in message
        sure = settled is not None and self._objects(update.lb_id) != frozenset()
        if new and update.failures < _PATIENCE and not sure:
            due = self._clock() + LATE_DELAY * (1 + update.failures)
            return replace(update, due=due, failures=update.failures + 1)
        return replace(update, message=message, asked=True, failures=0)

    def _unasked(self) -> list[StatusUpdate]:
        """Wait for late parcels that are due and not asked about; none when closed."""
        with self._changed:
            while not self._closed:
                now = self._clock()
                unasked = [each for each in self._late.values() if not each.asked]
                due = [each for each in unasked if each.due <= now]
                if due:
                    return due
                self._changed.wait(min((each.due - now for each in unasked), default=None))
            return []

    def _pick(self, due: list[StatusUpdate]) -> list[StatusUpdate]:
        """Take what goes into one message: small parcels first, but none waits for ever."""
        isolate = next((each for each in due if each.isolate), None)
        picked: dict[str, StatusUpdate] = {}
        left = BUDGET
        for update in [isolate] if isolate else sorted(due, key=_urgency)[:_MAX_PARCELS]:
            if picked and update.cost > left:
                break
            if picked.setdefault(update.lb_id, update) is update:
                source = self._late if update.ticket is None else self._waiting
                del source[update.lb_id]
                left -= update.cost
        self._sending |= picked.keys()
        return list(picked.values())

    def _put_back(self, update: StatusUpdate) -> None:
        if update.ticket is None:
            self._set_late(update)
        elif update.lb_id not in self._dropped:
            self._waiting.setdefault(update.lb_id, update)

    def _set_late(self, update: StatusUpdate) -> None:
        waiting = self._waiting.get(update.lb_id)
        if waiting is not None:
            # What is told anew must not be told once more with its old status.
            update = replace(update, message=without(update.message, ids(waiting.message)))
        if update.message:
            self._late[update.lb_id] = update
        else:
            self._late.pop(update.lb_id, None)

    def _deliver(self, updates: list[StatusUpdate]) -> list[StatusUpdate]:
        """Send the next message; return what must be sent later.

        Only a parcel that is sent alone may be too large for one message.
        """
        if updates[0].doubt is not None:
            updates = [self._verified(updates[0])]
            if updates[0].doubt is not None:
                return updates
        parts = [cut(update) for update in updates]
        began = self._clock()
        try:
            self._sink.update_status(merge(now for now, _ in parts))
        # No exception may end this: Octavia would not be told anything any more.
        except Exception as error:  # noqa: BLE001 - it is logged there
            return self._failed(updates, error)
        if len(updates) == 1 and parts[0][1]:
            return [advanced(updates[0], *parts[0], self._clock() - began)]
        return [late for update in updates if (late := self._delivered(update))]

    def _failed(self, updates: list[StatusUpdate], error: Exception) -> list[StatusUpdate]:
        """Return what must be sent again after a message that failed."""
        several = len(updates) > 1
        if isinstance(error, Refused):
            if several:
                return [replace(update, isolate=True) for update in updates]
            return [self._refused(updates[0], error)]
        if isinstance(error, OctaviaOvnError):
            LOG.warning(
                "Octavia cannot be told the status of %d load balancers: %s", len(updates), error
            )
            doubt = NOT_ASKED if isinstance(error, Unanswered) else None
            return [self._later(_doubted(update, doubt)) for update in updates]
        LOG.error("Octavia could not be told of %d load balancers", len(updates), exc_info=error)
        self._observer.meets(Defect.REPORT, None if several else updates[0].lb_id)
        return [self._later(replace(update, isolate=True)) for update in updates]

    def _verified(self, update: StatusUpdate) -> StatusUpdate:
        """Return a parcel without the deletions that Octavia has done after all.

        It is in doubt as long as Octavia keeps deleting, or does not say.
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

    def _delivered(self, update: StatusUpdate) -> StatusUpdate | None:
        """Say that a parcel has been accepted; return what must be sent once more."""
        self._observer.overcomes(update.lb_id, Defect.REPORT)
        if update.ticket is None:
            return None
        with self._changed:
            if update.lb_id not in self._dropped:
                self._accepted(update.lb_id, update.ticket)
            earlier = self._late.get(update.lb_id)
            again = update.late
            if update.lb_id in self._withdrawn:
                again = _children(again)
        kept = without(earlier.message, ids(update.message)) if earlier else {}
        late = merge([kept, again])
        # What is told once more with the earlier records may be overwritten later than they.
        due = self._clock() + LATE_DELAY
        return priced(StatusUpdate(update.lb_id, None, late, due=due, since=due)) if late else None

    def _later(self, update: StatusUpdate, first: float = _FIRST_RETRY) -> StatusUpdate:
        self._observer.retries(Step.REPORT)
        delay = backoff(update.failures, first, _LONGEST_RETRY)
        return replace(update, due=self._clock() + delay, failures=update.failures + 1)

    def _refused(self, update: StatusUpdate, error: Refused) -> StatusUpdate:
        """Try again, and in the end without the record: Octavia does not know the object."""
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
            late=without(update.late, unknown),
            due=self._clock() + _LONGEST_RETRY,
            failures=0,
        )


def _urgency(update: StatusUpdate) -> float:
    """Return what orders parcels: one is overtaken by what is smaller, but not for ever."""
    return update.since + update.cost


def _children(message: Message) -> Message:
    """Return a message without load balancers."""
    return {kind: records for kind, records in message.items() if kind != _LOAD_BALANCERS}


def _doubted(update: StatusUpdate, doubt: int | None) -> StatusUpdate:
    """Return a parcel whose message may have been executed, if that makes a difference."""
    if doubt is None or not deletions(update.message):
        return update
    return replace(update, doubt=doubt, isolate=True)


def _sure(update: StatusUpdate) -> StatusUpdate:
    return replace(update, doubt=None, failures=0)
