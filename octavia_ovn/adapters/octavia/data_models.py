# SPDX-License-Identifier: Apache-2.0
"""From octavia-lib's data models to values and updates of :mod:`octavia_ovn.core.model`."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from octavia_lib.api.drivers import data_models

from octavia_ovn.adapters.octavia import fields as tables
from octavia_ovn.adapters.octavia.fields import (
    DriverDefaults,
    Fields,
    Table,
    canonical_ids,
    fields,
    patch,
    valid,
)
from octavia_ovn.core import flavors, ip, model, zones
from octavia_ovn.core.pending import Final, Kind
from octavia_ovn.core.request import limits, patches

__all__ = ["DriverDefaults", "Fields", "canonical_ids", "fields"]  # beside what is defined here

T = TypeVar("T")
Given: TypeAlias = data_models.BaseDataModel | Fields


@dataclass(frozen=True, slots=True)
class VipLookup:
    """What is known about the VIPs besides what Octavia says.

    :param cidr: returns the CIDR of a subnet, None when it is not known
    :param user_port: returns whether the user made a port, None when it is not known
    """

    cidr: Callable[[str], str | None]
    user_port: Callable[[str], bool | None]


UNKNOWN = VipLookup(lambda _: None, lambda _: None)
_NOTHING: Fields = {}
"""No fields are checked of an object that Octavia has already: it is served as well as possible.
Options without a meaning may have been accepted for it by another driver, or before a setting."""


# --- new objects: all that a request sets, and defaults for the rest


def listener(
    values: Fields, defaults: DriverDefaults, asked: Fields | None = None
) -> model.Listener:
    """Return a listener.

    :param asked: the fields that a request sets, when it does not set all of them
    :raises Unsupported: when it asks for something that OVN cannot do
    """
    sets = values if asked is None else asked
    limits.check("listener", sets, defaults.usual)
    _check_limit(sets)
    return _new(model.Listener, tables.LISTENER, values)


def pool(values: Fields, defaults: DriverDefaults, asked: Fields | None = None) -> model.Pool:
    """Return a pool with the members and the monitor that came with it.

    :param asked: the fields that a request sets, when it does not set all of them
    :raises Unsupported: when it asks for something that OVN cannot do
    """
    limits.check("pool", values if asked is None else asked, defaults.usual)
    return valid(lambda: _whole_pool(values, defaults, asked).apply())


def member(values: Fields, asked: Fields | None = None) -> model.Member:
    """Return a member; its subnet may be unknown yet.

    :param asked: the fields that a request sets, when it does not set all of them
    :raises Unsupported: when it asks for something that OVN cannot do
    """
    limits.check("member", values if asked is None else asked)
    return _new(model.Member, tables.MEMBER, values)


def health_monitor(
    values: Fields, defaults: DriverDefaults, asked: Fields | None = None
) -> model.HealthMonitor:
    """Return a health monitor.

    :param asked: the fields that a request sets, when it does not set all of them
    :raises Unsupported: when OVN has no such check
    """
    monitor = _new(model.HealthMonitor, tables.HEALTH_MONITOR, values)
    limits.check("health monitor", values if asked is None else asked, defaults.usual)
    return monitor


def _new(kind: type[T], table: Table, values: Fields) -> T:
    return valid(lambda: patch(kind, table, values).apply())


def _whole_pool(
    values: Fields, defaults: DriverDefaults, asked: Fields | None
) -> patches.Patch[model.Pool]:
    """Return what values set of a pool, its members and its monitor included."""
    itself = patch(model.Pool, tables.pool(defaults), values)
    members = tuple(member(fields(each), asked) for each in values.get("members") or ())
    monitor = values.get("healthmonitor")
    children = {
        "members": members,
        "monitor": health_monitor(fields(monitor), defaults, asked) if monitor else None,
    }
    return patches.Patch(model.Pool, {**itself.fields, **children})


# --- updates: what a request sets, and nothing else


def listener_update(old: Given, new: Given, defaults: DriverDefaults) -> patches.UpdateListener:
    """Return what an update of a listener changes.

    :raises Unsupported: when it asks for something that OVN cannot do
    """
    asked = _asked("listener", old, new, defaults.usual)
    _check_repeated(asked.get("allowed_cidrs") or ())
    _check_limit(asked, fields(old))
    named, whole = _parts(model.Listener, tables.LISTENER, old, asked)
    return patches.UpdateListener(asked["listener_id"], named, whole)


def pool_update(old: Given, new: Given, defaults: DriverDefaults) -> patches.UpdatePool:
    """Return what an update of a pool changes; its members and monitor stay.

    :raises Unsupported: when it asks for something that OVN cannot do
    """
    asked = _asked("pool", old, new, defaults.usual)
    table = tables.pool(defaults)
    named, _ = _parts(model.Pool, table, old, asked)
    complete = tables.names(table) | {"members", "healthmonitor"}
    whole = _whole(complete, fields(old, asked), lambda all_: _whole_pool(all_, defaults, _NOTHING))
    return patches.UpdatePool(asked["pool_id"], named, whole)


def member_update(old: Given, new: Given) -> patches.UpdateMember:
    """Return what an update of a member changes.

    :raises Unsupported: when it asks for something that OVN cannot do
    """
    asked = _asked("member", old, new)
    named, whole = _parts(model.Member, tables.MEMBER, old, asked)
    return patches.UpdateMember(asked["member_id"], named, whole, fields(old)["pool_id"])


def members_update(pool_id: str, given: Iterable[Given]) -> patches.UpdateMembers:
    """Return what makes these the members of a pool, each new or changed.

    :raises Unsupported: when one asks for something that OVN cannot do
    """
    updates = []
    for each in given:
        values = fields(each)
        limits.check("member", values)
        named = patch(model.Member, tables.MEMBER, values)
        updates.append(patches.UpdateMember(values["member_id"], named, named, pool_id))
    return patches.UpdateMembers(pool_id, tuple(updates))


def health_monitor_update(
    old: Given, new: Given, defaults: DriverDefaults
) -> patches.UpdateMonitor:
    """Return what an update of a health monitor changes.

    :raises Unsupported: when OVN has no such check
    """
    asked = _asked("health monitor", old, new, defaults.usual)
    named, whole = _parts(model.HealthMonitor, tables.HEALTH_MONITOR, old, asked)
    pool_id = fields(old)["pool_id"]
    return patches.UpdateMonitor(asked["healthmonitor_id"], named, whole, pool_id)


def _asked(kind: str, old: Given, new: Given, usual: limits.Usual = limits.BUILT_IN) -> Fields:
    """Return the fields that an update sets, after checking those that it changes."""
    asked, before = fields(new), fields(old)
    changed = {key: each for key, each in asked.items() if key not in before or before[key] != each}
    limits.check(kind, changed, usual, before)
    return asked


def _parts(
    kind: type[T], table: Table, old: Given, asked: Fields
) -> tuple[patches.Patch[T], patches.Patch[T] | None]:
    """Return what an update names, and the whole object after it if all of it is known."""
    whole = _whole(tables.names(table), fields(old, asked), lambda all_: patch(kind, table, all_))
    return patch(kind, table, asked), whole


def _whole(complete: frozenset[str], values: Fields, build: Callable[[Fields], T]) -> T | None:
    if not complete <= values.keys():
        return None
    try:
        return build(values)
    except limits.Unsupported:
        # What OVN cannot do was there before, and is no part of the request: only rows that serve
        # the object somehow can be changed.
        return None


# --- load balancers


def flavor(metadata: object) -> model.Flavor:
    """Return a flavor.

    :raises Unsupported: naming the key that is unknown or whose value is wrong
    """
    return _supported(flavors.read, metadata)


def zone(metadata: object) -> None:
    """Check an availability zone.

    :raises Unsupported: naming the key that is unknown or whose value is wrong
    """
    _supported(zones.check, metadata)


def _supported(read: Callable[[object], T], metadata: object) -> T:
    try:
        return read(metadata)
    except (ValueError, TypeError) as error:
        raise limits.Unsupported(f"{error}.") from error


def load_balancer(
    values: Fields, defaults: DriverDefaults, vip_lookup: VipLookup = UNKNOWN
) -> model.LoadBalancer:
    """Return a new load balancer with its whole tree.

    :raises Unsupported: when it asks for something that OVN cannot do
    """
    limits.check("load balancer", values, defaults.usual)
    zone(values.get("availability_zone") or {})
    return _tree(values, defaults, vip_lookup, None)


def existing_load_balancer(values: Fields, defaults: DriverDefaults) -> model.LoadBalancer:
    """Return a load balancer that Octavia has, with its whole tree; options do not count.

    :raises Unsupported: when OVN cannot serve it at all
    """
    return _tree(canonical_ids(values), defaults, UNKNOWN, _NOTHING)


def _tree(
    values: Fields, defaults: DriverDefaults, vip_lookup: VipLookup, asked: Fields | None
) -> model.LoadBalancer:
    listeners = values.get("listeners") or ()
    chosen = flavor(values.get("flavor") or {})
    return valid(
        lambda: model.LoadBalancer(
            id=values["loadbalancer_id"],
            vips=tuple(_vips(values, vip_lookup)),
            project_id=values.get("project_id") or None,
            enabled=tables.enabled(values.get("admin_state_up")),
            listeners=tuple(listener(fields(each), defaults, asked) for each in listeners),
            pools=tuple(
                flavors.with_mechanism(each, chosen) for each in _pools(values, defaults, asked)
            ),
            flavor=chosen,
            security_groups=_security_groups(values, defaults),
        )
    )


def _security_groups(values: Fields, defaults: DriverDefaults) -> frozenset[str] | None:
    """Return the security groups of the VIP; None while the operator does not permit them."""
    if limits.VIP_GROUPS not in defaults.usual.permitted:
        return None
    return frozenset(values.get(limits.VIP_GROUPS) or ())


def bare(values: Fields) -> model.LoadBalancer:
    """Return a load balancer's id and VIPs alone."""
    return model.LoadBalancer(
        id=values["loadbalancer_id"],
        vips=tuple(_vips(values, UNKNOWN)),
        project_id=values.get("project_id") or None,
    )


