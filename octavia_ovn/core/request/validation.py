# SPDX-License-Identifier: Apache-2.0
"""Validation of a change against the load balancer that it changes.

:mod:`octavia_ovn.core.request.limits` judges the fields of a request alone; these rules also need
the load balancer and its networks. They check new parts only, so that an old mistake does not block
every later request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from octavia_ovn.core import codec, flavors, ip, model
from octavia_ovn.core.placement import MAX_AFFINITY_TIMEOUT
from octavia_ovn.core.request import addresses, changes, limits
from octavia_ovn.core.topology import Subnet, place_member

_TCP, _UDP, _SCTP = model.Protocol
_BY_OVN = {_TCP: model.MonitorType.TCP, _UDP: model.MonitorType.UDP_CONNECT, _SCTP: None}
_BY_PROBES = {
    _TCP: frozenset(model.MonitorType) - {model.MonitorType.UDP_CONNECT},
    _UDP: frozenset(model.MonitorType) - {model.MonitorType.HTTPS, model.MonitorType.TLS_HELLO},
    _SCTP: frozenset[model.MonitorType](),
}
"""The types of checks for the members of a pool, by its protocol: that OVN makes itself, and those
that a program on each chassis makes."""
_PLACES = {"monitor_address": limits.PROBED_ADDRESS, "monitor_port": limits.PROBED_PORT}

_NONE_KNOWN: Mapping[str, model.Member] = {}


@dataclass(frozen=True, slots=True)
class Networks:
    """Lookups about networks, each called only when needed.

    :param around: returns the subnets of the routers around a load balancer
    :param subnet: returns a subnet, None when there is none
    """

    around: Callable[[model.LoadBalancer], Iterable[Subnet]]
    subnet: Callable[[str], Subnet | None] = lambda _: None


def complete(
    change: changes.Change, lb: model.LoadBalancer | None, networks: Networks
) -> changes.Change:
    """Return a complete change, after checking its new parts.

    All its members have a subnet; its pool follows the load balancer's flavor.

    :param lb: the load balancer before the change
    :raises Unsupported: when OVN cannot do it
    """
    match change:
        case changes.CreateLoadBalancer(lb=new):
            pools = tuple(_pool(pool, new, networks) for pool in new.pools)
            return replace(change, lb=replace(new, pools=pools))
        case changes.Restore(lb=new):
            return replace(change, lb=place_members(new, lb, networks.around))
    return change if lb is None else _complete(change, lb, networks)


def _complete(change: changes.Change, lb: model.LoadBalancer, networks: Networks) -> changes.Change:
    known = {each.id: each for _, each in lb.members()}
    match change:
        case changes.PutMember(pool_id=pool_id, member=new):
            pool = lb.pool(pool_id)
            others = [each for each in pool.members if each.id != new.id] if pool else ()
            _check_endpoints((*others, new), known)
            return replace(change, member=_member(new, lb, networks, known.get(new.id)))
        case changes.ReplaceMembers(members=all_of_them):
            _check_endpoints(all_of_them, known)
            members = (_member(each, lb, networks, known.get(each.id)) for each in all_of_them)
            return replace(change, members=tuple(members))
        case changes.PutPool(pool=new_pool):
            new_pool = flavors.with_mechanism(new_pool, lb.flavor)
            _check_persistence(new_pool, lb.pool(new_pool.id))
            return replace(change, pool=new_pool)
        case changes.PutMonitor():
            _check_put_monitor(change, lb)
    return change


def _check_put_monitor(change: changes.PutMonitor, lb: model.LoadBalancer) -> None:
    pool = lb.pool(change.pool_id)
    if pool is not None:
        check_monitor(change.monitor, pool)
        _check_times(change.monitor, pool.monitor)


def check_monitor(monitor: model.HealthMonitor, pool: model.Pool) -> None:
    """Refuse a monitor that cannot check the members of a pool.

    :raises Unsupported: when it cannot
    """
    if monitor.type not in _BY_PROBES[pool.protocol]:
        raise _refuse_type(limits.MONITOR_PROTOCOL, monitor, pool)


def _refuse_type(
    sentence: str, monitor: model.HealthMonitor, pool: model.Pool
) -> limits.Unsupported:
    protocol = (pool.application or pool.protocol).name
    return limits.refuse(sentence, protocol=protocol, value=monitor.type.value)


def _check_times(monitor: model.HealthMonitor, before: model.HealthMonitor | None = None) -> None:
    for option in ("delay", "timeout"):
        value = getattr(monitor, option)
        if value < 1 and (before is None or getattr(before, option) != value):
            raise limits.refuse(limits.NO_PAUSE, option=option, value=value)


def _check_persistence(pool: model.Pool, before: model.Pool | None = None) -> None:
    asked = pool.persistence
    if asked is None or asked.mechanism is not model.Mechanism.AFFINITY or asked.timeout is None:
        return
    if not 1 <= asked.timeout <= MAX_AFFINITY_TIMEOUT and (
        before is None or before.persistence != asked
    ):
        raise limits.refuse(limits.AFFINITY_TIMEOUT, value=asked.timeout, most=MAX_AFFINITY_TIMEOUT)


def needs_ipv6_hash(change: changes.Change, lb: model.LoadBalancer | None) -> bool:
    """Whether a change needs an OVN that can hash the addresses of IPv6 clients."""
    if isinstance(change, changes.CreateLoadBalancer):
        lb, pools = change.lb, change.lb.pools
    elif isinstance(change, changes.PutPool):
        pools = (change.pool,)
    else:
        return False
    if lb is None or all(ip.family(vip.address) == 4 for vip in lb.vips):  # noqa: PLR2004 - IPv4
        return False
    return any(pool.hashes_client_ip for pool in pools)


def needs_probes(
    change: changes.Change, lb: model.LoadBalancer | None
) -> limits.Unsupported | None:
    """Return the refusal of checks that are new and that OVN itself cannot make; None for none.

    A program on each chassis can make them. What is there already can be changed in all else.
    """
    return next((why for each in _checked(change, lb) for why in _beyond_ovn(*each)), None)


def _checked(
    change: changes.Change, lb: model.LoadBalancer | None
) -> Iterator[tuple[model.Pool, model.Pool | None]]:
    """Yield pools with the monitor and members that a change brings, and each as it was before."""
    if isinstance(change, changes.CreateLoadBalancer):
        yield from ((pool, None) for pool in change.lb.pools)
    elif isinstance(change, (changes.PutMonitor, changes.PutMember, changes.ReplaceMembers)):
        before = changes.pool_of(lb, change.pool_id)
        if isinstance(change, changes.PutMonitor):
            yield replace(before, monitor=change.monitor, members=()), before
        elif isinstance(change, changes.PutMember):
            yield replace(before, monitor=None, members=(change.member,)), before
        else:
            yield replace(before, monitor=None, members=change.members), before


def _beyond_ovn(pool: model.Pool, before: model.Pool | None) -> Iterator[limits.Unsupported]:
    monitor, known = pool.monitor, before.monitor if before else None
    is_known = monitor and known and (monitor.id, monitor.type) == (known.id, known.type)
    # A type that no program checks there either is refused by `check_monitor`.
    beyond = _BY_PROBES[pool.protocol] - {_BY_OVN[pool.protocol]}
    if monitor and not is_known and monitor.type in beyond:
        by_ovn_elsewhere = monitor.type in _BY_OVN.values()
        sentence = limits.PROBED_PROTOCOL if by_ovn_elsewhere else limits.PROBED_TYPE
        yield _refuse_type(sentence, monitor, pool)
    for member in pool.members:
        was = before.member(member.id) if before else None
        for option, sentence in _PLACES.items():
            if getattr(member, option) not in (None, getattr(was, option, None)):
                yield limits.refuse(sentence)


def _pool(pool: model.Pool, lb: model.LoadBalancer, networks: Networks) -> model.Pool:
    if pool.monitor:
        check_monitor(pool.monitor, pool)
        _check_times(pool.monitor)
    _check_persistence(pool)
    _check_endpoints(pool.members)
    return replace(pool, members=tuple(_member(each, lb, networks) for each in pool.members))


def place_members(
    lb: model.LoadBalancer,
    before: model.LoadBalancer | None,
    around: Callable[[model.LoadBalancer], Iterable[Subnet]],
) -> model.LoadBalancer:
    """Find the subnets of members where possible: objects that Octavia has must be served.

    :param before: what the rows say of it; a subnet that was found once is kept
    """
    members = [each for _, each in before.members()] if before else []
    known = {(each.id, each.address): each.subnet_id for each in members}
    pools = []
    for pool in lb.pools:
        placed = []
        for each in pool.members:
            subnet_id = each.subnet_id or known.get((each.id, each.address))
            subnet_id = subnet_id or place_member(each.address, lb, around)
            placed.append(replace(each, subnet_id=subnet_id))
        pools.append(replace(pool, members=tuple(placed)))
    return replace(lb, pools=tuple(pools))


def _check_endpoints(
    members: Sequence[model.Member], known: Mapping[str, model.Member] = _NONE_KNOWN
) -> None:
    """Refuse a new member that has the address and port of another.

    Octavia compares spellings: one IPv6 address has several.

    :param known: by id, the members that were there before
    """
    count = Counter((each.address, each.port) for each in members)
    for each in members:
        if each.id not in known and count[each.address, each.port] > 1:
            value = codec.endpoint(each.address, each.port)
            raise limits.refuse(limits.SAME_MEMBER, value=value)


def _member(
    member: model.Member,
    lb: model.LoadBalancer,
    networks: Networks,
    known: model.Member | None = None,
) -> model.Member:
    """Find the subnet of a member, and check the address of a new one."""
    if not known:
        _check_address(member.address, lb)
    subnet_id = member.subnet_id or (known.subnet_id if known else None)
    subnet_id = subnet_id or place_member(member.address, lb, networks.around)
    if not known:
        if subnet_id is None:
            raise limits.refuse(limits.NO_SUBNET, value=member.address)
        _check_subnet(member.address, subnet_id, lb, networks)
    checked = member.monitor_address
    if checked and (known is None or known.monitor_address != checked):
        _check_address(checked, lb)
        if subnet_id:
            _check_subnet(checked, subnet_id, lb, networks, limits.MONITOR_ADDRESS)
    return replace(member, subnet_id=subnet_id)


def _check_address(address: str, lb: model.LoadBalancer) -> None:
    kind = addresses.kind_of_no_host(address)
    if kind is not None:
        raise limits.refuse(limits.NO_HOST, value=address, what=kind)
    if ip.family(address) not in map(_family, lb.vips):
        raise limits.refuse(limits.FAMILY, value=address)
    if any(vip.address == address for vip in lb.vips):
        raise limits.refuse(limits.OWN_VIP, value=address)


def _check_subnet(
    address: str,
    subnet_id: str,
    lb: model.LoadBalancer,
    networks: Networks,
    sentence: str = limits.NOT_IN_SUBNET,
) -> None:
    cidr = next((vip.cidr for vip in lb.vips if vip.subnet_id == subnet_id and vip.cidr), None)
    if cidr is None:
        subnet = networks.subnet(subnet_id)
        cidr = subnet.cidr if subnet else None
    why = addresses.misfit(address, cidr) if cidr else None
    if why is not None:
        raise limits.refuse(sentence, value=address, why=why, subnet=subnet_id)


def _family(vip: model.Vip) -> int:
    return ip.family(vip.address)
