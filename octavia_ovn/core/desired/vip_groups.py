# SPDX-License-Identifier: Apache-2.0
"""Access control: the rows that deny clients that a VIP's security groups do not allow.

They are like those for allowed CIDRs, in a port group of their own: what either denies is denied.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable

from octavia_ovn.core import model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import denial
from octavia_ovn.core.rows import AddressSet, PortGroup
from octavia_ovn.core.security_groups import Admitted

TOO_MANY = (
    "its security groups (vip_sg_ids) allow so many single clients that it takes more than the"
    " {most} networks of [ovn] max_denied_cidrs to describe the others; allow larger networks"
)


def applies(lb: model.LoadBalancer) -> bool:
    """Whether a load balancer serves only those that security groups allow."""
    return bool(lb.enabled and lb.security_groups and _serving(lb))


def excess(lb: model.LoadBalancer, addresses: Iterable[str], admitted: Admitted) -> str | None:
    """Return why the restrictions of a load balancer cannot be written; None when they can."""
    entrances = denial.entrances(_serving(lb) if applies(lb) else (), addresses)
    if any(_is_excess(_denied(each, admitted), admitted.most) for each in entrances):
        return TOO_MANY.format(most=admitted.most)
    return None


def rows(
    lb: model.LoadBalancer,
    addresses: Iterable[str],
    ingress_ports: frozenset[str],
    admitted: Admitted,
) -> tuple[tuple[PortGroup, ...], tuple[AddressSet, ...]]:
    """Return the port group, none when all clients are allowed, and the address sets.

    :param addresses: those that clients use
    """
    entrances = denial.entrances(_serving(lb) if applies(lb) else (), addresses)
    rules = [rule for each in entrances if (rule := _deny_rule(lb.id, each, admitted)) is not None]
    name = f"octavia_lb_{denial.word(lb.id)}_groups"
    return denial.gathered(name, ingress_ports, rules, _external_ids(lb.id))


def _serving(lb: model.LoadBalancer) -> tuple[model.Listener, ...]:
    return tuple(each for each in lb.listeners if each.enabled)


def _deny_rule(lb_id: str, entrance: denial.Entrance, admitted: Admitted) -> denial.Rule | None:
    """Return the rule that denies clients: all of them when they cannot be described."""
    denied = _denied(entrance, admitted)
    everyone = denied == denial.ALL[entrance.version] or _is_excess(denied, admitted.most)
    name = f"octavia_listener_{denial.word(entrance.listener.id)}_groups"
    owner = _external_ids(lb_id, entrance.listener.id)
    return entrance.deny(None if everyone else denied, name, owner)


def _denied(entrance: denial.Entrance, admitted: Admitted) -> tuple[str, ...]:
    """Return the networks that are denied, or one more than may be."""
    clients = admitted.clients(entrance.listener, entrance.version)
    return _outside(clients, entrance.version, admitted.most + 1 if admitted.most else None)


@functools.lru_cache(maxsize=256)  # each reconciliation needs the same: 100 ms for 8,000 networks
def _outside(clients: frozenset[str], version: int, end: int | None) -> tuple[str, ...]:
    return tuple(itertools.islice(denial.outside(clients, version), end))


def _is_excess(denied: tuple[str, ...], most: int) -> bool:
    return 0 < most < len(denied)


def _external_ids(lb_id: str, listener_id: str | None = None) -> dict[str, str]:
    owner = {k.GROUPS_MARK: k.MARKED, k.ACCESS_LB: lb_id}
    return {**owner, k.ACCESS_LISTENER: listener_id} if listener_id else owner
