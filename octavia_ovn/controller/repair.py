"""Compares Octavia with the Northbound database and mends what differs.

Mending is recording: the intent in the rows is made what Octavia says, and what nobody works on any
more is recorded as waited for. The agent does the rest, as for any request. Nothing is written for
a load balancer that is right, so its traffic is never touched.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from octavia_ovn.controller.ports import Octavia
from octavia_ovn.core import changes, codec, model
from octavia_ovn.core.pending import Final, Kind, Objects
from octavia_ovn.core.rows import Row
from octavia_ovn.errors import OctaviaOvnError


class Verdict(str, enum.Enum):
    """What a comparison has found about a load balancer."""

    RIGHT = "right"
    MISSING = "missing in OVN"
    DIFFERENT = "different from Octavia"
    STUCK = "stuck in PENDING"
    ORPHANED = "unknown to Octavia"
    UNCLEAR = "could not be compared"


@dataclass(frozen=True, slots=True)
class Listed:
    """A load balancer as Octavia lists it.

    :param idle: seconds since Octavia has changed it
    """

    id: str
    provisioning_status: str
    project_id: str | None = None
    idle: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What has been found about one load balancer, and the change that mends it."""

    lb_id: str
    verdict: Verdict
    detail: str = ""
    change: changes.Change | None = None


class Store(Protocol):
    """Where intents are recorded."""

    def load_balancers(self) -> Mapping[str, Sequence[Row]]:
        """Return the rows of all load balancers."""

    def needs(self, change: changes.Change, lb_id: str) -> bool:
        """Whether recording a change would write anything."""

    def record(self, change: changes.Change, *, lb_id: str) -> bool:
        """Record a change."""


class Listing(Protocol):
    """Octavia's API. An answer is complete or an error."""

    def load_balancers(self) -> Sequence[Listed]:
        """Return all load balancers of the provider."""

    def pending(self, lb_id: str) -> Objects:
        """Return the objects of a load balancer that are in PENDING, and how each must end."""


class Repair:
    """Compares and mends.

    :param grace: seconds for which an object may be in PENDING without anybody working on it
    """

    def __init__(
        self, store: Store, octavia: Octavia, listing: Listing, grace: float = 300.0
    ) -> None:
        self._store = store
        self._octavia = octavia
        self._listing = listing
        self._grace = grace

    def compare(
        self,
        wanted: Callable[[Listed], bool] = lambda _: True,
        *,
        thorough: bool = True,
        started: Callable[[int], None] = lambda _: None,
    ) -> Iterator[Finding]:
        """Yield a finding for each load balancer; nothing is changed.

        Everything is listed before the first finding, so an incomplete list finds nothing.

        :param wanted: selects load balancers; orphans are looked for only if it selects all
        :param thorough: compare each tree, not only the lists
        :param started: called with the number of findings to come
        :raises Unavailable: when Octavia or the database cannot be listed
        """
        rows = self._store.load_balancers()
        every = self._listing.load_balancers()
        listed = [each for each in every if wanted(each)]
        orphans = sorted(rows.keys() - {each.id for each in every})
        complete = len(listed) == len(every)
        started(len(listed) + (len(orphans) if complete else 0))
        for each in listed:
            yield self._guard(each.id, self._compare, each, rows.get(each.id, ()), thorough)
        if complete:
            for lb_id in orphans:
                yield self._guard(lb_id, self._orphan, lb_id, rows[lb_id])

    def mend(self, finding: Finding) -> bool:
        """Record what mends a finding; return whether anything was written.

        :raises OctaviaOvnError: when it cannot be recorded
        """
        if finding.change is None:
            return False
        return self._store.record(finding.change, lb_id=finding.lb_id)

    @staticmethod
    def _guard(lb_id: str, compare: Callable[..., Finding], *args: object) -> Finding:
        """One load balancer that cannot be compared does not stop the others."""
        try:
            return compare(*args)
        except (OctaviaOvnError, ValueError) as error:
            return Finding(lb_id, Verdict.UNCLEAR, str(error))

    def _compare(self, listed: Listed, rows: Sequence[Row], thorough: bool) -> Finding:
        lb_id = listed.id
        pending = codec.pending(rows)
        if pending is not None:
            return Finding(lb_id, Verdict.RIGHT, "the agent is at work on it")
        if listed.provisioning_status.startswith("PENDING"):
            if listed.idle < self._grace:
                return Finding(lb_id, Verdict.RIGHT, "a request has just come in")
            return self._stuck(lb_id, listed)
        if not thorough and rows:
            return Finding(lb_id, Verdict.RIGHT)
        return self._compare_tree(lb_id, rows)

    def _compare_tree(self, lb_id: str, rows: Sequence[Row]) -> Finding:
        tree = self._octavia.tree(lb_id)
        if tree is None:
            return Finding(lb_id, Verdict.RIGHT, "it has just been deleted")
        change = changes.Restore(tree)
        if not self._store.needs(change, lb_id):
            return Finding(lb_id, Verdict.RIGHT)
        return Finding(lb_id, Verdict.DIFFERENT if rows else Verdict.MISSING, change=change)

    def _stuck(self, lb_id: str, listed: Listed) -> Finding:
        objects = self._listing.pending(lb_id)
        tree = self._octavia.tree(lb_id)
        if tree is None:
            return Finding(lb_id, Verdict.RIGHT, "it has just been deleted")
        detail = f"{listed.provisioning_status} for {listed.idle:.0f} s"
        change: changes.Change = changes.Restore(without(tree, _gone(objects)), objects)
        if objects.get((Kind.LOAD_BALANCER, lb_id)) is Final.DELETED:
            children = dict.fromkeys(changes.objects(tree), Final.DELETED)
            change = changes.DeleteLoadBalancer(replace(tree, listeners=(), pools=()), children)
        return Finding(lb_id, Verdict.STUCK, detail, change)

    def _orphan(self, lb_id: str, rows: Sequence[Row]) -> Finding:
        """Ask once more, by id: a load balancer may have been made since the list."""
        if codec.pending(rows) is not None or self._octavia.tree(lb_id) is not None:
            return Finding(lb_id, Verdict.RIGHT, "it has just been created")
        return Finding(lb_id, Verdict.ORPHANED, change=changes.Abandon(lb_id))


def _gone(objects: Objects) -> frozenset[str]:
    return frozenset(
        object_id for (_, object_id), final in objects.items() if final is Final.DELETED
    )


def without(lb: model.LoadBalancer, gone: Collection[str]) -> model.LoadBalancer:
    """Return a load balancer without the objects of those ids."""
    pools = tuple(
        replace(
            pool,
            members=tuple(each for each in pool.members if each.id not in gone),
            monitor=pool.monitor if pool.monitor and pool.monitor.id not in gone else None,
        )
        for pool in lb.pools
        if pool.id not in gone
    )
    kept = {pool.id for pool in pools}
    listeners = tuple(
        replace(each, pool_id=each.pool_id if each.pool_id in kept else None)
        for each in lb.listeners
        if each.id not in gone
    )
    return replace(lb, pools=pools, listeners=listeners)
