# SPDX-License-Identifier: Apache-2.0
"""Compares Octavia, OVN and Neutron periodically while this agent is the leader."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from octavia_ovn.controller.drift.compare import Depth, DriftState, Finding, Repair
from octavia_ovn.controller.leader_thread import LeaderThread
from octavia_ovn.controller.protocols import Octavia
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.neutron_port import NeutronPort
from octavia_ovn.core.text import plain
from octavia_ovn.errors import failure
from octavia_ovn.observer import SILENT, Drift, Observer

LOG = logging.getLogger(__name__)

FIRST_DELAY = 5.0
"""Seconds after a leadership change: by then, requests left open are being served."""
RECENT = 900.0
"""Seconds before a first comparison; load balancers changed in this time are compared in depth: a
process may have been killed in the middle of a change."""
SETTLE = 0.5
"""Seconds between a row that is lost and the comparison: others may be lost with it."""
POPULATED = 10.0
"""Seconds between a load balancer that was made with its listeners and its comparison: Octavia
creates L7 policies of such a request without calling the driver, and they would stay PENDING."""
MANY = 16
"""Load balancers that are compared singly; of more than that, all are compared."""
_OVERLAP = 60.0
"""Seconds that a comparison looks back further than to the one before it."""
RETRY = 60.0
"""Seconds until the next attempt at a comparison that was not possible."""
_NOTED = {
    DriftState.UNCLEAR: "could not be compared",
    DriftState.UNENFORCED: "is less restricted than Octavia shows",
}
T = TypeVar("T", bound=Hashable)
R = TypeVar("R")


class Ports(Protocol):
    """Neutron's ports. An answer is complete or an error."""

    def list_our_ports(self) -> Sequence[NeutronPort]:
        """Return the ports that we made."""

    def delete_port(self, port_id: str) -> None:
        """Delete a port."""


class GraceTracker(Generic[T]):
    """What looks superfluous, and since when: some of it is only just being made.

    :param clock: seconds, monotonic
    :param age: seconds for which something must have been suspected without interruption, and at
        least twice
    """

    def __init__(self, clock: Callable[[], float], age: float) -> None:
        self._clock = clock
        self._age = age
        self._since: dict[T, float] = {}

    def confirm(self, suspected: Collection[T]) -> list[T]:
        """Take what is suspected now; return those that were for long enough before."""
        now = self._clock()
        self._since = {each: self._since.get(each, now) for each in suspected}
        return [
            each for each, since in self._since.items() if since < now and now - since >= self._age
        ]