def children(values: Fields, *only: str) -> dict[tuple[Kind, str], Final]:
    """Return all that is part of an object and goes with it, each to be reported DELETED.

    :param only: names of the fields with the parts that do; all when there are none
    """
    objects: dict[tuple[Kind, str], Final] = {}
    for name, kind, key in _CHILDREN:
        found = values.get(name) or () if not only or name in only else ()
        for each in found if isinstance(found, (list, tuple)) else (found,):
            child = fields(each)
            objects |= children(child)
            objects[(kind, child[key])] = Final.DELETED
    return objects


_CHILDREN = (
    ("members", Kind.MEMBER, "member_id"),
    ("healthmonitor", Kind.HEALTH_MONITOR, "healthmonitor_id"),
    ("pools", Kind.POOL, "pool_id"),
    ("default_pool", Kind.POOL, "pool_id"),
    ("rules", Kind.L7RULE, "l7rule_id"),
    ("l7policies", Kind.L7POLICY, "l7policy_id"),
    ("listeners", Kind.LISTENER, "listener_id"),
)


def _pools(
    values: Fields, defaults: DriverDefaults, asked: Fields | None
) -> tuple[model.Pool, ...]:
    """Return the pools, also those that stand only inside a listener.

    Creating a load balancer with all that belongs to it, Octavia puts pools into listeners as they
    were before they had members; so those that stand by themselves count.
    """
    inside = (fields(each).get("default_pool") for each in values.get("listeners") or ())
    every = [*(each for each in inside if each), *(values.get("pools") or ())]
    pools = {each["pool_id"]: each for each in map(fields, every)}
    return tuple(pool(each, defaults, asked) for each in pools.values())


