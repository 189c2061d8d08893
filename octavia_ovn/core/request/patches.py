# SPDX-License-Identifier: Apache-2.0
"""Updates: what a request names of an object changes, everything else stays as the rows have it.

Octavia also passes the old object, with the fields that its database session had loaded: a field
that is absent there says nothing about the object. So an update is a patch of what the rows have,
and the old object counts only when the rows do not know the object and it is complete.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from octavia_ovn.core import model
from octavia_ovn.core.request import changes, limits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patch(Generic[T]):
    """Fields of an object and the values they get.

    :param kind: the class of the object
    :param fields: values by field name; a value that is a patch itself changes the value that is
        there
    """

    kind: type[T]
    fields: Mapping[str, Any]

    def apply(self, before: T | None = None) -> T:
        """Return the object with the fields set; a new one when there was none before.

        :raises ValueError, TypeError: when a value is wrong, or one is missing in a new object
        """
        values = {
            name: value.apply(getattr(before, name, None)) if isinstance(value, Patch) else value
            for name, value in self.fields.items()
        }
        if before is None:
            return self.kind(**values)
        return replace(before, **values)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True)
class Update(Generic[T]):
    """Change one object.

    :param id: the id of the object
    :param named: what the request names
    :param whole: the whole object after the request, for the case that the rows do not know it;
        None when Octavia did not hand over all of it
    :param pool_id: the pool of a member or monitor
    """

    id: str
    named: Patch[T]
    whole: Patch[T] | None = None
    pool_id: str = ""

    def after(self, before: T | None) -> T:
        """Return the object after the update.

        :param before: the object as the rows have it, None when they do not know it
        :raises UnknownObject: when neither the rows nor Octavia give the whole object
        """
        if before is not None:
            return self.named.apply(before)
        if self.whole is None:
            msg = f"{self.named.kind.__name__.lower()} {self.id} is not in the Northbound database"
            raise changes.UnknownObject(msg)
        return self.whole.apply()


class UpdateListener(Update[model.Listener]):
    """Change a listener."""


class UpdatePool(Update[model.Pool]):
    """Change a pool but not its members and monitor."""


class UpdateMember(Update[model.Member]):
    """Change a member."""


class UpdateMonitor(Update[model.HealthMonitor]):
    """Change a health monitor."""


@dataclass(frozen=True, slots=True)
class UpdateMembers:
    """Make these the members of a pool; those that it has already are changed."""

    pool_id: str
    members: tuple[UpdateMember, ...]


Request = (
    changes.Change | UpdateListener | UpdatePool | UpdateMember | UpdateMonitor | UpdateMembers
)
"""A request: a change, or an update that becomes one."""


def resolve(request: Request, lb: model.LoadBalancer | None) -> changes.Change:
    """Return the change that a request makes.

    :param lb: the load balancer as the rows say, None when there are none
    :raises UnknownObject: when the rows lack what the request builds on
    :raises Unsupported: when a value is wrong
    """
    try:
        return _resolve(request, lb)
    except (ValueError, TypeError) as error:
        raise limits.Unsupported(f"{error}.") from error


@functools.singledispatch
def _resolve(request: Any, _: model.LoadBalancer | None) -> changes.Change:
    return request  # type: ignore[no-any-return]  # a change says all itself


@_resolve.register
def _(request: UpdateListener, lb: model.LoadBalancer | None) -> changes.Change:
    return changes.PutListener(request.after(changes.known(lb).listener(request.id)))


@_resolve.register
def _(request: UpdatePool, lb: model.LoadBalancer | None) -> changes.Change:
    return changes.PutPool(request.after(changes.known(lb).pool(request.id)))


@_resolve.register
def _(request: UpdateMember, lb: model.LoadBalancer | None) -> changes.Change:
    pool = changes.pool_of(lb, request.pool_id)
    return changes.PutMember(pool.id, request.after(pool.member(request.id)))


@_resolve.register
def _(request: UpdateMembers, lb: model.LoadBalancer | None) -> changes.Change:
    pool = changes.pool_of(lb, request.pool_id)
    members = tuple(each.after(pool.member(each.id)) for each in request.members)
    return changes.ReplaceMembers(pool.id, members)


@_resolve.register
def _(request: UpdateMonitor, lb: model.LoadBalancer | None) -> changes.Change:
    pool = changes.pool_of(lb, request.pool_id)
    same = pool.monitor is not None and pool.monitor.id == request.id
    return changes.PutMonitor(pool.id, request.after(pool.monitor if same else None))
