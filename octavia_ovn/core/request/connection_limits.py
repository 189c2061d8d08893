# SPDX-License-Identifier: Apache-2.0
"""Requests for limits of connections."""

from __future__ import annotations

from collections.abc import Iterator

from octavia_ovn.core import model
from octavia_ovn.core.request import changes, limits


def sets(change: changes.Change, lb: model.LoadBalancer | None) -> bool:
    """Whether a change sets a limit that is new, and so needs chassis that count.

    What is there already can be kept, and removed at any time.

    :param lb: the load balancer before the change
    :raises Unsupported: when OVN cannot limit connections of that protocol
    """
    new = [
        each
        for each in _listeners(change)
        if each.connection_limit is not None and each.connection_limit != _before(each, lb)
    ]
    for each in new:
        if each.protocol is not model.Protocol.TCP:
            raise limits.refuse(limits.LIMIT_PROTOCOL, value=each.protocol.name)
    return bool(new)


def _listeners(change: changes.Change) -> Iterator[model.Listener]:
    if isinstance(change, changes.CreateLoadBalancer):
        yield from change.lb.listeners
    elif isinstance(change, changes.PutListener):
        yield change.listener


def _before(listener: model.Listener, lb: model.LoadBalancer | None) -> int | None:
    known = lb.listener(listener.id) if lb else None
    return known.connection_limit if known else None