def _vips(values: Fields, vip_lookup: VipLookup) -> Iterable[model.Vip]:
    first = {
        "ip_address": values["vip_address"],
        "port_id": values.get("vip_port_id"),
        "subnet_id": values.get("vip_subnet_id"),
        "network_id": values.get("vip_network_id"),
    }
    for each in (first, *(values.get("additional_vips") or ())):
        subnet_id, port_id = each.get("subnet_id") or None, each.get("port_id") or None
        yield model.Vip(
            address=ip.canonical_address(each["ip_address"]),
            port_id=port_id,
            subnet_id=subnet_id,
            network_id=each.get("network_id") or None,
            cidr=vip_lookup.cidr(subnet_id) if subnet_id else None,
            user_port=vip_lookup.user_port(port_id) if port_id else None,
        )


def _check_limit(asked: Fields, before: Fields = _NOTHING) -> None:
    """Refuse a limit that lets no client in; Octavia's own drivers take it for none."""
    if asked.get("connection_limit") == 0 != before.get("connection_limit"):
        raise limits.refuse(limits.NO_CONNECTIONS)


def _check_repeated(cidrs: Sequence[str]) -> None:
    """Refuse what Octavia's database would refuse after the request was recorded."""
    repeated = [each for each, count in collections.Counter(cidrs).items() if count > 1]
    if repeated:
        raise limits.refuse(limits.REPEATED, value=", ".join(repeated))
