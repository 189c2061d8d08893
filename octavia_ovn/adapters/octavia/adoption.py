# SPDX-License-Identifier: Apache-2.0
"""A load balancer of amphora as Octavia's API shows it: what OVN lacks of it, and its copy.

What OVN lacks is found by the rules for requests, so that it is what the driver would refuse. The
copy is the body of one request that creates a load balancer with all that belongs to it.
"""

from __future__ import annotations

import collections
import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from octavia_ovn.adapters.octavia import fields as tables
from octavia_ovn.adapters.octavia.fields import DriverDefaults, Fields
from octavia_ovn.core import model
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.request import limits

_KINDS = {
    Kind.LISTENER: "listener",
    Kind.POOL: "pool",
    Kind.MEMBER: "member",
    Kind.HEALTH_MONITOR: "health monitor",
}
"""The names of kinds in :mod:`octavia_ovn.core.request.limits`."""
_ALL = ("name", "tags", "admin_state_up")
COPIED = {
    Kind.LOAD_BALANCER: (
        *(*_ALL, "description", "project_id"),
        *("vip_port_id", "vip_address", "vip_sg_ids"),
    ),
    Kind.LISTENER: (
        *(*_ALL, "description", "protocol", "protocol_port", "allowed_cidrs", "connection_limit"),
        *limits.TIMEOUTS,
    ),
    Kind.POOL: (*_ALL, "description", "protocol", "lb_algorithm", "session_persistence"),
    Kind.MEMBER: (
        *(*_ALL, "address", "protocol_port", "subnet_id", "weight", "backup"),
        *("monitor_address", "monitor_port"),
    ),
    Kind.HEALTH_MONITOR: (
        *(*_ALL, "type", "delay", "timeout", "max_retries", "max_retries_down"),
        *("http_method", "url_path", "expected_codes", "http_version", "domain_name"),
    ),
}
"""The fields of a request: all that a user can set, except what OVN always refuses."""

_ADDITIONAL = (
    "additional_vips: amphorae have all VIPs on one port, and OVN needs a port for each; create a"
    " load balancer of provider ovn with other addresses"
)
_ZONE = "availability_zone: {value} says where amphorae run; OVN runs on each chassis"
_FLAVOR = "flavor: {value} is a flavor of amphora; --flavor names one of OVN's"
_VNIC = "vip_vnic_type: {value} belongs to the amphorae; OVN forwards with each chassis' own device"
_CARRIED = (
    "protocol: OVN carries {value} as TCP; there are no headers, cookies, logs and errors of an"
    " HTTP proxy, and a connection stays on one member with all its requests"
)


class Effect(enum.Enum):
    """What becomes of something that a load balancer of amphora has.

    The value is for people.
    """

    REFUSED = "refused by OVN"
    UNUSED = "without effect"
    CHANGED = "different"


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that is not the same with OVN.

    :param kind: of the object, as in :mod:`octavia_ovn.core.request.limits`
    :param reason: a sentence that names the option
    """

    kind: str
    id: str
    name: str
    effect: Effect
    reason: str


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool, its members and its health monitor."""

    itself: Fields
    members: tuple[Fields, ...] = ()
    monitor: Fields | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    """A load balancer and all that belongs to it, by Octavia's names; without null values."""

    lb: Fields
    listeners: tuple[Fields, ...] = ()
    pools: tuple[Pool, ...] = ()

    @property
    def id(self) -> str:
        """The load balancer's id."""
        return str(self.lb["id"])

    def objects(self) -> Iterator[tuple[Kind, Fields]]:
        """Yield all that belongs to the load balancer, except L7 policies and their rules."""
        for listener in self.listeners:
            yield Kind.LISTENER, listener
        for pool in self.pools:
            yield Kind.POOL, pool.itself
            for member in pool.members:
                yield Kind.MEMBER, member
            if pool.monitor:
                yield Kind.HEALTH_MONITOR, pool.monitor


def tree(objects: Iterable[tuple[Kind, Fields]]) -> Tree | None:
    """Return a load balancer; None when there is none.

    :param objects: as :meth:`octavia_ovn.adapters.octavia.api.OctaviaApi.objects` yields them
    """
    lb: Fields | None = None
    listeners: list[Fields] = []
    pools: list[Pool] = []
    for kind, item in objects:
        values = _set(item)
        if kind is Kind.LOAD_BALANCER:
            lb = values
        elif kind is Kind.LISTENER:
            listeners.append(values)
        elif kind is Kind.POOL:
            pools.append(Pool(values))
        elif kind is Kind.MEMBER:
            pools[-1] = replace(pools[-1], members=(*pools[-1].members, values))
        elif kind is Kind.HEALTH_MONITOR:
            pools[-1] = replace(pools[-1], monitor=values)
    return Tree(lb, tuple(listeners), tuple(pools)) if lb is not None else None


# --- what is not the same


def losses(found: Tree, defaults: DriverDefaults) -> Iterator[Loss]:
    """Yield what is not the same with OVN, as far as each object alone says so."""
    for effect, reason in _of_load_balancer(found.lb, defaults):
        yield _loss("load balancer", found.lb, effect, reason)
    for kind, values in found.objects():
        for effect, reason in _of_object(kind, values, defaults):
            yield _loss(_KINDS[kind], values, effect, reason)


def _loss(kind: str, values: Fields, effect: Effect, reason: str) -> Loss:
    return Loss(kind, values["id"], values.get("name") or "", effect, reason.rstrip("."))


