# SPDX-License-Identifier: Apache-2.0
"""Octavia's events for billing: which requests on a load balancer itself have succeeded."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from octavia_ovn.core.pending import Final, Kind
from octavia_ovn.core.request import changes, names
from octavia_ovn.core.status import Message


class Event(str, enum.Enum):
    """The type of a notification; those of the amphora driver are the same."""

    CREATED = "octavia.loadbalancer.create.end"
    UPDATED = "octavia.loadbalancer.update.end"
    DELETED = "octavia.loadbalancer.delete.end"


_EVENTS = {
    (names.KINDS[changes.CreateLoadBalancer], Final.ACTIVE.value): Event.CREATED,
    (names.KINDS[changes.UpdateLoadBalancer], Final.ACTIVE.value): Event.UPDATED,
    (names.KINDS[changes.DeleteLoadBalancer], Final.DELETED.value): Event.DELETED,
    # Octavia accepts a deletion once the requests before it have ended.
    (names.KINDS[changes.CreateLoadBalancer], Final.DELETED.value): Event.CREATED,
    (names.KINDS[changes.UpdateLoadBalancer], Final.DELETED.value): Event.UPDATED,
}
"""The event of a kind of request that has ended in a provisioning status of the load balancer, or
before another one has ended so."""


def events(requests: Iterable[str], message: Message) -> dict[str, Event]:
    """Return the events of requests, in their order; none of a request that has failed.

    :param requests: names of requests that end with a report
    :param message: the report, with one load balancer at most
    """
    records = message.get(Kind.LOAD_BALANCER.value, ())
    statuses = [each.get("provisioning_status", "") for each in records]
    found = ((each, _EVENTS.get((names.kind(each), end))) for each in requests for end in statuses)
    return {request: event for request, event in found if event is not None}
