# SPDX-License-Identifier: Apache-2.0
"""Operating statuses of the whole tree, and reports to Octavia."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from octavia_ovn.core import model
from octavia_ovn.core.health import Health, HealthState
from octavia_ovn.core.pending import UNSERVED, Final, Kind, Objects, Pending

Record = dict[str, str]
Message = dict[str, list[Record]]
"""A status in the sense of octavia-lib: a list of records for each kind."""


class Operating(str, enum.Enum):
    """Octavia's operating statuses, as far as they occur here."""

    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"
    DEGRADED = "DEGRADED"
    ERROR = "ERROR"
    DRAINING = "DRAINING"
    NO_MONITOR = "NO_MONITOR"


_OF_HEALTH = {
    HealthState.UP: Operating.ONLINE,
    HealthState.DOWN: Operating.ERROR,
    HealthState.UNKNOWN: Operating.OFFLINE,  # as Octavia itself calls a member that is new
    HealthState.UNCHECKED: Operating.NO_MONITOR,
    HealthState.UNREACHABLE: Operating.ERROR,
}

Tree = Mapping[tuple[Kind, str], Operating]


def tree(
    lb: model.LoadBalancer,
    health: Health,
    failed: frozenset[tuple[Kind, str]] = frozenset(),
    *,
    lost: bool = False,
) -> dict[tuple[Kind, str], Operating]:
    """Return the operating status of every object of a load balancer.

    :param failed: monitors that cannot become what was asked for
    :param lost: whether a VIP is not served because Neutron gave it to others
    """
    statuses: dict[tuple[Kind, str], Operating] = {}
    for pool in lb.pools:
        members = [_member(lb.flavor, pool, member, health) for member in pool.members]
        for member, status in zip(pool.members, members, strict=True):
            statuses[(Kind.MEMBER, member.id)] = status
        if pool.monitor:
            statuses[(Kind.HEALTH_MONITOR, pool.monitor.id)] = _monitor(pool.monitor, failed)
        attached = bool(lb.listeners_of(pool.id))
        counted = (
            status for member, status in zip(pool.members, members, strict=True) if member.enabled
        )
        statuses[(Kind.POOL, pool.id)] = (
            _combine(counted) if pool.enabled and attached else Operating.OFFLINE
        )
    for listener in lb.listeners:
        statuses[(Kind.LISTENER, listener.id)] = _listener(lb, listener, statuses)
    below = (statuses[(Kind.LISTENER, each.id)] for each in lb.listeners if each.enabled)
    whole = Operating.ERROR if lost else _combine(below)
    statuses[(Kind.LOAD_BALANCER, lb.id)] = whole if lb.enabled else Operating.OFFLINE
    return statuses


def _member(
    flavor: model.Flavor, pool: model.Pool, member: model.Member, health: Health
) -> Operating:
    if not member.enabled:
        return Operating.OFFLINE
    status = _OF_HEALTH[health.of(pool, member)]
    drains = flavor.drain_timeout is not None and not member.weight
    return Operating.DRAINING if drains and status is not Operating.ERROR else status


def _monitor(monitor: model.HealthMonitor, failed: frozenset[tuple[Kind, str]]) -> Operating:
    if (Kind.HEALTH_MONITOR, monitor.id) in failed:
        return Operating.ERROR
    return Operating.ONLINE if monitor.enabled else Operating.OFFLINE


def _listener(lb: model.LoadBalancer, listener: model.Listener, statuses: Tree) -> Operating:
    if not (lb.enabled and listener.enabled):
        return Operating.OFFLINE
    pool = lb.pool(listener.pool_id)
    if pool is None or not pool.enabled:
        return Operating.ONLINE
    return statuses[(Kind.POOL, pool.id)]


def _combine(parts: Iterable[Operating]) -> Operating:
    """Return the status of an object from its enabled parts.

    OFFLINE of such a part means that its health is not known yet: while that applies to all parts,
    it applies to the whole.
    """
    found = set(parts)
    if found in ({Operating.ERROR}, {Operating.OFFLINE}):
        return found.pop()
    bad = found & {Operating.ERROR, Operating.DEGRADED}
    return Operating.DEGRADED if bad else Operating.ONLINE


def member_statuses(statuses: Tree) -> dict[str, str]:
    """Return the part that the row keeps: members, and monitors because they may be in ERROR."""
    return {
        object_id: status.value
        for (kind, object_id), status in statuses.items()
        if kind in (Kind.MEMBER, Kind.HEALTH_MONITOR)
    }


@dataclass(frozen=True, slots=True)
class Report:
    """The report to Octavia about one load balancer.

    :param message: the statuses
    :param first: a message to send before; Octavia answers it once it has committed the request
    :param new: whether the request creates the load balancer, which may not be committed yet
    """

    message: Message = field(default_factory=dict)
    first: Message = field(default_factory=dict)
    new: bool = False


