# SPDX-License-Identifier: Apache-2.0
"""Recording a request: the intent and the pending objects, in one transaction.

The rest of the rows (vips, checks, attachments) follows from it and is the agent's work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from octavia_ovn.core import codec, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired.load_balancer import intended
from octavia_ovn.core.diff import diff
from octavia_ovn.core.pending import Kind, Pending, active
from octavia_ovn.core.placement import RowGroup
from octavia_ovn.core.request import changes
from octavia_ovn.core.rows import Operation, Row


def read(existing: Sequence[Row]) -> codec.Decoded | None:
    """Return what the rows say; None when there are none.

    :raises Undecodable: when the rows do not even name a VIP
    """
    return codec.decode(existing) if existing else None


def record(
    existing: Sequence[Row], change: changes.Change, request_id: str
) -> tuple[Operation, ...]:
    """Compute the operations that record a request on the rows of a load balancer.

    Recording the same request again changes nothing.

    :raises UnknownObject: when the rows lack what the change is about
    :raises Undecodable: when the rows do not even name a VIP
    """
    rows, pending = _recorded(existing, change)
    before = codec.pending(existing)
    if pending.objects or pending.orphaned:
        pending = replace(pending, requests=(request_id,))
        before = before.merge(pending) if before else pending
    return diff(existing, with_pending(rows, before))


def _recorded(existing: Sequence[Row], change: changes.Change) -> tuple[Sequence[Row], Pending]:
    if isinstance(change, (changes.Resync, changes.Release)):
        waiting = active(Kind.LOAD_BALANCER, [change.lb_id])
        rows = existing or [Row(name=change.lb_id, protocol="", external_ids={})]
        if isinstance(change, changes.Resync):
            return rows, Pending((), waiting, resync=True)
        return rows, Pending((), {**change.objects, **waiting}, resync=not existing)
    if isinstance(change, changes.Abandon):
        return existing, Pending((), {}, orphaned=True)
    if isinstance(change, changes.Restore):
        change = with_groups(change, existing)
    lb = _lb(existing, needed=not isinstance(change, WHOLE))
    applied = changes.apply(lb, change)
    groups = isinstance(change, changes.UpdateLoadBalancer) and change.groups
    pending = Pending((), applied.objects, applied.created, groups=groups)
    if isinstance(change, changes.DeleteLoadBalancer) and existing:
        return existing, pending
    return rows_of(applied.lb, existing), pending


WHOLE = (
    changes.Resync,
    changes.Release,
    changes.Abandon,
    changes.DeleteLoadBalancer,
    changes.Restore,
)
"""Changes of a load balancer as a whole: possible even when the rows cannot be read."""


def _lb(existing: Sequence[Row], *, needed: bool) -> model.LoadBalancer | None:
    try:
        decoded = read(existing)
    except codec.Undecodable:
        if needed:
            raise
        return None
    return decoded.lb if decoded else None


def with_groups(change: changes.Restore, existing: Sequence[Row]) -> changes.Restore:
    """Return a change with the security groups that rows name, if Octavia's do not count.

    They deny clients, also where the rest of the rows cannot be read.
    """
    if change.lb.security_groups is not None:
        return change
    return replace(change, lb=replace(change.lb, security_groups=codec.vip_groups(existing)))


def rows_of(lb: model.LoadBalancer, existing: Sequence[Row]) -> list[Row]:
    """Return the rows with the intent of a load balancer."""
    rows = [row for _, row in intended(lb, existing)]
    kept = {row.uuid for row in rows}
    # A row that is not needed any more is the agent's to delete, together with its references;
    # until then it must hold no outdated intent.
    return rows + [_emptied(row, lb) for row in existing if row.uuid not in kept]


def _emptied(row: Row, lb: model.LoadBalancer) -> Row:
    """Return a row that says of a load balancer only what all its rows say."""
    rest = {key: each for key, each in row.external_ids.items() if not codec.is_intent(key)}
    return replace(row, external_ids={**rest, **codec.encode(lb, RowGroup())})


def _without(row: Row, key: str) -> Row:
    rest = {name: each for name, each in row.external_ids.items() if name != key}
    return replace(row, external_ids=rest)


def with_pending(rows: Sequence[Row], pending: Pending | None) -> list[Row]:
    """Return the rows with what Octavia waits for in one of them, or in none."""
    bare = [_without(row, k.PENDING) if k.PENDING in row.external_ids else row for row in rows]
    if pending is not None and bare:
        drain_rows = [codec.is_drain_row(row.external_ids) for row in bare]
        place = drain_rows.index(min(drain_rows))
        keys = {**bare[place].external_ids, k.PENDING: codec.encode_pending(pending)}
        bare[place] = replace(bare[place], external_ids=keys)
    return bare