class DriftCheck:
    """One comparison after the other, and what must be remembered from one to the next.

    :param repair: compares, without patience: what looks superfluous is compared again next time
    :param release_source: gives back the address that checks of a subnet come from, by OVN or by
        chassis, unless they still do
    :param grace: seconds for which something must have looked superfluous before it is deleted
    :param clock: seconds, monotonic
    """

    def __init__(  # noqa: PLR0913 - it connects many parts
        self,
        repair: Repair,
        octavia: Octavia,
        ports: Ports,
        release_source: Callable[[Dependency], object],
        *,
        grace: float,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer = SILENT,
    ) -> None:
        self._observer = observer
        self._repair = repair
        self._octavia = octavia
        self._ports = ports
        self._release_source = release_source
        self._orphans: GraceTracker[tuple[str, Hashable]] = GraceTracker(clock, grace)
        self._unused: GraceTracker[tuple[str, str]] = GraceTracker(clock, grace)
        self._sources: GraceTracker[Dependency] = GraceTracker(clock, grace)
        self._surplus: GraceTracker[str] = GraceTracker(clock, grace)
        self._noted: dict[str, str] = {}
        self._clock = clock
        self._last: float | None = None

    def round(self, running: Callable[[], bool]) -> bool:
        """Compare and repair.

        :param running: whether to continue; asked before each load balancer
        :returns: whether everything could be compared
        """
        began = self._clock()
        error = failure(lambda: self._compare_all(running))
        if error is not None:
            LOG.warning("Octavia, OVN and Neutron could not be compared: %s", error)
        elif not running():
            return False
        self._observer.compares(succeeded=error is None)
        if error is None:
            self._last = began
        return error is None

    def _compare_all(self, running: Callable[[], bool]) -> None:
        findings: list[Finding] = []
        recent = RECENT if self._last is None else self._clock() - self._last + _OVERLAP
        for finding in self._repair.compare(depth=Depth.LISTS, recent=recent):
            if not running():
                return
            findings.append(finding)
            if finding.state is not DriftState.ORPHANED:
                self._repair_finding(finding)
        self._repair_orphans([each for each in findings if each.state is DriftState.ORPHANED])
        self._note(findings)
        self._clear_ports(frozenset(each.lb_id for each in findings), running)

    def compare(self, lb_ids: Iterable[str], running: Callable[[], bool]) -> frozenset[str]:
        """Compare and repair single load balancers about which something has happened.

        :param running: whether to continue; asked before each load balancer
        :returns: those of which it is not known yet whether they are right
        """
        unknown = set()
        for lb_id in lb_ids:
            if not running():
                break
            finding = self._repair.compare_one(lb_id)
            self._repair_finding(finding)
            if finding.pending or finding.state is DriftState.UNCLEAR:
                unknown.add(lb_id)
        return frozenset(unknown)

    def _repair_finding(self, finding: Finding) -> None:
        if finding.change is None:
            return
        self._observer.finds(Drift(finding.state.value))
        error = failure(lambda: self._repair_recorded(finding))
        if error is not None:
            LOG.warning("Load balancer %s: %s", plain(finding.lb_id), error)

    def _repair_recorded(self, finding: Finding) -> None:
        what = f"{finding.state.value}: {finding.detail}".rstrip(": ")
        if self._repair.repair(finding):
            self._observer.repairs(Drift(finding.state.value))
            LOG.warning("Load balancer %s was %s; it is being repaired", plain(finding.lb_id), what)

    def _repair_orphans(self, orphans: Sequence[Finding]) -> None:
        """Have load balancers deleted that Octavia has not known for some time.

        Also those with open requests: when Octavia rolls a creation back, its request stays.
        """
        suspected = {(each.lb_id, _state(each)): each for each in orphans}
        for key in self._orphans.confirm(suspected):
            self._repair_finding(suspected[key])

    def _note(self, findings: Sequence[Finding]) -> None:
        """Log what only an operator or a tenant can repair, once for each reason."""
        noted = {each.lb_id: each for each in findings if each.state in _NOTED}
        for lb_id, finding in noted.items():
            self._observer.finds(Drift(finding.state.value))
            if self._noted.get(lb_id) != finding.detail:
                LOG.warning(
                    "Load balancer %s %s: %s",
                    plain(lb_id),
                    _NOTED[finding.state],
                    finding.detail,
                )
        self._noted = {lb_id: each.detail for lb_id, each in noted.items()}

    def _clear_ports(self, known: Collection[str], running: Callable[[], bool]) -> None:
        ports = self._ports.list_our_ports()
        unused = {
            (each.id, each.vip_of) for each in ports if each.vip_of and each.vip_of not in known
        }
        for port_id, lb_id in self._unused.confirm(unused):
            if running() and self._octavia.tree(lb_id) is None:
                self._observer.finds(Drift.LEFT_PORT)
                self._ports.delete_port(port_id)
                self._observer.repairs(Drift.LEFT_PORT)
                LOG.warning("Port %s of load balancer %s, which is gone, was left", port_id, lb_id)
        for port_id in self._surplus.confirm(set(_surplus(ports))):
            if running():
                self._ports.delete_port(port_id)
                LOG.warning("Port %s for health checks was one too many on its subnet", port_id)
        for dependency in self._sources.confirm(
            {each for port in ports for each in _sources(port)}
        ):
            self._release_source(dependency)


def _sources(port: NeutronPort) -> Iterator[Dependency]:
    """Yield for which checks a port is the source."""
    if port.source_of:
        yield Dependency(Resource.MONITORED, port.source_of)
    if port.probe_source_of:
        yield Dependency(Resource.PROBED, port.probe_source_of)


