# SPDX-License-Identifier: Apache-2.0
"""The controller: reconciles load balancers from its queue and carries out the outcomes.

It runs in the thread that owns the replicas. Background calls run in other threads and post their
results to the loop as functions.
"""

from __future__ import annotations

import collections
import functools
import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor

from octavia_ovn.controller import vip_ports
from octavia_ovn.controller.connection_limits import ConnectionLimits
from octavia_ovn.controller.dependencies import Index
from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.facts import ANSWERED_BY, FactFinder
from octavia_ovn.controller.member_health import MemberHealth
from octavia_ovn.controller.probing import Probing
from octavia_ovn.controller.protocols import Neutron, Northbound, Octavia, Southbound
from octavia_ovn.controller.queue import Queue
from octavia_ovn.controller.reconcile import Outcome, Reconciler
from octavia_ovn.controller.releases import Releases
from octavia_ovn.controller.reported import ReportedStatus, ReportKey
from octavia_ovn.controller.reporter import Reporter, StatusSink
from octavia_ovn.controller.tasks import Tasks
from octavia_ovn.controller.vip_groups import Admission
from octavia_ovn.core import codec
from octavia_ovn.core.dependencies import Dependency
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.request import names
from octavia_ovn.core.request.events import Event
from octavia_ovn.core.rows import Operation
from octavia_ovn.errors import OctaviaOvnError, Unavailable
from octavia_ovn.observer import SILENT, Defect, Observer, Step

LOG = logging.getLogger(__name__)

BATCH = 100
"""Load balancers in one transaction at most."""
IDLE_BATCH = 10
"""Load balancers without open requests in one transaction: new requests wait for it."""


