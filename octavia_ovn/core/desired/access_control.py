# SPDX-License-Identifier: Apache-2.0
"""Access control: the rows that deny clients that a listener does not allow.

Another port group lets the probes of chassis reach members, see
:mod:`octavia_ovn.core.desired.probe_access`. A third one lets no new connections in, see
:mod:`octavia_ovn.core.desired.connection_limit`.

One port group for each load balancer, with ports of the switches where clients enter: so its ACLs
apply to all packets that enter there, through any port. One ACL for each restricted listener
and IP version drops what comes from an address set, the complement of the allowed CIDRs.

OVN evaluates ACLs before it balances, so the client's own address and the VIP (or the floating IP)
are still in the packet. Of the alternatives, `ip4.src != {...}` costs 20 times as many
flows on OVN 23.03, allow and drop in pairs lets clients through, policies of routers see the member
instead of the VIP, and ACLs of switches are deleted by Neutron when it repairs (all measured).
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from octavia_ovn.core import model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import connection_limit, probe_access
from octavia_ovn.core.desired.load_balancer import Facts, addresses_of
from octavia_ovn.core.rows import (
    AccessRow,
    Acl,
    AddressSet,
    DeleteAccessRow,
    Operation,
    PortGroup,
    PutAccessRow,
)

PRIORITY = 3000
"""Above rules that allow packets: Neutron's security groups (1002) and firewalls (2000)."""


@dataclass(frozen=True, slots=True)
class Access:
    """All access-control rows of one load balancer."""

    groups: tuple[PortGroup, ...] = ()
    sets: tuple[AddressSet, ...] = ()


def restricted(lb: model.LoadBalancer) -> tuple[model.Listener, ...]:
    """Return the enabled listeners that some clients must not reach."""
    if not lb.enabled:
        return ()
    return tuple(each for each in lb.listeners if each.enabled and each.allowed_cidrs)


def has_rules(lb: model.LoadBalancer) -> bool:
    """Whether a load balancer has, or may get at any time, rules where clients enter."""
    return bool(restricted(lb) or connection_limit.limited(lb))


def wanted(lb: model.LoadBalancer, facts: Facts) -> Access:
    """Return the rows that deny clients or new connections, and the one that lets probes in."""
    denying = _denying(lb, facts)
    name, owner = f"octavia_lb_{_word(lb.id)}_probes", _external_ids(lb.id)
    probes = probe_access.group(name, facts.targets, PRIORITY, owner)
    addresses = tuple(addresses_of(lb, facts.floating_ips, facts.lost or ()))
    acls = connection_limit.acls(lb, facts.closed, addresses, PRIORITY, owner)
    name = connection_limit.group_name(lb.id)
    full = PortGroup(name, facts.ingress_ports, acls, owner) if acls else None
    return replace(denying, groups=(*denying.groups, *filter(None, (probes, full))))


def _denying(lb: model.LoadBalancer, facts: Facts) -> Access:
    """Return the rows that deny clients that the listeners do not allow."""
    addresses = tuple(addresses_of(lb, facts.floating_ips))
    versions = sorted(set(map(model.family, addresses)))
    rules = [
        rule
        for listener in restricted(lb)
        for version in versions
        if (rule := _deny_rule(lb.id, listener, version, addresses)) is not None
    ]
    if not rules:
        return Access()
    acls = sorted((acl for acl, _ in rules), key=lambda acl: acl.match)
    sets = (each for _, each in rules if each is not None)
    name = f"octavia_lb_{_word(lb.id)}"
    group = PortGroup(name, facts.ingress_ports, tuple(acls), _external_ids(lb.id))
    return Access((group,), tuple(sorted(sets, key=lambda each: each.name)))


def difference(existing: Access, wanted: Access) -> tuple[Operation, ...]:
    """Return the operations that turn existing rows into wanted ones."""
    groups = {each.name: each for each in existing.groups}
    return (
        *_difference(existing.sets, wanted.sets),
        *_difference(existing.groups, [_with_acls(each, groups) for each in wanted.groups]),
    )


@functools.lru_cache(maxsize=32)  # called several times for a request; 25 ms each with 100 networks
def complement(cidrs: tuple[str, ...], version: int) -> tuple[str, ...]:
    """Return the networks of all addresses of one IP version that are in none of some networks.

    :param cidrs: networks; those of the other version do not matter
    :param version: 4 or 6
    """
    address = ipaddress.IPv6Address if version == 6 else ipaddress.IPv4Address  # noqa: PLR2004
    networks = (ipaddress.ip_network(each) for each in cidrs if model.family(each) == version)
    spans = sorted((int(each[0]), int(each[-1])) for each in networks)
    beyond = 2 ** address(0).max_prefixlen
    denied: list[str] = []
    first = 0
    for start, last in (*spans, (beyond, beyond)):
        if first < start:
            gap = ipaddress.summarize_address_range(address(first), address(start - 1))
            denied.extend(map(str, gap))
        first = max(first, last + 1)
    return tuple(denied)


def _deny_rule(
    lb_id: str, listener: model.Listener, version: int, addresses: Iterable[str]
) -> tuple[Acl, AddressSet | None] | None:
    """Return the rule that denies clients of one IP version; None when all are allowed.

    Without an allowed client, no address set is needed.
    """
    denied = complement(listener.allowed_cidrs, version)
    if not denied:
        return None
    served = ", ".join(each for each in addresses if model.family(each) == version)
    protocol = listener.protocol.value
    match = f"ip{version}.dst == {{{served}}} && {protocol}.dst == {listener.port}"
    owner = _external_ids(lb_id, listener.id)
    if version not in map(model.family, listener.allowed_cidrs):
        return Acl(match, owner, PRIORITY), None
    name = f"octavia_listener_{_word(listener.id)}_denied_v{version}"
    acl = Acl(f"{match} && ip{version}.src == ${name}", owner, PRIORITY)
    return acl, AddressSet(name, frozenset(denied), owner)


def _external_ids(lb_id: str, listener_id: str | None = None) -> dict[str, str]:
    owner = {k.ACCESS_MARK: k.MARKED, k.ACCESS_LB: lb_id}
    return {**owner, k.ACCESS_LISTENER: listener_id} if listener_id else owner


def _word(object_id: str) -> str:
    """Return an id in the form that is valid in names that ACLs refer to."""
    return object_id.replace("-", "_")


def _difference(existing: Sequence[AccessRow], wanted: Sequence[AccessRow]) -> Iterator[Operation]:
    before = {row.name: row for row in existing}
    for row in wanted:
        old = before.pop(row.name, None)
        if old != row:
            yield PutAccessRow(replace(row, uuid=old.uuid if old else ""))
    yield from map(DeleteAccessRow, before.values())


def _with_acls(group: PortGroup, existing: Mapping[str, PortGroup]) -> PortGroup:
    """Return a port group that keeps those of its ACLs that exist."""
    old = existing[group.name].acls if group.name in existing else ()
    kept = (next((each for each in old if each == acl), acl) for acl in group.acls)
    return replace(group, acls=tuple(kept))
