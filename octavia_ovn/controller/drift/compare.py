# SPDX-License-Identifier: Apache-2.0
"""Compares Octavia with the Northbound database and repairs what differs.

A repair is recorded like a request: the intent in the rows becomes what Octavia has, and what is
PENDING with no request under way becomes an open request. The agent does the rest. Nothing is
written for a load balancer that is right, so its traffic is never touched.

Of each load balancer the rows are read first, then Octavia's tree. A request is in the rows before
Octavia commits it, and stays there as pending until Octavia has. So what Octavia lacks of rows that
have not changed meanwhile is no request under way.
"""

from __future__ import annotations

import enum
import itertools
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from octavia_ovn.controller.protocols import Octavia
from octavia_ovn.core import codec, model
from octavia_ovn.core.codec.describe import describe
from octavia_ovn.core.listed import Listed
from octavia_ovn.core.pending import Final, Kind, Objects
from octavia_ovn.core.request import changes
from octavia_ovn.core.rows import Operation, Row
from octavia_ovn.errors import OctaviaOvnError

_ATTEMPTS = 3
_THREADS = 8
_PART = 10
"""Load balancers whose rows are read together."""
_AT_ONCE = 50
"""Such parts until whose end no other begins."""
_SETTLING = 5.0
"""Seconds for which a part of a load balancer that is not PENDING itself may be: then no request is
under way, and what Octavia has overwritten is sent once more after a second."""
# Errors that unforeseen data leads to; they must not stop the other load balancers.
_UNFORESEEN = (ValueError, LookupError, TypeError, AttributeError)


class DriftState(str, enum.Enum):
    """What a comparison has found about a load balancer."""

    RIGHT = "right"
    MISSING = "missing"
    DIFFERENT = "different"
    STUCK = "stuck"
    ORPHANED = "orphaned"
    VIP_LOST = "without a VIP"
    UNENFORCED = "unenforced"
    UNCLEAR = "unclear"


class Depth(enum.IntEnum):
    """What is compared of load balancers whose rows look right."""

    LISTS = 1
    """Only what lists show: load balancers, listeners, pools, and which of them are PENDING."""
    TREES = 2
    """Each with Octavia's whole tree: one question for each load balancer."""
    STATUSES = 3
    """Also the status of each object in the tree: several questions for each load balancer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of comparing one load balancer, and the change that repairs it.

    :param rows: its rows as they were; what is found is true only for these
    :param pending: whether it has an open request
    """

    lb_id: str
    state: DriftState
    detail: str = ""
    change: changes.Change | None = field(default=None, repr=False)
    rows: Sequence[Row] = field(default=(), repr=False)
    pending: bool = False


class Store(Protocol):
    """Where intents are recorded."""

    def load_balancers(self) -> Mapping[str, Collection[str]]:
        """Return the UUIDs of the rows of all load balancers, by load balancer."""

    def read(self, uuids: Collection[str]) -> Sequence[Row]:
        """Return the rows with these UUIDs, as far as they exist."""

    def rows(self, lb_id: str) -> Sequence[Row]:
        """Return the rows of a load balancer."""

    def plan(self, change: changes.Change, rows: Sequence[Row]) -> Sequence[Operation]:
        """Return what recording a change on rows would write."""

    def record_on(self, rows: Sequence[Row], change: changes.Change) -> bool:
        """Record a change on rows; return False when they are not the same any more."""


class Listing(Protocol):
    """Octavia's API. An answer is complete or an error."""

    def load_balancers(self) -> Sequence[Listed]:
        """Return all load balancers of the provider that the account may see."""

    def with_pending_children(self) -> Collection[str]:
        """Return the ids of load balancers that have something below them in PENDING."""

    def load_balancer(self, lb_id: str) -> Listed | None:
        """Return one load balancer of the provider; None when there is none of that id."""

    def pending(self, lb_id: str) -> Objects:
        """Return the objects of a load balancer that are in PENDING, and how each must end."""