def _of_load_balancer(lb: Fields, defaults: DriverDefaults) -> Iterator[tuple[Effect, str]]:
    for reason in limits.refusals("load balancer", lb, defaults.usual):
        yield Effect.REFUSED, reason
    if lb.get("additional_vips"):
        yield Effect.REFUSED, _ADDITIONAL
    for option, sentence, usual in (
        ("availability_zone", _ZONE, ""),
        ("flavor_id", _FLAVOR, ""),
        ("vip_vnic_type", _VNIC, "normal"),
    ):
        value = lb.get(option) or usual
        if value != usual:
            yield Effect.CHANGED, sentence.format(value=value)


def _of_object(
    kind: Kind, values: Fields, defaults: DriverDefaults
) -> Iterator[tuple[Effect, str]]:
    name, strict = _KINDS[kind], replace(defaults.usual, strict=True)
    refused = [*limits.refusals(name, values, defaults.usual)]
    for reason in (*refused, *tables.problems(_table(kind, defaults), values)):
        yield Effect.REFUSED, reason
    for reason in limits.refusals(name, values, strict):
        if reason not in refused:
            yield Effect.UNUSED, reason.replace(limits.STRICT_OPTIONS, "")
    if kind is Kind.LISTENER and values["protocol"] in {each.value for each in model.Application}:
        yield Effect.CHANGED, _CARRIED.format(value=values["protocol"])


def _table(kind: Kind, defaults: DriverDefaults) -> tables.Table:
    if kind is Kind.POOL:
        return tables.pool(defaults)
    return {
        Kind.LISTENER: tables.LISTENER,
        Kind.MEMBER: tables.MEMBER,
        Kind.HEALTH_MONITOR: tables.HEALTH_MONITOR,
    }[kind]


# --- the copy


def provider_values(found: Tree) -> dict[str, object]:
    """Return the load balancer by the names of octavia-lib, without zone and flavor."""
    own = {key: found.lb.get(key) for key in ("project_id", "admin_state_up")}
    vip = {f"vip_{key}": found.lb.get(f"vip_{key}") for key in _VIP}
    return {
        **own,
        **vip,
        "loadbalancer_id": found.id,
        "listeners": [{**each, "listener_id": each["id"]} for each in found.listeners],
        "pools": [_provider_pool(each) for each in found.pools],
    }


_VIP = ("address", "port_id", "subnet_id", "network_id", "sg_ids")


def _provider_pool(pool: Pool) -> dict[str, object]:
    monitor = pool.monitor
    return {
        **pool.itself,
        "pool_id": pool.itself["id"],
        "members": [{**each, "member_id": each["id"]} for each in pool.members],
        "healthmonitor": {**monitor, "healthmonitor_id": monitor["id"]} if monitor else None,
    }


def copy(found: Tree, flavor_id: str | None = None) -> dict[str, object]:
    """Return the body of a request that creates the load balancer with OVN, on the same VIP port.

    :param flavor_id: a flavor of OVN's
    """
    names = pool_names(found.pools)
    lb = {
        **_chosen(found.lb, COPIED[Kind.LOAD_BALANCER]),
        "provider": "ovn",
        "listeners": [_listener(each, names) for each in found.listeners],
        "pools": [_pool(each, names[each.itself["id"]]) for each in found.pools],
    }
    return {**lb, "flavor_id": flavor_id} if flavor_id else lb


def is_copy(one: Tree, other: Tree) -> bool:
    """Whether two load balancers serve the same clients in the same way; names do not matter."""
    return _service(one) == _service(other)


def _service(found: Tree) -> object:
    pools = {each.itself["id"]: _pool(each, "") for each in found.pools}
    listeners = [
        {**_chosen(each, COPIED[Kind.LISTENER]), "pool": pools.get(each.get("default_pool_id", ""))}
        for each in found.listeners
    ]
    lb = _chosen(found.lb, ("admin_state_up", "vip_address", "vip_sg_ids"))
    return _in_order([lb, listeners, list(pools.values())])


def _in_order(value: object) -> object:
    """Return a value without words for people, and with its lists in an order."""
    if isinstance(value, Mapping):
        kept = ((key, _in_order(each)) for key, each in value.items() if key not in _WORDS)
        return sorted(kept, key=repr)
    return sorted(map(_in_order, value), key=repr) if isinstance(value, list) else value


_WORDS = frozenset({"name", "description", "tags"})


def pool_names(pools: Iterable[Pool]) -> dict[str, str]:
    """Return the names of the copies by the ids of the pools.

    In one request Octavia demands a name for each pool that differs from the others. A pool without
    one is named after its id.
    """
    count = collections.Counter(each.itself.get("name") for each in pools)
    own = {each.itself["id"]: each.itself.get("name") or "" for each in pools}
    return {key: name if name and count[name] == 1 else key for key, name in own.items()}


def _listener(values: Fields, names: Mapping[str, str]) -> dict[str, object]:
    chosen = _chosen(values, COPIED[Kind.LISTENER])
    pool_id = values.get("default_pool_id")
    return {**chosen, "default_pool": {"name": names[pool_id]}} if pool_id else chosen


def _pool(pool: Pool, name: str) -> dict[str, object]:
    chosen = {**_chosen(pool.itself, COPIED[Kind.POOL]), "name": name}
    if pool.members:
        chosen["members"] = [_chosen(each, COPIED[Kind.MEMBER]) for each in pool.members]
    if pool.monitor:
        chosen["healthmonitor"] = _chosen(pool.monitor, COPIED[Kind.HEALTH_MONITOR])
    return chosen


def _chosen(values: Fields, names: Iterable[str]) -> dict[str, object]:
    # Octavia refuses some options with an empty value that it shows with one.
    return {key: values[key] for key in names if values.get(key) not in (None, "", [], {})}


def _set(item: Fields) -> dict[str, object]:
    """Return an object without null values, also those within a value."""
    return {
        key: _set(value) if isinstance(value, Mapping) else value
        for key, value in item.items()
        if value is not None
    }
