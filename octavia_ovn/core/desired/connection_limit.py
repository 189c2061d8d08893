# SPDX-License-Identifier: Apache-2.0
"""Limits of connections: the rules that let no new ones in.

Chassis count the connections that are open. Above the limit one ACL for each IP version drops the
first packet of each new TCP connection where clients enter, so those that are open continue. OVN
cannot tell the first packet of UDP or SCTP from others there.

The ACL is also the memory: a listener is closed if it has one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from octavia_ovn.core import model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import denial
from octavia_ovn.core.rows import Acl, PortGroup, Strings

REOPEN = 95
"""Percent of the limit below which new connections are let in again."""
_NEW = "tcp.flags[1] == 1 && tcp.flags[4] == 0"
"""SYN without ACK."""


def group_name(lb_id: str) -> str:
    """Return the name of the port group that has the rules of a load balancer."""
    return f"octavia_lb_{denial.word(lb_id)}_full"


def limited(lb: model.LoadBalancer) -> tuple[model.Listener, ...]:
    """Return the enabled listeners that may have a limited number of connections."""
    if not lb.enabled:
        return ()
    return tuple(
        each
        for each in lb.listeners
        if each.enabled and each.connection_limit and each.protocol is model.Protocol.TCP
    )


def is_closed(limit: int, count: int, *, closed: bool, complete: bool) -> bool:
    """Whether a listener should let no new connections in.

    :param count: the connections that are known to be open
    :param closed: whether it lets none in now
    :param complete: whether there are no others
    """
    if count >= limit:
        return True
    return closed and not (complete and 100 * count < REOPEN * limit)


def closed(groups: Iterable[PortGroup]) -> frozenset[str]:
    """Return the ids of the listeners that let no new connections in, as the rows say."""
    return frozenset(
        acl.external_ids.get(k.ACCESS_LISTENER, "")
        for group in groups
        for acl in group.acls
        if k.ACCESS_LIMIT in acl.external_ids
    )


def acls(
    lb: model.LoadBalancer,
    closed: Collection[str],
    addresses: Iterable[str],
    priority: int,
    owner: Strings,
) -> tuple[Acl, ...]:
    """Return the rules that let no new connections in.

    :param closed: ids of the listeners
    :param addresses: those that clients use
    :param owner: the keys that say whose rules they are
    """
    full = (each for each in limited(lb) if each.id in closed)
    found = (
        Acl(
            f"{each.match} && {_NEW}",
            {**owner, k.ACCESS_LISTENER: each.listener.id, k.ACCESS_LIMIT: k.MARKED},
            priority,
        )
        for each in denial.entrances(full, addresses)
    )
    return tuple(sorted(found, key=lambda acl: acl.match))