class Repair:
    """Compares and repairs.

    :param grace: seconds for which an object may be in PENDING without a request under way
    :param patience: seconds between two queries before a load balancer is unknown to Octavia:
        Octavia's API may be about to commit it
    :param sleep: waits that many seconds
    """

    def __init__(  # noqa: PLR0913 - by keyword
        self,
        store: Store,
        octavia: Octavia,
        listing: Listing,
        *,
        grace: float = 300.0,
        patience: float = 5.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._store = store
        self._octavia = octavia
        self._listing = listing
        self._grace = grace
        self._patience = patience
        self._sleep = sleep

    def compare(
        self,
        wanted: Callable[[Listed], bool] = lambda _: True,
        *,
        depth: Depth = Depth.TREES,
        recent: float = 0.0,
        started: Callable[[int], object] = lambda _: None,
    ) -> Iterator[Finding]:
        """Yield a finding for each load balancer; nothing is changed.

        Everything is listed before the first finding, so an incomplete list finds nothing.

        :param wanted: selects load balancers; orphans are found only if it selects all
        :param recent: seconds; load balancers that Octavia has changed since then are compared with
            their trees at least, and it is asked whether anything below them is in PENDING: lists
            do not show members, nor what was rolled back when an API worker died
        :param started: called with the number of findings to come
        :raises OctaviaOvnError: when Octavia or the database cannot be listed
        """
        uuids = self._store.load_balancers()
        every = self._listing.load_balancers()
        busy = self._listing.with_pending_children()
        listed = [each for each in every if wanted(each)]
        known = {each.id for each in every}
        unknown = {lb_id: uuids[lb_id] for lb_id in uuids if lb_id not in known}
        orphans = self._described(unknown) if len(listed) == len(every) else {}
        started(len(listed) + len(orphans))

        def compare(part: Sequence[Listed]) -> Iterator[Finding]:
            rows = self._read({each.id: uuids.get(each.id, ()) for each in part})
            for each in part:
                new = each.idle < recent
                suspect = each.id in busy or depth is Depth.STATUSES or new
                deep = max(depth, Depth.TREES) if new else depth
                yield self._guard(each.id, self._compare, each, rows[each.id], deep, suspect)

        yield from _side_by_side(compare, listed)
        if orphans:
            self._sleep(self._patience)
        for lb_id, found in sorted(orphans.items()):
            yield self._guard(lb_id, self._orphan, lb_id, found)

    def _read(self, uuids: Mapping[str, Collection[str]]) -> dict[str, list[Row]]:
        """Return the rows of some load balancers, empty where they are gone."""
        rows: dict[str, list[Row]] = {lb_id: [] for lb_id in uuids}
        for row in self._store.read(list(itertools.chain.from_iterable(uuids.values()))):
            rows.setdefault(row.name, []).append(row)
        return rows

    def _described(self, uuids: Mapping[str, Collection[str]]) -> dict[str, list[Row]]:
        """Return rows that describe load balancers: without external_ids they may be others'."""
        found = self._read(uuids).items()
        return {lb_id: rows for lb_id, rows in found if any(row.external_ids for row in rows)}

    def compare_one(self, lb_id: str) -> Finding:
        """Compare a load balancer by its id, and nothing else; nothing is changed."""
        return self._guard(lb_id, self._compare_one, lb_id)

    def _compare_one(self, lb_id: str) -> Finding:
        rows = self._store.rows(lb_id)
        listed = self._listing.load_balancer(lb_id)
        if listed is None:
            return Finding(lb_id, DriftState.RIGHT, "Octavia does not know it")
        return self._compare(listed, rows, Depth.LISTS, suspect=True)

    def repair(self, finding: Finding) -> bool:
        """Record what repairs a finding.

        :returns: whether it was written; False also when the rows have changed meanwhile, and what
            was found is not true any more
        :raises OctaviaOvnError: when it cannot be recorded
        """
        if finding.change is None:
            return False
        return self._store.record_on(finding.rows, finding.change)

    @staticmethod
    def _guard(lb_id: str, compare: Callable[..., Finding], *args: object) -> Finding:
        """One load balancer that cannot be compared does not stop the others."""
        try:
            return compare(*args)
        except OctaviaOvnError as error:
            return Finding(lb_id, DriftState.UNCLEAR, str(error))
        except _UNFORESEEN as error:
            return Finding(lb_id, DriftState.UNCLEAR, f"{type(error).__name__}: {error}")

    def _compare(self, listed: Listed, rows: Sequence[Row], depth: Depth, suspect: bool) -> Finding:
        """Compare one load balancer; repeat it when its rows have changed meanwhile.

        :param suspect: whether something below it may be in PENDING
        """
        found = self._compare_with(listed, rows, depth, suspect)
        for _ in range(_ATTEMPTS):
            if found.change is None:
                return _unenforced(listed, rows) or found if _is_right(found) else found
            now = self._store.rows(listed.id)
            if _same(now, rows):
                return found
            rows = now
            found = self._compare_with(listed, rows, Depth.TREES, suspect)
        return Finding(
            listed.id, DriftState.RIGHT, "it is being changed all the time", pending=True
        )

    def _compare_with(
        self, listed: Listed, rows: Sequence[Row], depth: Depth, suspect: bool
    ) -> Finding:
        lb_id = listed.id
        if codec.pending(rows) is not None:
            return Finding(lb_id, DriftState.RIGHT, "the agent is at work on it", pending=True)
        in_pending = listed.provisioning_status.startswith("PENDING")
        grace = self._grace if in_pending else min(self._grace, _SETTLING)
        due = (in_pending or suspect) and listed.idle >= grace
        objects = self._listing.pending(lb_id) if due else {}
        if in_pending and not objects:
            return Finding(lb_id, DriftState.RIGHT, "a request has just come in", pending=True)
        if not objects and depth is Depth.LISTS and _looks_right(listed, rows):
            return _as_it_should_be(lb_id, rows)
        tree = self._octavia.tree(lb_id)
        if tree is None:
            return Finding(lb_id, DriftState.RIGHT, "it has just been deleted")
        if objects:
            return _stuck(listed, tree, objects, rows)
        return self._compare_tree(lb_id, tree, rows)

    def _compare_tree(self, lb_id: str, tree: model.LoadBalancer, rows: Sequence[Row]) -> Finding:
        change = changes.Restore(tree)
        operations = self._store.plan(change, rows)
        if not operations:
            return _as_it_should_be(lb_id, rows)
        state = DriftState.DIFFERENT if rows else DriftState.MISSING
        detail = describe(operations, rows) if rows else "it has no rows"
        return Finding(lb_id, state, detail, change, rows)

    def _orphan(self, lb_id: str, rows: Sequence[Row]) -> Finding:
        """Ask once more, by id: a load balancer may have been made since the list.

        The account may also lack the right to list it; the driver agent's answer knows no rights.
        """
        if self._octavia.tree(lb_id) is not None:
            return Finding(lb_id, DriftState.RIGHT, "it is known, but not listed")
        if not _same(self._store.rows(lb_id), rows):
            return Finding(lb_id, DriftState.RIGHT, "it is being changed", pending=True)
        pending = codec.pending(rows) is not None
        detail = "Octavia does not know it"
        return Finding(lb_id, DriftState.ORPHANED, detail, changes.Abandon(lb_id), rows, pending)


def _stuck(
    listed: Listed, tree: model.LoadBalancer, objects: Objects, rows: Sequence[Row]
) -> Finding:
    lb_id = listed.id
    change: changes.Change = changes.Restore(without(tree, _gone(objects)), objects)
    if objects.get((Kind.LOAD_BALANCER, lb_id)) is Final.DELETED:
        children = dict.fromkeys(changes.objects(tree), Final.DELETED)
        change = changes.DeleteLoadBalancer(replace(tree, listeners=(), pools=()), children)
    detail = f"{listed.provisioning_status} for {listed.idle:.0f} s"
    if (Kind.LOAD_BALANCER, lb_id) not in objects:
        detail = ", ".join(sorted({kind.singular for kind, _ in objects})) + " in PENDING"
    return Finding(lb_id, DriftState.STUCK, detail, change, rows)


def _side_by_side(
    compare: Callable[[Sequence[Listed]], Iterable[Finding]], listed: Sequence[Listed]
) -> Iterator[Finding]:
    """Yield the findings in order; several parts of the list are compared at the same time."""

    def findings(part: Sequence[Listed]) -> list[Finding]:
        try:
            return list(compare(part))
        except OctaviaOvnError as error:
            return [Finding(each.id, DriftState.UNCLEAR, str(error)) for each in part]

    parts = [listed[begin : begin + _PART] for begin in range(0, len(listed), _PART)]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="repair") as executor:
        try:
            # The findings of all parts at once could be as large as all rows.
            for begin in range(0, len(parts), _AT_ONCE):
                found = executor.map(findings, parts[begin : begin + _AT_ONCE])
                yield from itertools.chain.from_iterable(found)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _same(one: Iterable[Row], other: Iterable[Row]) -> bool:
    """Whether two sets of rows say the same."""
    return _contents(one) == _contents(other)