def _surplus(ports: Iterable[NeutronPort]) -> Iterator[str]:
    """Yield the health monitor ports beside the one that is used, which has the smallest id.

    One of a tenant's, as the former driver made them, makes none of the service's superfluous.
    """
    used: set[Dependency] = set()
    for port in sorted(ports, key=lambda each: each.id):
        found = set(_sources(port)) if port.of_service else set()
        if found & used:
            yield port.id
        used |= found


def _state(finding: Finding) -> Hashable:
    """Return what differs when the rows of a load balancer have been changed."""
    return frozenset(
        (row.uuid, row.protocol, frozenset(row.external_ids.items())) for row in finding.rows
    )


class PeriodicThread(LeaderThread):
    """Works periodically while this agent is the leader.

    :param work: called with a function that says whether to continue; returns whether it succeeded
    :param interval: seconds between two calls; 0 for none at all
    :param clock: seconds, monotonic
    :param single: called with some load balancers about which something has happened, and that
        function; returns those to compare again later
    """

    def __init__(
        self,
        work: Callable[[Callable[[], bool]], bool],
        interval: float,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer = SILENT,
        *,
        single: Callable[[Collection[str], Callable[[], bool]], Collection[str]] = lambda *_: (),
    ) -> None:
        super().__init__(self._run, "watch", observer)
        self._work = work
        self._single = single
        self._observer = observer
        self._interval = interval
        self._clock = clock
        self._due = 0.0
        self._ended = 0.0
        """When the last comparison of everything has ended."""
        self._suspects: dict[str, float] = {}
        """Load balancers that are to be compared singly, and when."""

    def start(self) -> None:
        """Begin, unless it never works."""
        if self._interval:
            super().start()

    def set_leader(self, *, is_leader: bool) -> None:
        """Set whether this agent is the leader."""
        with self.changed:
            if is_leader and not self.is_leader:
                self._due = self._clock() + FIRST_DELAY
            if not is_leader:
                self._suspects.clear()
            super().set_leader(is_leader=is_leader)

    def suspect(self, lb_id: str, delay: float = SETTLE) -> None:
        """Have one load balancer compared in some seconds, or all if there are many such."""
        with self.changed:
            if self.is_leader and self._interval:
                self._suspects.setdefault(lb_id, self._clock() + delay)
                self.changed.notify_all()

    def left(self) -> float | None:
        """Return the seconds until there is work, None when there is none to be expected."""
        if not self.is_leader or not self._interval:
            return None
        return max(0.0, min((self._due, *self._suspects.values())) - self._clock())

    def turn(self) -> None:
        """Work once."""
        with self.changed:
            suspects = self._take_suspects()
            due = self._due
        if suspects:
            unknown: Collection[str] = ()
            for lb_id in self._guarded(lambda: self._single(suspects, self.running), unknown):
                self.suspect(lb_id, RETRY)
        if due > self._clock():
            return
        succeeded = self._guarded(lambda: self._work(self.running), otherwise=False)
        pause = self._interval if succeeded else min(self._interval, RETRY)
        with self.changed:
            self._ended = self._clock()
            # Unless another leadership term has begun meanwhile.
            if self._due == due:
                self._due = self._ended + pause

    def _take_suspects(self) -> list[str]:
        """Return the load balancers to be compared singly now.

        When they are too many, or everything is about to be compared, there are none of them. All
        are compared once a minute at most for that reason, however often rows change.
        """
        now = self._clock()
        suspects = [lb_id for lb_id, due in self._suspects.items() if due <= now]
        for lb_id in suspects:
            del self._suspects[lb_id]
        if len(suspects) > MANY:
            self._due = min(self._due, max(now, self._ended + RETRY))
            return []
        return [] if self._due <= now else suspects

    def _guarded(self, work: Callable[[], R], otherwise: R) -> R:
        """Call a function; return another value after an error."""
        try:
            return work()
        # The thread would crash, and the suspects and the time of the next round would be lost.
        except Exception:
            LOG.exception("A comparison of Octavia, OVN and Neutron failed")
            self._observer.crashes("watch")
            return otherwise

    def _run(self) -> None:
        while self._wait():
            self.turn()

    def _wait(self) -> bool:
        """Wait for work; return False when closed."""
        with self.changed:
            while not self.closed:
                left = self.left()
                if left == 0:
                    return True
                self.changed.wait(left)
        return False
