# SPDX-License-Identifier: Apache-2.0
"""What the parts of an agent report to an observer, such as metrics.

An observer decides nothing and raises nothing. The main loop calls most methods; those about calls,
retries, findings, repairs and comparisons are called from any thread.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.status import Tree
from octavia_ovn.errors import OctaviaOvnError

_NULL_CONTEXT: AbstractContextManager[None] = contextlib.nullcontext()


class Step(str, enum.Enum):
    """What is tried again after it has failed."""

    RECONCILE = "reconcile"
    """Reconciling a load balancer."""
    TASK = "task"
    """A background call of Neutron or Octavia."""
    REPORT = "report"
    """Reporting a status to Octavia."""


class Defect(str, enum.Enum):
    """Where an unexpected error is raised."""

    RECONCILE = "reconcile"
    """Deciding what to do about a load balancer."""
    COMMIT = "commit"
    """Writing what was decided."""
    EVENT = "event"
    """A change in one of OVN's databases."""
    RESULT = "result"
    """What follows from the result of a commit, or of a background call."""
    REPORT = "report"
    """Reporting to Octavia."""


class Drift(str, enum.Enum):
    """What is found to differ from what it should be."""

    MISSING = "missing"
    """Octavia has a load balancer that has no rows."""
    DIFFERENT = "different"
    """Its rows do not say what Octavia says."""
    DAMAGED = "damaged"
    """Part of its rows cannot be read."""
    STUCK = "stuck"
    """Something is PENDING in Octavia without a request under way."""
    ORPHANED = "orphaned"
    """Octavia does not know it."""
    UNENFORCED = "unenforced"
    """Octavia shows a restriction of clients that OVN does not enforce."""
    UNCLEAR = "unclear"
    """It could not be compared."""
    VIP_PORT = "vip_port"
    """A VIP's port was deleted in Neutron, or has another address."""
    LEFT_PORT = "left_port"
    """A VIP port is there whose load balancer is not."""


class Observer:
    """Receives what happens; this one ignores it, at the cost of calling an empty method."""

    def leads(self, *, is_leader: bool) -> None:
        """Take note that a leadership term has begun or ended; what was known before is void."""

    def follows(self, length: Callable[[], int], age: Callable[[], float]) -> None:
        """Take note of functions that describe the queue; they can be called from any thread.

        :param length: returns the number of load balancers to reconcile
        :param age: returns the seconds for which the oldest has been waiting
        """

    def turns(self, *, northbound: bool, southbound: bool) -> None:
        """Take note of a turn of the main loop, and whether the databases are connected."""

    def waits(self, lb_id: str, requests: Collection[str]) -> None:
        """Take note of all open requests on a load balancer; called repeatedly."""

    def ends(self, lb_id: str, requests: Collection[str], *, failed: bool) -> None:
        """Take note that Octavia has accepted how requests have ended.

        :param failed: whether an object ends in ERROR
        """

    def shows(self, lb_id: str, statuses: Tree) -> None:
        """Take note of the operating statuses of a load balancer and all its objects."""

    def vanishes(self, lb_id: str) -> None:
        """Take note that a load balancer has no rows any more."""

    def retries(self, step: Step) -> None:
        """Take note of something that has failed and will be tried again."""

    def meets(self, defect: Defect, lb_id: str | None = None) -> None:
        """Take note of a defect; a load balancer that it concerns stays as it is until further.

        :param lb_id: None when it concerns none in particular
        """

    def overcomes(self, lb_id: str, *defects: Defect) -> None:
        """Take note that steps have succeeded for a load balancer: no defect keeps it from them."""

    def crashes(self, thread: str) -> None:
        """Take note that the body of a thread has crashed; it is run again."""

    def finds(self, drift: Drift) -> None:
        """Take note of something that is not as it should be."""

    def repairs(self, drift: Drift) -> None:
        """Take note that something that was found is being repaired."""

    def compares(self, *, succeeded: bool) -> None:
        """Take note of a comparison of Octavia, OVN and Neutron, and whether it was possible."""

    def receives_statistics(self, result: str) -> None:
        """Take note of a datagram of a collector.

        :param result: `accepted`, or why it is rejected
        """

    def drops_statistics(self) -> None:
        """Take note that the traffic of a listener is dropped, because Octavia refuses it."""

    def announces(self, result: str) -> None:
        """Take note of what has become of a notification.

        :param result: `sent`, `dropped` or `failed`
        """

    def probes(self, *, connected: int, silent: int, members: int) -> None:
        """Take note of the programs on chassis that probe members.

        :param connected: how many are connected
        :param silent: chassis with members whose program says nothing
        :param members: that are to be probed
        """

    def flips(self, state: HealthState, count: int) -> None:
        """Take note that chassis have found members UP or DOWN that were not before."""

    def limits(self, *, limited: int, closed: int) -> None:
        """Take note of listeners with a limit of connections.

        :param closed: how many of them let no new ones in
        """

    def calls(self, service: str, operation: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """Return what is entered for the time of a call; its errors leave through it.

        :param service: `neutron`, `octavia` or `octavia-driver-agent`
        :param operation: the method of HTTP, or the socket
        """
        return _NULL_CONTEXT

    def commits(self, seconds: float, error: OctaviaOvnError | None = None) -> None:
        """Take note of a transaction that has written, or has failed with an error."""

    def conflicts(self) -> None:
        """Take note that a transaction is planned again: rows that it depends on have changed."""


SILENT = Observer()
"""The observer of parts that are not observed."""