def _contents(rows: Iterable[Row]) -> dict[str, tuple[str, Mapping[str, str]]]:
    return {row.uuid: (row.protocol, row.external_ids) for row in rows}


def _looks_right(listed: Listed, rows: Sequence[Row]) -> bool:
    """Whether the rows have a VIP, and the listeners, pools and groups that Octavia lists.

    Values that cannot be read are found and repaired when the load balancer is reconciled.
    """
    same = codec.vip_groups(rows) == set(listed.security_groups)
    return same and codec.children(rows) == listed.children


def _as_it_should_be(lb_id: str, rows: Sequence[Row]) -> Finding:
    """Return what there is to say of rows that agree with Octavia: whether all VIPs are served."""
    lost = codec.read_lost_vips(rows)
    if not lost:
        return Finding(lb_id, DriftState.RIGHT)
    detail = "; ".join(f"VIP {address} is not served: {why}" for address, why in lost.items())
    return Finding(lb_id, DriftState.VIP_LOST, detail)


def _is_right(finding: Finding) -> bool:
    return finding.state is DriftState.RIGHT and not finding.pending


def _unenforced(listed: Listed, rows: Sequence[Row]) -> Finding | None:
    """Return what Octavia shows of a load balancer and OVN does not do.

    Octavia does not pass the security groups of an update to a provider, which cannot refuse them.
    """
    if codec.vip_groups(rows).issuperset(listed.security_groups):
        return None
    groups = ", ".join(listed.security_groups)
    detail = f"vip_sg_ids ({groups}) do not restrict access; replace them by allowed_cidrs"
    return Finding(listed.id, DriftState.UNENFORCED, detail)


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