def report(  # noqa: PLR0913 - each is a fact of its own
    lb: model.LoadBalancer,
    statuses: Tree,
    pending: Pending | None,
    known: Mapping[str, str],
    failed: frozenset[tuple[Kind, str]] = frozenset(),
    reported: Tree | None = None,
    marked: bool = False,
) -> Report:
    """Compute the report to Octavia.

    :param known: member statuses that were reported, as the rows keep them, and ERROR of monitors
    :param reported: statuses of all objects that were reported, None when that is not known
    :param failed: pending objects that end in ERROR
    :param marked: whether the loss of a VIP, or its end, may not be reported yet
    """
    message: Message = {}
    objects = pending.objects if pending else {}
    failed |= _unserved(objects)
    turned = _turned(statuses, known)
    recovered = {key for key in turned if statuses[key] is not Operating.ERROR}
    changed = _changed(lb, statuses, known) | _derived(statuses, pending, reported) | turned
    whole = (Kind.LOAD_BALANCER, lb.id)
    if marked and (reported or {}).get(whole) is not statuses[whole]:
        changed |= {whole}
    for key in sorted(objects.keys() | changed, key=lambda each: (_ORDER[each[0]], each[1])):
        kind, _ = key
        # Octavia shows a monitor that could not be realised in provisioning status ERROR.
        final = objects.get(key, Final.ACTIVE if key in recovered else None)
        record = _record(key, final, statuses, failed)
        message.setdefault(kind.value, []).append(record)
    new = is_first(pending)
    waits = not new and any(kind is not Kind.LOAD_BALANCER for kind, _ in objects)
    return Report(message, _first(lb.id, statuses[whole]) if waits else {}, new)


def _first(lb_id: str, operating: Operating) -> Message:
    """Return a message that Octavia answers once it has committed a request on a load balancer.

    It writes PENDING_UPDATE of members, pools and monitors only after the driver has answered. And
    it counts the quota of a deleted object down before it waits for that object: each time, if the
    wait fails.
    """
    return {Kind.LOAD_BALANCER.value: [{"id": lb_id, "operating_status": operating.value}]}


def _unserved(objects: Objects) -> frozenset[tuple[Kind, str]]:
    """Return the objects that OVN cannot serve, of those that Octavia has and keeps."""
    return frozenset(
        key for key, final in objects.items() if key[0] in UNSERVED and final is not Final.DELETED
    )


def is_first(pending: Pending | None) -> bool:
    """Whether the load balancer has just been created.

    A later request shows that Octavia has committed it, and may hold it now.
    """
    return pending is not None and pending.created and len(pending.requests) == 1


_ORDER = {kind: index for index, kind in enumerate(Kind)}


def _record(
    key: tuple[Kind, str],
    final: Final | None,
    statuses: Tree,
    failed: frozenset[tuple[Kind, str]],
) -> Record:
    kind, object_id = key
    record = {"id": object_id}
    if final is not None:
        record["provisioning_status"] = "ERROR" if key in failed else final.value
    if final is Final.DELETED and key not in failed:
        if kind in (Kind.LOAD_BALANCER, Kind.LISTENER):
            record["operating_status"] = Operating.OFFLINE.value
    elif key in failed:
        record["operating_status"] = Operating.ERROR.value
    elif key in statuses:
        record["operating_status"] = statuses[key].value
    return record


def _changed(
    lb: model.LoadBalancer, statuses: Tree, known: Mapping[str, str]
) -> frozenset[tuple[Kind, str]]:
    """Return the members with an unreported status, and the objects above them."""
    keys: set[tuple[Kind, str]] = set()
    for pool in lb.pools:
        members = {
            (Kind.MEMBER, each.id)
            for each in pool.members
            if known.get(each.id) != statuses[(Kind.MEMBER, each.id)].value
        }
        if members:
            keys |= members | {(Kind.POOL, pool.id), (Kind.LOAD_BALANCER, lb.id)}
            keys |= {(Kind.LISTENER, each.id) for each in lb.listeners_of(pool.id)}
    return frozenset(keys)


def _turned(statuses: Tree, known: Mapping[str, str]) -> frozenset[tuple[Kind, str]]:
    """Return the monitors that have failed or recovered since the last report."""
    return frozenset(
        key
        for key, status in statuses.items()
        if key[0] is Kind.HEALTH_MONITOR
        and (status is Operating.ERROR) != (known.get(key[1]) == Operating.ERROR.value)
    )


def _derived(
    statuses: Tree, pending: Pending | None, reported: Tree | None
) -> frozenset[tuple[Kind, str]]:
    """Return the objects other than members whose status has changed since the last report.

    An agent that has just started does not know the last report, and reports all with the first
    request.
    """
    if reported is None and pending is None:
        return frozenset()
    before = reported or {}
    return frozenset(
        key
        for key, status in statuses.items()
        if key[0] is not Kind.MEMBER and before.get(key) is not status
    )


def final(pending: Pending, failed: frozenset[tuple[Kind, str]] = frozenset()) -> Report:
    """Compute the report about a load balancer that is gone."""
    message: Message = {}
    first: Message = {}
    for key in sorted(pending.objects, key=lambda each: (_ORDER[each[0]], each[1])):
        kind, object_id = key
        record = _record(key, pending.objects[key], {}, failed)
        message.setdefault(kind.value, []).append(record)
        if kind is Kind.LOAD_BALANCER:
            first = _first(object_id, Operating.OFFLINE)
    return Report(message, first)
