# SPDX-License-Identifier: Apache-2.0
"""The controller as an agent runs it, without threads: its calls are made, and time passes, when a
test says so."""

import dataclasses

from octavia_ovn.controller.connection_limits import ConnectionLimits
from octavia_ovn.controller.loop import Controller
from octavia_ovn.controller.probing import Probing
from octavia_ovn.core import codec
from octavia_ovn.core.pending import Final
from octavia_ovn.core.request import changes, record
from octavia_ovn.observer import Observer
from tests.controller.openstack import Neutron, Octavia
from tests.controller.outside import Clock, Later, Northbound, Southbound


class Defects(Observer):
    """What the controller survives, and no story is about."""

    def __init__(self):
        self.met = []

    def meets(self, defect, lb_id=None):
        self.met.append((defect, lb_id))


def decision(outcome):
    """What an outcome decides; made again, as when a transaction is retried, it is the same."""
    alone = dataclasses.replace(outcome, questions=(), effects=())
    return alone, len(outcome.questions), len(outcome.effects)


class Agent:
    """A controller, and what is outside of it.

    :param rows: the Northbound database has
    :param outside: of another agent, which has died
    :param chassis: which probe members; None when OVN checks them
    :param max_denied: networks that may be denied because of security groups
    :param recorded: projects whose connections chassis record
    :param since: when it starts, in seconds since 1970
    """

    def __init__(
        self,
        rows=(),
        outside=None,
        observer=None,
        chassis=None,
        max_denied=100,
        recorded=(),
        since=1_000_000.0,
    ):
        self.nb, self.sb, self.octavia, self.neutron = outside or self._outside(rows)
        self.db = self.nb.db
        self.clock, self.executor, self.sender = Clock(), Later(), Later()
        self._start = since - self.clock()
        self.history, self.defects = [], Defects()
        self.count = 0
        self.chassis = chassis
        self.probing = Probing(
            self.nb, chassis, clock=self.clock, observer=observer or self.defects
        )
        if chassis is not None:
            chassis.probing = self.probing
        self.limits = ConnectionLimits(self.nb, clock=self.clock, observer=observer or self.defects)
        self.controller = Controller(
            self.nb,
            self.sb,
            self.neutron,
            self.octavia,
            self.octavia,
            self.executor,
            lambda: None,
            sender=self.sender,
            probing=self.probing,
            max_denied=max_denied,
            recorded_projects=recorded,
            limits=self.limits,
            observer=observer or self.defects,
            clock=self.clock,
        )
        self.controller._reconciler._finder._wall = self.wall
        self._reconcile = self.controller._reconciler.reconcile
        self.controller._reconciler.reconcile = self._reconcile_twice
        self.nb.committed = self._committed

    @staticmethod
    def _outside(rows):
        nb = Northbound(rows)
        return nb, Southbound(), Octavia(), Neutron(nb)

    def successor(self, **options):
        """The agent that takes over when this one has died: it knows only what is outside."""
        outside = self.nb, self.sb, self.octavia, self.neutron
        successor = Agent(outside=outside, **{"since": self.wall(), **options})
        successor.count = self.count
        return successor

    def wall(self):
        """The time of day."""
        return self._start + self.clock()

    # --- what happens

    def asked(self, change, lb_id="lb1"):
        """Octavia asks for something, or does not know the load balancer any more."""
        if isinstance(change, changes.Abandon):
            self.octavia.trees.pop(lb_id, None)
        if isinstance(change, changes.DeleteLoadBalancer):
            self.octavia.provisioning[lb_id] = "PENDING_DELETE"
        self.count += 1
        self.db.write(record.record(self.db.of(lb_id), change, f"r{self.count}"))
        self.controller.enqueue(lb_id)

    def created(self, lb, *lb_ids):
        for lb_id in lb_ids or (lb.id,):
            one = dataclasses.replace(lb, id=lb_id)
            self.octavia.trees[lb_id] = one
            self.asked(changes.CreateLoadBalancer(one), lb_id)

    def changed(self, thing):
        """Something has changed that load balancers may depend on."""
        self.controller.changed(thing)

    def enqueue(self, lb_id="lb1"):
        self.controller.enqueue(lb_id)

    # --- what is done

    def _reconcile_twice(self, lb_id):
        started = len(self.executor)
        outcome = self._reconcile(lb_id)
        assert decision(self._reconcile(lb_id)) == decision(outcome)
        assert len(self.executor) == started
        return outcome

    def _committed(self, lb_ids):
        """The events of rows that were written."""
        self.history.append(self.db.vips())
        for lb_id in lb_ids:
            self.controller.enqueue(lb_id)

    def turn(self):
        """A turn of the main loop; what it starts does not end."""
        due = self.controller.turn()
        assert self.defects.met == []
        return due

    def work(self):
        """Make the calls and send the messages that have been started; return how many."""
        return self.executor.run() + self.sender.run()

    def settle(self, *, most=50):
        """Continue until there is nothing to do that can be done now."""
        for _ in range(most):
            due = self.turn()
            if not self.work() and due != 0.0:
                return self
        raise AssertionError("it does not come to an end")

    def waits(self, seconds):
        """Let time pass, with its retries."""
        self.clock.passes(seconds)
        return self.settle()

    def until(self, condition, *, most=10_000):
        """Let time pass from one thing that is due to the next, until something has happened."""
        for _ in range(most):
            if condition():
                return
            due = self.turn()
            if not self.work() and due:
                self.clock.passes(due)
        raise AssertionError("it does not happen")

    # --- what there is

    @property
    def index(self):
        return self.controller._index

    @property
    def rows(self):
        return self.db.of("lb1")

    @property
    def row(self):
        (row,) = self.rows
        return row

    def pending(self):
        return codec.pending(self.rows)

    def ended(self, lb_id):
        """Whether Octavia waits for nothing more, and shows what it should."""
        return codec.pending(self.db.of(lb_id)) is None and (
            self.octavia.provisioning.get(lb_id) == Final.ACTIVE.value
        )

    def assert_ended(self, lb):
        """Everything has ended well, and nothing is left to do."""
        assert self.pending() is None
        for _, object_id in changes.objects(lb):
            assert self.octavia.provisioning.get(object_id, "ACTIVE") == Final.ACTIVE.value
        before = self.db.transactions, len(self.octavia.messages)
        self.enqueue()
        self.settle()
        assert (self.db.transactions, len(self.octavia.messages)) == before
