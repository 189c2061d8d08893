# SPDX-License-Identifier: Apache-2.0
"""An agent without threads: it does what a look asks for, in the order that the loop does."""

import dataclasses

from octavia_ovn.controller.dependencies import Index
from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.facts import FactFinder
from octavia_ovn.controller.queue import Queue
from octavia_ovn.controller.reconcile import Reconciler
from octavia_ovn.controller.reported import ReportedStatus
from octavia_ovn.controller.tasks import Tasks
from octavia_ovn.core import codec
from octavia_ovn.core.pending import Final
from octavia_ovn.core.request import changes, record
from octavia_ovn.errors import OctaviaOvnError
from tests.controller.outside import Clock, Later, Neutron, Northbound, Octavia, Southbound


def decision(outcome):
    """What an outcome decides; made again, as when a transaction is retried, it is the same."""
    return dataclasses.replace(outcome, effects=()), len(outcome.effects)


class Agent:
    def __init__(self, rows=(), outside=None):
        self.nb, self.sb, self.octavia, self.neutron = outside or self._outside(rows)
        self.db = self.nb.db
        self.clock, self.executor = Clock(), Later()
        self.queue, self.index = Queue(self.clock), Index()
        self.ledger = ReportedStatus()
        self.tasks = Tasks(self.executor, lambda work: work(), self.queue.add, self.clock)
        effects = Effects(self.tasks)
        finder = FactFinder(self.nb, self.sb, self.neutron, effects)
        self.reconciler = Reconciler(
            self.nb,
            finder,
            self.neutron,
            self.octavia,
            effects,
            self.ledger,
        )
        self.parcels = {}
        self.history = []
        self.count = 0

    @staticmethod
    def _outside(rows):
        nb = Northbound(rows)
        return nb, Southbound(), Octavia(), Neutron(nb)

    def successor(self):
        """The agent that goes on when this one has died: it knows what is outside only."""
        successor = Agent(outside=(self.nb, self.sb, self.octavia, self.neutron))
        successor.count = self.count
        return successor

    # --- what happens

    def asked(self, change, lb_id="lb1"):
        """Octavia asks for something, or does not know the load balancer any more."""
        if isinstance(change, changes.Abandon):
            self.octavia.trees.pop(lb_id, None)
        self.count += 1
        self.db.write(record.record(self.db.of(lb_id), change, f"r{self.count}"))
        self.queue.add(lb_id)

    def created(self, lb):
        self.octavia.trees[lb.id] = lb
        self.asked(changes.CreateLoadBalancer(lb), lb.id)

    def changed(self, thing):
        """Something has changed that load balancers may depend on."""
        for lb_id in self.index.of(thing):
            self.queue.add(lb_id)

    # --- what is done

    def look(self, lb_id="lb1"):
        """One look; return what it asked for, after doing it."""
        started = len(self.executor)
        outcome = self.reconciler.reconcile(lb_id)
        assert decision(self.reconciler.reconcile(lb_id)) == decision(outcome)
        assert len(self.executor) == started
        if self.db.write(outcome.operations):
            self.history.append(self.db.vips())
            self.queue.add(lb_id)  # the row's event
        for effect in outcome.effects:
            effect()
        if outcome.dependencies is not None:
            self.index.set(lb_id, outcome.dependencies, outcome.former)
        if outcome.report is not None:
            self.ledger.sent(lb_id, outcome.report.key)
            self.parcels[lb_id] = outcome.report
        if outcome.again:
            self.queue.add(lb_id)
        return outcome

    def tell(self):
        """Have Octavia hear; return whether it has accepted anything."""
        accepted = False
        for lb_id, parcel in list(self.parcels.items()):
            try:
                self.octavia.update_status(parcel.message)
            except OctaviaOvnError:
                continue
            accepted = True
            if self.parcels[lb_id] is parcel:
                del self.parcels[lb_id]
            self.ledger.accept(lb_id, parcel.key)
            self.queue.add(lb_id)
        return accepted

    def settle(self, *, most=50):
        """Go on until there is nothing to do that can be done now."""
        for _ in range(most):
            batch = self.queue.ready(100)
            for lb_id in batch:
                self.look(lb_id)
            if not (self.executor.run() or self.tell() or batch):
                return self
        raise AssertionError("it does not come to an end")

    def waits(self, seconds):
        """Let time pass, with its retries."""
        self.clock.passes(seconds)
        self.tasks.retry_due()
        return self.settle()

    # --- what there is

    @property
    def rows(self):
        return self.db.of("lb1")

    @property
    def row(self):
        (row,) = self.rows
        return row

    def pending(self):
        return codec.pending(self.rows)

    def assert_ended(self, lb):
        """Everything has ended well, and nothing is left to do."""
        assert self.pending() is None
        for _, object_id in changes.objects(lb):
            assert self.octavia.provisioning.get(object_id, "ACTIVE") == Final.ACTIVE.value
        before = self.db.transactions, len(self.octavia.messages)
        self.queue.add("lb1")
        self.settle()
        assert (self.db.transactions, len(self.octavia.messages)) == before
