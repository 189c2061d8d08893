"""From octavia-lib's data models to ours. `Unset` ends here.

Octavia hands over whole objects on create and the old object with the changed fields on update;
both become one complete object of ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from octavia_lib.api.drivers import data_models

from octavia_ovn.core import flavors, limits, model
from octavia_ovn.core.pending import Final, Kind

T = TypeVar("T")
Fields = Mapping[str, Any]

_APPLICATIONS = {each.value for each in model.Application}
_FULL_MASKS = {"255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "/32", "/128"}


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the operator has decided about the meaning of requests."""

    persistence: model.Mechanism = model.Mechanism.HASH


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known about the VIPs besides what Octavia says.

    :param cidr: returns the CIDR of a subnet, None when it is not known
    :param brought: returns whether the user made a port, None when it is not known
    """

    cidr: Callable[[str], str | None]
    brought: Callable[[str], bool | None]


UNKNOWN = Surroundings(lambda _: None, lambda _: None)
_NOTHING: Fields = {}
"""What is asked for of an object that Octavia has already: it must be served as well as possible.
Options without a meaning may have been accepted for it by another driver, or before a setting."""


def fields(*sources: data_models.BaseDataModel | Fields) -> dict[str, Any]:
    """Return the fields that are set, those of later objects over those of earlier ones.

    Octavia's get socket delivers unset fields as None; None therefore counts as set only in an
    object of the API.
    """
    found: dict[str, Any] = {}
    for source in sources:
        items = source if isinstance(source, Mapping) else vars(source)
        found.update(
            {
                key: value
                for key, value in items.items()
                if not isinstance(value, data_models.UnsetType)
            }
        )
    return found


def listener(values: Fields, asked: Fields | None = None) -> model.Listener:
    """Return a listener.

    :param asked: the fields that a request sets, when it does not set all of them
    :raises Unsupported: when it asks for something that OVN cannot do
    """
    limits.check("listener", values if asked is None else asked)
    if asked is not None:
        _check_repeated(asked.get("allowed_cidrs") or ())
    return _valid(
        lambda: model.Listener(
            id=values["listener_id"],
            protocol=_protocol(values["protocol"]),
            application=_application(values["protocol"]),
            port=values["protocol_port"],
            pool_id=values.get("default_pool_id") or None,
            enabled=_enabled(values),
            allowed_cidrs=model.canonical_networks(values.get("allowed_cidrs") or ()),
        )
    )


def pool(values: Fields, preferences: Preferences, asked: Fields | None = None) -> model.Pool:
    """Return a pool with the members and the monitor that came with it.

    :param asked: the fields that a request sets, when it does not set all of them
    :raises Unsupported: when it asks for something that OVN cannot do
    """
    limits.check("pool", values if asked is None else asked)
    monitor = values.get("healthmonitor")
    return _valid(
        lambda: model.Pool(
            id=values["pool_id"],
            protocol=_protocol(values["protocol"]),
            application=_application(values["protocol"]),
            algorithm=_choice(model.Algorithm, values["lb_algorithm"], limits.ALGORITHMS),
            persistence=_persistence(values.get("session_persistence"), preferences),
            enabled=_enabled(values),
            members=members(values.get("members") or (), None if asked is None else _NOTHING),
            monitor=health_monitor(fields(monitor)) if monitor else None,
        )
    )


def members(
    objects: Iterable[data_models.Member | Fields], asked: Fields | None = None
) -> tuple[model.Member, ...]:
    """Return several members; see :func:`member`."""
    return tuple(member(fields(each), asked) for each in objects)


def member(values: Fields, asked: Fields | None = None) -> model.Member:
    """Return a member; its subnet may be unknown yet.

    :param asked: the fields that a request sets, when it does not set all of them
    :raises Unsupported: when it asks for something that OVN cannot do
    """
    limits.check("member", values if asked is None else asked)
    weight = values.get("weight")
    return _valid(
        lambda: model.Member(
            id=values["member_id"],
            address=model.canonical_address(values["address"]),
            port=values["protocol_port"],
            subnet_id=values.get("subnet_id") or None,
            weight=1 if weight is None else weight,
            backup=bool(values.get("backup")),
            enabled=_enabled(values),
        )
    )


def health_monitor(values: Fields) -> model.HealthMonitor:
    """Return a health monitor.

    :raises Unsupported: when OVN has no such check
    """
    kind = _choice(model.MonitorType, values["type"], limits.MONITORS)
    down = values.get("max_retries_down")
    return _valid(
        lambda: model.HealthMonitor(
            id=values["healthmonitor_id"],
            type=kind,
            delay=values["delay"],
            timeout=values["timeout"],
            max_retries=values["max_retries"],
            max_retries_down=3 if down is None else down,
            enabled=_enabled(values),
        )
    )


def flavor(metadata: object) -> model.Flavor:
    """Return a flavor.

    :raises Unsupported: naming the key that is unknown or whose value is wrong
    """
    try:
        return flavors.read(metadata)
    except (ValueError, TypeError) as error:
        raise limits.Unsupported(f"{error}.") from error


def load_balancer(
    values: Fields, preferences: Preferences, surroundings: Surroundings = UNKNOWN
) -> model.LoadBalancer:
    """Return a new load balancer with its whole tree.

    :raises Unsupported: when it asks for something that OVN cannot do
    """
    limits.check("load balancer", values)
    return _tree(values, preferences, surroundings, None)


def existing_load_balancer(values: Fields, preferences: Preferences) -> model.LoadBalancer:
    """Return a load balancer that Octavia has, with its whole tree; options do not count.

    :raises Unsupported: when OVN cannot serve it at all
    """
    return _tree(values, preferences, UNKNOWN, _NOTHING)


def _tree(
    values: Fields, preferences: Preferences, surroundings: Surroundings, asked: Fields | None
) -> model.LoadBalancer:
    listeners = values.get("listeners") or ()
    chosen = flavor(values.get("flavor") or {})
    return _valid(
        lambda: model.LoadBalancer(
            id=values["loadbalancer_id"],
            vips=tuple(_vips(values, surroundings)),
            project_id=values.get("project_id") or None,
            enabled=_enabled(values),
            listeners=tuple(listener(fields(each), asked) for each in listeners),
            pools=tuple(
                flavors.with_mechanism(each, chosen) for each in _pools(values, preferences, asked)
            ),
            flavor=chosen,
        )
    )


def bare(values: Fields) -> model.LoadBalancer:
    """Return a load balancer's id and VIPs alone."""
    return model.LoadBalancer(
        id=values["loadbalancer_id"],
        vips=tuple(_vips(values, UNKNOWN)),
        project_id=values.get("project_id") or None,
    )


