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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from octavia_ovn.core import ip, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import connection_limit, denial, probe_access, vip_groups
from octavia_ovn.core.desired.load_balancer import Facts, addresses_of
from octavia_ovn.core.rows import (
    AccessRow,
    AddressSet,
    DeleteAccessRow,
    Operation,
    PortGroup,
    PutAccessRow,
)

PRIORITY = denial.PRIORITY


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
    return bool(restricted(lb) or connection_limit.limited(lb)) or vip_groups.applies(lb)


def wanted(lb: model.LoadBalancer, facts: Facts) -> Access:
    """Return the rows that deny clients or new connections, and the one that lets probes in."""
    # Rules for an address that is another port's now would keep clients from that.
    addresses = tuple(addresses_of(lb, facts.floating_ips, facts.foreign))
    by_cidrs = _denying(lb, addresses, facts)
    by_groups = _denying_by_groups(lb, addresses, facts)
    name, owner = f"octavia_lb_{denial.word(lb.id)}_probes", _external_ids(lb.id)
    probes = probe_access.group(name, facts.targets, PRIORITY, owner)
    acls = connection_limit.acls(lb, facts.closed, addresses, PRIORITY, owner)
    name = connection_limit.group_name(lb.id)
    full = PortGroup(name, facts.ingress_ports, acls, owner) if acls else None
    return Access(
        (*by_cidrs.groups, *by_groups.groups, *filter(None, (probes, full))),
        (*by_cidrs.sets, *by_groups.sets),
    )


def _denying(lb: model.LoadBalancer, addresses: Sequence[str], facts: Facts) -> Access:
    """Return the rows that deny clients that the listeners do not allow."""
    rules = [
        rule
        for each in denial.entrances(restricted(lb), addresses)
        if (rule := _deny_rule(lb.id, each)) is not None
    ]
    name = f"octavia_lb_{denial.word(lb.id)}"
    return Access(*denial.gathered(name, facts.ingress_ports, rules, _external_ids(lb.id)))


def _denying_by_groups(lb: model.LoadBalancer, addresses: Sequence[str], facts: Facts) -> Access:
    """Return the rows that deny clients that the VIP's security groups do not allow."""
    return Access(*vip_groups.rows(lb, addresses, facts.ingress_ports, facts.admitted))


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
    return tuple(denial.outside(cidrs, version))


def _deny_rule(lb_id: str, entrance: denial.Entrance) -> denial.Rule | None:
    """Return the rule that denies clients of one IP version; None when all are allowed.

    Without an allowed client, no address set is needed.
    """
    listener, version = entrance.listener, entrance.version
    any_ = version in map(ip.family, listener.allowed_cidrs)
    denied = complement(listener.allowed_cidrs, version) if any_ else None
    name = f"octavia_listener_{denial.word(listener.id)}_denied"
    return entrance.deny(denied, name, _external_ids(lb_id, listener.id))


def _external_ids(lb_id: str, listener_id: str | None = None) -> dict[str, str]:
    owner = {k.ACCESS_MARK: k.MARKED, k.ACCESS_LB: lb_id}
    return {**owner, k.ACCESS_LISTENER: listener_id} if listener_id else owner


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
