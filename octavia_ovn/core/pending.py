# SPDX-License-Identifier: Apache-2.0
"""Pending objects: those that a request left in PENDING, and the status in which each must end."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


class Kind(str, enum.Enum):
    """Kinds of objects, in the order in which Octavia works through a status message."""

    MEMBER = "members"
    HEALTH_MONITOR = "healthmonitors"
    POOL = "pools"
    L7RULE = "l7rules"
    L7POLICY = "l7policies"
    LISTENER = "listeners"
    LOAD_BALANCER = "loadbalancers"

    # Enum's own is written in Python, and large requests hash thousands.
    __hash__ = str.__hash__

    @property
    def singular(self) -> str:
        """The name of one, such as `healthmonitor` or `l7policy`."""
        return re.sub("(ie)?s$", lambda found: "y" if found[1] else "", self.value)


UNSERVED = frozenset({Kind.L7RULE, Kind.L7POLICY})
"""Kinds of objects that rows never hold: OVN cannot serve them. One that Octavia has nevertheless
ends in ERROR, unless it is deleted."""


class Final(str, enum.Enum):
    """The provisioning status in which an object ends when all goes well."""

    ACTIVE = "ACTIVE"
    DELETED = "DELETED"


Key = tuple[Kind, str]
"""Kind and id of an object."""
Objects = Mapping[Key, Final]


@dataclass(frozen=True, slots=True)
class Pending:
    """The requests on one load balancer whose end is not yet reported to Octavia.

    `created` says that the load balancer itself is new: its row in Octavia's database may not be
    committed yet. `resync` says that the rows must first be made what Octavia says, `orphaned` that
    Octavia does not know the load balancer: it is deleted without a report. `groups` says that the
    security groups of the VIP may have changed: Octavia must be asked once it has committed.
    """

    requests: tuple[str, ...]
    objects: Objects
    created: bool = False
    resync: bool = False
    orphaned: bool = False
    groups: bool = False

    @property
    def deleting(self) -> bool:
        """Whether the load balancer itself is being deleted."""
        return self.orphaned or any(
            kind is Kind.LOAD_BALANCER and final is Final.DELETED
            for (kind, _), final in self.objects.items()
        )

    @property
    def questionable(self) -> frozenset[Key]:
        """The objects that end DELETED or in ERROR: Octavia itself must confirm them first.

        Octavia applies each report of a provider, even about objects of others.
        """
        return frozenset(
            key
            for key, final in self.objects.items()
            if final is Final.DELETED or key[0] in UNSERVED
        )

    def merge(self, later: Pending) -> Pending:
        """Return the pending objects of this and a later request."""
        requests = self.requests + tuple(
            each for each in later.requests if each not in self.requests
        )
        orphaned = self.orphaned or later.orphaned
        objects = self.objects
        if self.deleting and not later.deleting:
            # Octavia allows only a failover after a deletion, and only of one that was refused.
            objects = dict.fromkeys(objects, Final.ACTIVE)
        return replace(
            self,
            requests=requests,
            # Octavia refuses reports about objects that it does not know.
            objects={} if orphaned else {**objects, **later.objects},
            created=self.created or later.created,
            resync=self.resync or later.resync,
            orphaned=orphaned,
            groups=self.groups or later.groups,
        )


def active(kind: Kind, ids: Iterable[str]) -> dict[tuple[Kind, str], Final]:
    """Return objects of one kind that must end ACTIVE."""
    return {(kind, each): Final.ACTIVE for each in ids}


def deleted(kind: Kind, ids: Iterable[str]) -> dict[tuple[Kind, str], Final]:
    """Return objects of one kind that must end DELETED."""
    return {(kind, each): Final.DELETED for each in ids}