def children(values: Fields) -> dict[tuple[Kind, str], Final]:
    """Return all that hangs on a load balancer or a pool, each to be reported DELETED."""
    objects: dict[tuple[Kind, str], Final] = {}
    for name, kind, key in _CHILDREN:
        found = values.get(name) or ()
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
    ("listeners", Kind.LISTENER, "listener_id"),
)


def _pools(
    values: Fields, preferences: Preferences, asked: Fields | None
) -> tuple[model.Pool, ...]:
    """Return the pools, also those that stand only inside a listener.

    Creating a load balancer with all that belongs to it, Octavia puts pools into listeners as they
    were before they had members; so those that stand by themselves count.
    """
    inside = (fields(each).get("default_pool") for each in values.get("listeners") or ())
    every = [*(each for each in inside if each), *(values.get("pools") or ())]
    pools = (pool(fields(each), preferences, asked) for each in every)
    return tuple({each.id: each for each in pools}.values())


def _vips(values: Fields, surroundings: Surroundings) -> Iterable[model.Vip]:
    first = {
        "ip_address": values["vip_address"],
        "port_id": values.get("vip_port_id"),
        "subnet_id": values.get("vip_subnet_id"),
        "network_id": values.get("vip_network_id"),
    }
    for each in (first, *(values.get("additional_vips") or ())):
        subnet_id, port_id = each.get("subnet_id") or None, each.get("port_id") or None
        yield model.Vip(
            address=model.canonical_address(each["ip_address"]),
            port_id=port_id,
            subnet_id=subnet_id,
            network_id=each.get("network_id") or None,
            cidr=surroundings.cidr(subnet_id) if subnet_id else None,
            brought=surroundings.brought(port_id) if port_id else None,
        )


def _check_repeated(cidrs: Sequence[str]) -> None:
    """Refuse what Octavia's database would refuse after we have recorded it."""
    if len(cidrs) > len(set(cidrs)):
        raise limits.refuse(limits.REPEATED)


def _enabled(values: Fields) -> bool:
    return values.get("admin_state_up") is not False


def _application(name: str) -> model.Application | None:
    return model.Application(name) if name in _APPLICATIONS else None


def _protocol(name: str) -> model.Protocol:
    if name in _APPLICATIONS:
        return model.Protocol.TCP
    try:
        return model.Protocol[name]
    except KeyError:
        raise limits.refuse(limits.PROTOCOLS, value=name) from None


def _persistence(value: Fields | None, preferences: Preferences) -> model.SessionPersistence | None:
    if not value:
        return None
    if value.get("type") != "SOURCE_IP":
        raise limits.refuse(limits.PERSISTENCE, value=value.get("type"))
    granularity = value.get("persistence_granularity")
    if granularity and granularity not in _FULL_MASKS:
        raise limits.refuse(limits.GRANULARITY, value=granularity)
    timeout = value.get("persistence_timeout")
    return model.SessionPersistence(preferences.persistence, timeout or None)


Choice = TypeVar("Choice", model.Algorithm, model.MonitorType)


def _choice(kind: type[Choice], name: str, sentence: str) -> Choice:
    try:
        return kind(name)
    except ValueError:
        raise limits.refuse(sentence, value=name) from None


def _valid(build: Callable[[], T]) -> T:
    """Return what is built, or say what is wrong with it to the user."""
    try:
        return build()
    except (ValueError, TypeError, ipaddress.AddressValueError) as error:
        raise limits.Unsupported(str(error)) from error
