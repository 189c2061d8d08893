"""The controller: takes load balancers from the queue, has them looked at, does what is asked.

Runs in the thread that owns the replicas. Slow work happens elsewhere and comes back as a function
that the loop runs.
"""

from __future__ import annotations

import collections
import functools
import logging
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Executor

from octavia_ovn.controller.facts import MEMBER_FIP, MONITORED, PORT, SWITCH, FactFinder
from octavia_ovn.controller.index import Index
from octavia_ovn.controller.ledger import Ledger, Ticket
from octavia_ovn.controller.ports import Neutron, Northbound, Octavia, Southbound
from octavia_ovn.controller.queue import Queue
from octavia_ovn.controller.reconcile import Outcome, Reconciler
from octavia_ovn.controller.reporter import Reporter, StatusSink
from octavia_ovn.controller.tasks import Tasks
from octavia_ovn.core.rows import Operation
from octavia_ovn.core.status import Message
from octavia_ovn.errors import OctaviaOvnError, Unavailable
from octavia_ovn.observer import NOBODY, Observer, Step

LOG = logging.getLogger(__name__)

BATCH = 100
"""Load balancers in one transaction at most."""
IDLE_BATCH = 10
"""How many of those that are in no hurry: a request that comes meanwhile waits for them."""


class Controller:
    """Keeps all load balancers what they should be.

    :param wake: makes the main loop run :meth:`turn` soon; called from any thread
    :param settled: see :class:`Reporter`
    :param retry_max: seconds between two attempts at one load balancer at most
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
        settled: Callable[[Message], frozenset[str]],
        retry_max: float = 60.0,
        observer: Observer = NOBODY,
    ) -> None:
        self._nb = nb
        self._neutron = neutron
        self._octavia = octavia
        self._wake = wake
        self._observer = observer
        self._posted: collections.deque[Callable[[], None]] = collections.deque()
        self.queue: Queue[str] = Queue(time.monotonic, longest=retry_max)
        observer.follows(self.queue.__len__, self.queue.age)
        self._index = Index()
        self._ledger = Ledger()
        self._tasks = Tasks(
            executor, self.post, self.queue.add, time.monotonic, retry_max, observer
        )
        self._reporter = Reporter(
            sink, self._accepted, time.monotonic, settled, self._is_known, observer=observer
        )
        self._finder = finder = FactFinder(nb, sb, neutron, self._tasks)
        self._reconciler = Reconciler(
            nb, finder, neutron, octavia, self._tasks, self._ledger, observer
        )
        self._unseen: set[str] = set()
        self._releasing: dict[str, set[Hashable]] = {}

    # --- what comes in

    def post(self, function: Callable[[], None]) -> None:
        """Have the main loop run a function; called from any thread."""
        self._posted.append(function)
        self._wake()

    def changed(self, thing: Hashable) -> None:
        """Look again at the load balancers that depend on a thing."""
        for lb_id in self._index.of(thing):
            self.queue.add(lb_id)

    def look_at(self, lb_id: str) -> None:
        """Look at a load balancer."""
        self.queue.add(lb_id)

    def look_at_all(self) -> None:
        """Look at every load balancer: at start, after a reconnect, on taking over.

        First at those that Octavia waits for; the others do not keep new requests waiting.
        """
        self._run_posted()  # what Octavia has accepted before counts no more
        self._ledger.clear()
        self._unseen = self._names()
        for lb_id in self._nb.awaited():
            self.queue.add(lb_id)
        for lb_id in self._unseen:
            self.queue.add_idle(lb_id)

    def look_again(self) -> None:
        """Look at every load balancer, in its turn: events are hints, and one may have been lost.

        What was refused is asked for once more: a quota may have been raised. Called from any
        thread. A load balancer that is right is not written.
        """
        self.post(self._queue_all)

    def _queue_all(self) -> None:
        self._tasks.forget_refusals()
        self._finder.forget()
        for lb_id in self._names():
            self.queue.add_idle(lb_id)

    def _names(self) -> set[str]:
        """Return the ids of all load balancers, those included that have gone unseen."""
        return {*self._nb.names(), *self._index.load_balancers()}

    def release_source(self, subnet_id: str) -> None:
        """Give back the address that checks of a subnet came from, unless they still do.

        Called from any thread. Only the main loop knows whether somebody is about to need it.
        """
        self.post(lambda: self._release_source(subnet_id))

    def _release_source(self, subnet_id: str) -> None:
        thing = (MONITORED, subnet_id)
        if not self._index.of(thing):
            self._release(subnet_id, thing)

    def _accepted(self, lb_id: str, ticket: object) -> None:
        assert isinstance(ticket, Ticket)  # noqa: S101 - it is what we gave the reporter
        self.post(lambda: self._end(lb_id, ticket))

    def _end(self, lb_id: str, ticket: Ticket) -> None:
        """Take note that Octavia has accepted a report."""
        ended = self._ledger.accept(lb_id, ticket)
        if ended:
            self._observer.ends(lb_id, ended, failed=ticket.failed)
        self.queue.add(lb_id)

    def _is_known(self, lb_id: str) -> bool:
        """Whether Octavia has the load balancer, as far as it says; called from any thread."""
        try:
            return self._octavia.tree(lb_id) is not None
        except OctaviaOvnError:
            return True

    # --- what is done

    def turn(self) -> float | None:
        """Do what is due; return the seconds until something else is due, None if nothing is."""
        self._run_posted()
        self._tasks.retry_due()
        batch = self.queue.ready(BATCH, IDLE_BATCH)
        if batch:
            self._look(batch)
        return min(
            (due for due in (self.queue.next_due(), self._tasks.next_due()) if due is not None),
            default=None,
        )

    def _run_posted(self) -> None:
        while self._posted:
            self._posted.popleft()()

    def stand_by(self) -> None:
        """Tell Octavia nothing more of what was found: another agent acts from now on."""
        self._reporter.drop()

    def close(self, timeout: float) -> None:
        """Stop the background work."""
        self._reporter.close(timeout)

    def _look(self, batch: Sequence[str]) -> None:
        """Look at some load balancers and commit all that is asked for in one transaction."""
        outcomes: dict[str, Outcome] = {}
        try:
            self._nb.commit(lambda: self._plan(batch, outcomes))
        except Unavailable as error:
            LOG.warning("The Northbound database cannot be written: %s", error)
            for lb_id in batch:
                self._retry(lb_id)
        except OctaviaOvnError as error:
            self._one_by_one(batch, error)
        else:
            for lb_id, outcome in outcomes.items():
                self._follow(lb_id, outcome)

    def _one_by_one(self, batch: Sequence[str], error: OctaviaOvnError) -> None:
        """Find the one that the database refuses; the others must not suffer."""
        if len(batch) > 1:
            for lb_id in batch:
                self._look([lb_id])
            return
        delay = self._retry(batch[0])
        LOG.error("Load balancer %s: %s; next attempt in %.1f s", batch[0], error, delay)

    def _retry(self, lb_id: str) -> float:
        """Have a load balancer looked at again; return the seconds until then."""
        self._observer.retries(Step.LOOK)
        return self.queue.retry(lb_id)

    def _plan(self, batch: Sequence[str], outcomes: dict[str, Outcome]) -> Iterator[Operation]:
        outcomes.clear()
        for lb_id in batch:
            try:
                outcome = self._reconciler.look(lb_id)
            # A defect that one load balancer brings out must not stop the others: it is logged with
            # its traceback, and this one is looked at again later and later.
            except Exception:
                delay = self._retry(lb_id)
                LOG.exception("Load balancer %s: next attempt in %.1f s", lb_id, delay)
                continue
            outcomes[lb_id] = outcome
            yield from outcome.operations

    def _follow(self, lb_id: str, outcome: Outcome) -> None:
        self.queue.succeeded(lb_id)
        if outcome.things is not None:
            self._unseen.discard(lb_id)
            for thing in self._index.set(lb_id, outcome.things):
                key = self._release(lb_id, thing)
                if key is not None and not outcome.things:
                    self._releasing.setdefault(lb_id, set()).add(key)
        if outcome.requested:
            self._reporter.withdraw(lb_id)
        if outcome.report is not None and not self._is_releasing(lb_id):
            assert isinstance(outcome.report.ticket, Ticket)  # noqa: S101 - see Reconciler
            self._ledger.sent(lb_id, outcome.report.ticket)
            self._reporter.send(outcome.report)
        if outcome.again:
            self.queue.add(lb_id)

    def _is_releasing(self, lb_id: str) -> bool:
        """Whether something that a load balancer has used until its end is being given back.

        Octavia hears of the end afterwards: then networks can be deleted. But it need not wait
        while Neutron is away.
        """
        keys = self._releasing.pop(lb_id, set())
        under_way = {key for key in keys if self._tasks.is_first_attempt(key, lb_id)}
        if under_way:
            self._releasing[lb_id] = under_way
        return bool(under_way)

    def _release(self, lb_id: str, thing: Hashable) -> Hashable | None:
        """Give back what no load balancer needs any more; return the key of the task."""
        kind, name = thing if isinstance(thing, tuple) else ("", "")
        if kind == MONITORED and not self._unseen:
            self._tasks.forget(("source", name))
            known = self._nb.monitor_ports(name)
            work = functools.partial(self._neutron.delete_hm_ports, name, known)
        elif kind == MEMBER_FIP:
            work = functools.partial(self._neutron.touch_floating_ip, name)
        else:
            if kind == PORT:
                self._nb.forget_port(name)
            elif kind == SWITCH:
                self._nb.forget_switch(name)
            return None
        key = ("release", name)
        self._tasks.do(key, work, lb_id)
        return key