class Controller:
    """Reconciles all load balancers.

    :param wake: makes the main loop run :meth:`turn` soon; called from any thread
    :param executor: calls Neutron and Octavia
    :param sender: sends statuses, see :class:`Reporter`
    :param retry_max: seconds between two attempts at one load balancer at most
    :param populated: called with the id of a load balancer that was made with its listeners
    :param announce: called with the id of a load balancer and an event, once Octavia has accepted
        how a request has ended; does not wait
    :param probing: has chassis probe members; None when OVN checks them
    :param limits: follows connections of listeners with a limit; None when none are counted
    :param recorded_projects: those whose connections chassis record; `*` stands for all
    :param max_denied: networks that may describe what security groups deny; 0 for any number
    :param clock: seconds, monotonic
    """

    def __init__(  # noqa: PLR0913 - it stands where everything meets
        self,
        nb: Northbound,
        sb: Southbound,
        neutron: Neutron,
        octavia: Octavia,
        sink: StatusSink,
        executor: Executor,
        wake: Callable[[], None],
        *,
        sender: Executor,
        retry_max: float = 60.0,
        populated: Callable[[str], object] = lambda _: None,
        announce: Callable[[str, Event], object] = lambda _, __: None,
        probing: Probing | None = None,
        limits: ConnectionLimits | None = None,
        max_denied: int = 0,
        recorded_projects: Collection[str] = (),
        observer: Observer = SILENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nb = nb
        self._populated = populated
        self._announce = announce
        self._wake = wake
        self._observer = observer
        self._posted: collections.deque[Callable[[], None]] = collections.deque()
        self.queue: Queue[str] = Queue(clock, longest=retry_max)
        observer.follows(self.queue.__len__, self.queue.age)
        self._index = Index()
        reported = self._reported = ReportedStatus()
        self._tasks = Tasks(executor, self.post, self.queue.add, clock, retry_max, observer)
        self._reporter = Reporter(
            sink, octavia, self._end, sender, self.post, clock, observer, self._is_wanted
        )
        effects = Effects(self._tasks)
        self._probing = probing or Probing(nb)
        health = MemberHealth(nb, sb, neutron, effects, self._probing)
        self._limits = limits or ConnectionLimits(nb, clock=clock)
        admission = Admission(nb, sb, max_denied)
        facts = FactFinder(nb, health, neutron, effects, admission, self._limits, recorded_projects)
        self._reconciler = Reconciler(nb, facts, neutron, octavia, effects, reported, observer)
        self._releases = Releases(nb, sb, neutron, self._tasks)
        self._unused: dict[str, frozenset[Dependency]] = collections.defaultdict(frozenset)
        """What load balancers do not use any more, by the last of them; see Releases."""
        self._unreconciled: set[str] = set()
        self._unplanned: set[str] = set()
        """Load balancers of which it is not known yet what chassis should probe."""
        self._parts: collections.deque[Sequence[str]] = collections.deque()
        """Of batches that could not be committed: one in each turn, to keep the loop turning."""
        self._alone: set[str] = set()
        """Load balancers that failed alone; they would spoil the next batch, too."""

    # --- what comes in

    def post(self, function: Callable[[], None]) -> None:
        """Have the main loop run a function; called from any thread."""
        self._posted.append(function)
        self._wake()

    def changed(self, dependency: Dependency) -> None:
        """Enqueue the load balancers that depend on a resource which has changed."""
        resource, name = dependency
        if resource in ANSWERED_BY:
            self._tasks.expire((ANSWERED_BY[resource], name))
        for lb_id in self._index.of(dependency):
            self.queue.add(lb_id)

    def enqueue(self, lb_id: str) -> None:
        """Enqueue a load balancer."""
        self.queue.add(lb_id)

    def enqueue_all(self) -> None:
        """Enqueue every load balancer: at start, after a reconnect, at a leadership change.

        Those with open requests come first; the others do not keep new requests waiting.
        """
        # Until all are reconciled, any resource may be in use. Calls and results of a former
        # leadership term are dropped.
        self._unreconciled = self._names()
        self._unplanned = set(self._unreconciled)
        self._run_posted()
        self._reported.clear()
        self._tasks.clear()
        self._unused.clear()
        self._index.begin()
        self._probing.begin()
        self._limits.begin()
        for lb_id in self._nb.awaited():
            self.queue.add(lb_id)
        for lb_id in self._unreconciled:
            self.queue.add_idle(lb_id)

    def resync(self) -> None:
        """Enqueue every load balancer with low priority: an event may have been lost.

        Refused calls are made once more: a quota may have been raised. Called from any thread.
        """
        self.post(self._queue_all)

    def _queue_all(self) -> None:
        self._tasks.forget_refusals()
        self._tasks.forget_all(vip_ports.CHECK)
        for lb_id in self._names():
            self.queue.add_idle(lb_id)

    def _names(self) -> set[str]:
        """Return the ids of all load balancers, including those whose rows are gone."""
        return {*self._nb.names(), *self._index.load_balancers()}

    def release_source(self, dependency: Dependency) -> None:
        """Release the health monitor port of a subnet unless it is in use.

        Called from any thread. Only the main loop knows whether a load balancer is about to use it.

        :param dependency: MONITORED or PROBED
        """
        self.post(lambda: self._release_source(dependency))

    def _release_source(self, dependency: Dependency) -> None:
        if not self._index.of(dependency) and not self._unreconciled:
            self._releases.release(dependency.name, dependency, sources=True)

    def _end(self, lb_id: str, key: ReportKey) -> None:
        """Take note that Octavia has accepted a report."""
        events = key.events_since(self._reported.accepted(lb_id))
        ended = self._reported.accept(lb_id, key)
        if ended:
            self._observer.ends(lb_id, ended, failed=key.failed)
        for event in events:
            self._announce(lb_id, event)
        if any(map(names.creates, ended)) and Kind.LISTENER.value in key.message:
            self._populated(lb_id)
        self.queue.add(lb_id)

    def _is_wanted(self, lb_id: str, key: ReportKey) -> bool:
        return self._reported.confirm(lb_id, key, codec.pending(self._nb.rows(lb_id)))

    # --- what is done

    def turn(self) -> float | None:
        """Run what is due; return the seconds until something else is due, None if nothing is."""
        self._run_posted()
        self._follow_chassis()
        self._tasks.retry_due()
        # A part of a failed batch, and what is due: neither delays the other.
        part = self._parts.popleft() if self._parts else ()
        for batch in (part, self._batch()):
            if batch:
                self._reconcile(batch)
        self._reporter.run()
        if self._parts:
            return 0.0
        parts = (self.queue, self._tasks, self._reporter, self._probing, self._limits)
        return min((due for each in parts if (due := each.next_due()) is not None), default=None)

    def _follow_chassis(self) -> None:
        """Follow what chassis have found and counted, and tell them what has changed."""
        self._follow_turn(functools.partial(self._probing.turn, settled=not self._unplanned))
        self._follow_turn(self._limits.turn)

    def _follow_turn(self, turn: Callable[[], Iterable[str]]) -> None:
        try:
            for lb_id in turn():
                self.queue.add(lb_id)
        # It must not end the loop for load balancers that do not need it.
        except Exception:
            LOG.exception("What chassis have found could not be followed")
            self._observer.meets(Defect.RESULT)

    def _batch(self) -> Sequence[str]:
        """Return what is due, without what is reconciled alone."""
        ready = self.queue.ready(BATCH, IDLE_BATCH)
        self._parts.extend((each,) for each in ready if each in self._alone)
        return [each for each in ready if each not in self._alone]

    def _run_posted(self) -> None:
        while self._posted:
            function = self._posted.popleft()
            try:
                function()
            # The result of one task must not end the loop for all load balancers.
            except Exception:
                LOG.exception("The result of a background call could not be used")
                self._observer.meets(Defect.RESULT)

    def stand_by(self) -> None:
        """Drop pending calls and reports: another agent is the leader from now on."""
        self._tasks.clear()
        self._reporter.drop()
        self._probing.begin()
        self._limits.begin()

    def close(self, timeout: float) -> None:
        """Stop the background work."""
        self._reporter.close(timeout)

    def _reconcile(self, batch: Sequence[str]) -> None:
        """Reconcile some load balancers and commit all operations in one transaction."""
        outcomes: dict[str, Outcome] = {}
        unavailable: Unavailable | None = None
        try:
            self._nb.commit(lambda: self._plan(batch, outcomes))
        except Unavailable as error:
            unavailable = error
        # The error is caused by one of them; the others must not be held up.
        except Exception as error:  # noqa: BLE001 - it is logged there
            self._divide(batch, error)
        else:
            self._follow(outcomes)
        if unavailable is not None:  # not in the handler: see errors.failure
            LOG.warning("The Northbound database cannot be written: %s", unavailable)
            self._put_off(batch)

    def _put_off(self, batch: Sequence[str]) -> None:
        """Retry load balancers later, and all that would be committed next.

        A transaction may take its whole time-out, during which the loop is blocked.
        """
        for lb_id in itertools.chain(batch, *self._parts):
            self._retry(lb_id)
        self._parts.clear()

    def _divide(self, batch: Sequence[str], error: Exception) -> None:
        """Find those that cannot be committed, by halves; the others are not held up."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._parts.extendleft((batch[middle:], batch[:middle]))
            return
        lb_id = batch[0]
        self._alone.add(lb_id)
        if isinstance(error, OctaviaOvnError):
            delay = self._retry(lb_id)
            LOG.error("Load balancer %s: %s; next attempt in %.1f s", lb_id, error, delay)
        else:
            self._isolate(lb_id, Defect.COMMIT, error)

    def _retry(self, lb_id: str) -> float:
        """Retry a load balancer with back-off; return the seconds until then."""
        self._observer.retries(Step.RECONCILE)
        return self.queue.retry(lb_id)

    def _isolate(self, lb_id: str, defect: Defect, error: Exception) -> None:
        """Retry a load balancer with back-off after an unexpected error; the others continue."""
        delay = self._retry(lb_id)
        LOG.error(
            "Load balancer %s: a defect (%s); next attempt in %.1f s",
            lb_id,
            defect.value,
            delay,
            exc_info=error,
        )
        self._observer.meets(defect, lb_id)

    def _plan(self, batch: Sequence[str], outcomes: dict[str, Outcome]) -> Iterator[Operation]:
        outcomes.clear()
        for lb_id in batch:
            try:
                outcome = self._reconciler.reconcile(lb_id)
                outcome.ask()
            except Exception as error:  # noqa: BLE001 - it is logged there
                self._isolate(lb_id, Defect.RECONCILE, error)
                continue
            outcomes[lb_id] = outcome
            yield from outcome.operations

    def _follow(self, outcomes: Mapping[str, Outcome]) -> None:
        """Carry out outcomes whose operations are committed.

        Calls of all load balancers start before anything is released: it may be needed again.
        """
        failed = {
            lb_id
            for step in (self._carry_out, self._follow_up)
            for lb_id, outcome in outcomes.items()
            if not self._is_carried_out(step, lb_id, outcome)
        }
        for lb_id in outcomes.keys() - failed:
            self._alone.discard(lb_id)
            self.queue.succeeded(lb_id)
            self._observer.overcomes(lb_id, Defect.RECONCILE, Defect.COMMIT, Defect.RESULT)

    def _is_carried_out(
        self, step: Callable[[str, Outcome], None], lb_id: str, outcome: Outcome
    ) -> bool:
        try:
            step(lb_id, outcome)
        except Exception as error:  # noqa: BLE001 - it is logged there
            self._isolate(lb_id, Defect.RESULT, error)
            return False
        return True

    def _carry_out(self, _: str, outcome: Outcome) -> None:
        for effect in outcome.effects:
            effect()

    def _follow_up(self, lb_id: str, outcome: Outcome) -> None:
        if outcome.dependencies is not None:
            self._unreconciled.discard(lb_id)
            self._plan_probes(lb_id, outcome)
            self._unused[lb_id] |= self._index.set(lb_id, outcome.dependencies, outcome.former)
        self._release_unused(lb_id, outcome)
        if outcome.report is not None and not self._releases.are_under_way(lb_id):
            self._reporter.send(outcome.report)
            self._reported.sent(lb_id, outcome.report.key)
        self.queue.set_alarm(lb_id, outcome.due)
        if outcome.again:
            self.queue.add(lb_id)

    def _release_unused(self, lb_id: str, outcome: Outcome) -> None:
        """Release what a load balancer has used, once Octavia knows the end of its requests.

        Only the end of the load balancer itself waits for that.
        """
        gone = outcome.dependencies is not None and not outcome.dependencies
        if outcome.waiting and not gone:
            return
        for each in self._unused.pop(lb_id, ()):
            if not self._index.of(each):
                sources = not self._unreconciled
                self._releases.release(lb_id, each, sources=sources, awaited=gone)

    def _plan_probes(self, lb_id: str, outcome: Outcome) -> None:
        registry, probes = self._probing.registry, outcome.probes
        if not outcome.dependencies:
            registry.forget(lb_id)
            self._limits.forget(lb_id)
        elif probes is None:
            return
        elif self._probing.enabled and registry.want(lb_id, probes):
            self.queue.add(lb_id)
        self._unplanned.discard(lb_id)
