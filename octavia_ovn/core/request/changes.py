# SPDX-License-Identifier: Apache-2.0
"""Changes of a load balancer, and their results.

`apply(lb, change)` returns the load balancer after the change and the pending objects. Every change
is idempotent: applied twice, it gives the same result.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from octavia_ovn.core import model, slots
from octavia_ovn.core.pending import Final, Kind, Objects, active, deleted
from octavia_ovn.core.request import continuity

T = TypeVar("T", model.Listener, model.Pool, model.Member)


class UnknownObject(LookupError):
    """The change is about an object that the load balancer does not have."""


@dataclass(frozen=True, slots=True)
class CreateLoadBalancer:
    """Create a load balancer with all that it has from the start."""

    lb: model.LoadBalancer


@dataclass(frozen=True, slots=True)
class UpdateLoadBalancer:
    """Set the administrative state; None leaves it as it is.

    :param groups: whether the security groups of the VIP may change: Octavia does not say
    """

    enabled: bool | None = None
    groups: bool = False


@dataclass(frozen=True, slots=True)
class DeleteLoadBalancer:
    """Delete a load balancer.

    :param lb: at least its id and VIPs, for the case that no row is left
    :param objects: its children as Octavia knows them: all must be reported, even if the rows lack
        them
    """

    lb: model.LoadBalancer
    objects: Objects


@dataclass(frozen=True, slots=True)
class PutListener:
    """Create or replace a listener."""

    listener: model.Listener


@dataclass(frozen=True, slots=True)
class DeleteListener:
    """Delete a listener.

    :param objects: its L7 policies and their rules as Octavia knows them
    """

    listener_id: str
    objects: Objects = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PutPool:
    """Create a pool, or replace its own fields but not its members and monitor.

    :param listener_id: a listener that gets it as its default pool
    """

    pool: model.Pool
    listener_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeletePool:
    """Delete a pool with its members and monitor.

    :param objects: its members and monitor as Octavia knows them
    """

    pool_id: str
    objects: Objects


@dataclass(frozen=True, slots=True)
class PutMember:
    """Create or replace a member."""

    pool_id: str
    member: model.Member


@dataclass(frozen=True, slots=True)
class DeleteMember:
    """Delete a member, also one that the rows do not know."""

    pool_id: str
    member_id: str


@dataclass(frozen=True, slots=True)
class ReplaceMembers:
    """Make these the members of a pool."""

    pool_id: str
    members: tuple[model.Member, ...]


@dataclass(frozen=True, slots=True)
class PutMonitor:
    """Create or replace the health monitor of a pool."""

    pool_id: str
    monitor: model.HealthMonitor


@dataclass(frozen=True, slots=True)
class DeleteMonitor:
    """Delete the health monitor of a pool, also one that the rows do not know."""

    pool_id: str
    monitor_id: str


@dataclass(frozen=True, slots=True)
class Resync:
    """Have the agent restore the load balancer from Octavia."""

    lb_id: str


@dataclass(frozen=True, slots=True)
class Release:
    """Report how objects end that OVN does not know; nothing else changes."""

    lb_id: str
    objects: Objects


@dataclass(frozen=True, slots=True)
class Restore:
    """Make the load balancer the same as in Octavia.

    :param objects: objects that Octavia shows in PENDING and that must be finished
    """

    lb: model.LoadBalancer
    objects: Objects = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Abandon:
    """Delete a load balancer that Octavia does not know."""

    lb_id: str


Change = (
    CreateLoadBalancer
    | UpdateLoadBalancer
    | DeleteLoadBalancer
    | PutListener
    | DeleteListener
    | PutPool
    | DeletePool
    | PutMember
    | DeleteMember
    | ReplaceMembers
    | PutMonitor
    | DeleteMonitor
    | Resync
    | Release
    | Restore
    | Abandon
)


@dataclass(frozen=True, slots=True)
class Applied:
    """The load balancer after a change, and the objects that Octavia waits for."""

    lb: model.LoadBalancer
    objects: Objects
    created: bool = False


def apply(lb: model.LoadBalancer | None, change: Change) -> Applied:
    """Apply a change.

    :param lb: the load balancer as the rows say, None when there are none
    :raises UnknownObject: when the change needs a load balancer, pool or listener that is not there
    """
    if isinstance(change, CreateLoadBalancer):
        return Applied(change.lb, _tree(change.lb, Final.ACTIVE), created=True)
    if isinstance(change, Restore):
        return Applied(continuity.keep(lb, change.lb), change.objects)
    if isinstance(change, DeleteLoadBalancer):
        tree = _tree(lb or change.lb, Final.DELETED)
        return Applied(lb or change.lb, {**tree, **change.objects})
    lb = known(lb)
    after, objects = _apply(change, lb)
    return Applied(after, {**objects, (Kind.LOAD_BALANCER, lb.id): Final.ACTIVE})


def known(lb: model.LoadBalancer | None) -> model.LoadBalancer:
    """Return a load balancer that must be there.

    :raises UnknownObject: when there are no rows of it
    """
    if lb is None:
        msg = "the load balancer has no row in the Northbound database"
        raise UnknownObject(msg)
    return lb


def pool_of(lb: model.LoadBalancer | None, pool_id: str) -> model.Pool:
    """Return a pool that must be there.

    :raises UnknownObject: when it is not
    """
    pool = known(lb).pool(pool_id)
    if pool is None:
        msg = f"pool {pool_id} is not in the Northbound database"
        raise UnknownObject(msg)
    return pool


Result = tuple[model.LoadBalancer, Objects]


@functools.singledispatch
def _apply(change: object, _: model.LoadBalancer) -> Result:
    raise TypeError(change)


@_apply.register
def _(_change: Resync, lb: model.LoadBalancer) -> Result:
    return lb, {}


@_apply.register
def _(change: Release, lb: model.LoadBalancer) -> Result:
    return lb, change.objects


@_apply.register
def _(change: UpdateLoadBalancer, lb: model.LoadBalancer) -> Result:
    enabled = lb.enabled if change.enabled is None else change.enabled
    return replace(lb, enabled=enabled), {}


@_apply.register
def _(change: PutListener, lb: model.LoadBalancer) -> Result:
    listeners = _put(lb.listeners, change.listener)
    return replace(lb, listeners=listeners), active(Kind.LISTENER, [change.listener.id])


@_apply.register
def _(change: DeleteListener, lb: model.LoadBalancer) -> Result:
    listeners = tuple(each for each in lb.listeners if each.id != change.listener_id)
    objects = {**change.objects, **deleted(Kind.LISTENER, [change.listener_id])}
    return replace(lb, listeners=listeners), objects


@_apply.register
def _(change: PutPool, lb: model.LoadBalancer) -> Result:
    before = lb.pool(change.pool.id)
    pool = change.pool
    if before is not None:
        pool = replace(pool, members=before.members, monitor=before.monitor)
    pool = slots.arrange(pool, slots.places(before) if before else ())
    listeners = lb.listeners
    if change.listener_id is not None:
        listener = lb.listener(change.listener_id)
        if listener is None:
            msg = f"listener {change.listener_id} is not in the Northbound database"
            raise UnknownObject(msg)
        listeners = _put(listeners, replace(listener, pool_id=pool.id))
    after = replace(lb, pools=_put(lb.pools, pool), listeners=listeners)
    return after, _pool_objects(after, pool.id)


@_apply.register
def _(change: DeletePool, lb: model.LoadBalancer) -> Result:
    objects = dict(change.objects)
    pool = lb.pool(change.pool_id)
    if pool is not None:
        objects |= _children(pool, Final.DELETED)
    objects |= active(Kind.LISTENER, (each.id for each in lb.listeners_of(change.pool_id)))
    listeners = tuple(
        replace(each, pool_id=None) if each.pool_id == change.pool_id else each
        for each in lb.listeners
    )
    pools = tuple(each for each in lb.pools if each.id != change.pool_id)
    after = replace(lb, pools=pools, listeners=listeners)
    return after, objects | deleted(Kind.POOL, [change.pool_id])


@_apply.register
def _(change: PutMember, lb: model.LoadBalancer) -> Result:
    pool = pool_of(lb, change.pool_id)
    members = _put(pool.members, continuity.with_subnet(change.member, pool))
    after = _with_members(lb, pool, members)
    return after, _pool_objects(lb, pool.id) | active(Kind.MEMBER, [change.member.id])


@_apply.register
def _(change: DeleteMember, lb: model.LoadBalancer) -> Result:
    pool = pool_of(lb, change.pool_id)
    members = tuple(each for each in pool.members if each.id != change.member_id)
    after = _with_members(lb, pool, members)
    return after, _pool_objects(lb, pool.id) | deleted(Kind.MEMBER, [change.member_id])


@_apply.register
def _(change: ReplaceMembers, lb: model.LoadBalancer) -> Result:
    pool = pool_of(lb, change.pool_id)
    wanted = {each.id: continuity.with_subnet(each, pool) for each in change.members}
    gone = [each.id for each in pool.members if each.id not in wanted]
    # Those that stay keep their place: a client's hash picks a place.
    kept = [wanted.pop(each.id) for each in pool.members if each.id in wanted]
    after = _with_members(lb, pool, (*kept, *wanted.values()))
    objects = active(Kind.MEMBER, (each.id for each in change.members))
    return after, _pool_objects(lb, pool.id) | objects | deleted(Kind.MEMBER, gone)


@_apply.register
def _(change: PutMonitor, lb: model.LoadBalancer) -> Result:
    pool = pool_of(lb, change.pool_id)
    after = replace(lb, pools=_put(lb.pools, replace(pool, monitor=change.monitor)))
    objects = active(Kind.HEALTH_MONITOR, [change.monitor.id])
    return after, _pool_objects(lb, pool.id) | objects


@_apply.register
def _(change: DeleteMonitor, lb: model.LoadBalancer) -> Result:
    pool = pool_of(lb, change.pool_id)
    after = replace(lb, pools=_put(lb.pools, replace(pool, monitor=None)))
    objects = deleted(Kind.HEALTH_MONITOR, [change.monitor_id])
    return after, _pool_objects(lb, pool.id) | objects


def objects(lb: model.LoadBalancer) -> frozenset[tuple[Kind, str]]:
    """Return all objects of a load balancer."""
    return frozenset(_tree(lb, Final.ACTIVE))


def _tree(lb: model.LoadBalancer, final: Final) -> Objects:
    objects: dict[tuple[Kind, str], Final] = {(Kind.LOAD_BALANCER, lb.id): final}
    for listener in lb.listeners:
        objects[(Kind.LISTENER, listener.id)] = final
    for pool in lb.pools:
        objects |= _children(pool, final)
        objects[(Kind.POOL, pool.id)] = final
    return objects


def _children(pool: model.Pool, final: Final) -> dict[tuple[Kind, str], Final]:
    objects = {(Kind.MEMBER, member.id): final for member in pool.members}
    if pool.monitor:
        objects[(Kind.HEALTH_MONITOR, pool.monitor.id)] = final
    return objects


def _pool_objects(lb: model.LoadBalancer, pool_id: str) -> dict[tuple[Kind, str], Final]:
    """Return a pool and its listeners: Octavia sets them all PENDING for a change below it."""
    listeners = active(Kind.LISTENER, (each.id for each in lb.listeners_of(pool_id)))
    return active(Kind.POOL, [pool_id]) | listeners


def _put(items: Iterable[T], item: T) -> tuple[T, ...]:
    """Return the items with one replaced in its place, or added at the end."""
    found = {each.id: each for each in items}
    found[item.id] = item
    return tuple(found.values())


def _with_members(
    lb: model.LoadBalancer, pool: model.Pool, members: tuple[model.Member, ...]
) -> model.LoadBalancer:
    return replace(
        lb, pools=_put(lb.pools, slots.arrange(replace(pool, members=members), slots.places(pool)))
    )
