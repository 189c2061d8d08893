# SPDX-License-Identifier: Apache-2.0
"""Draining: a member that leaves `vips` loses its connections at a deadline, if the flavor says so.

Without its entry in `vips` a member gets no new connections. What it needs until the deadline, and
then, are two rows with its entry under the same key that never choose it (measured):

* The *keep row* keeps OVN's flows for replies that a gateway translates, on 26.03, and for a member
  that is its own client.
* The *flush row* has `options:ct_flush`. OVN ends the connections of a backend that leaves such a
  row, provided that each hypervisor has seen the row with both before. So it gets the backend some
  seconds before the deadline. Only rows without the option can lose a backend that serves again.

They choose no backend because they have health checks but no `ip_port_mappings`: OVN takes their
backends for unusable and generates drops. Where these meet the flows of the row that serves, of the
same match and priority, ovn-controller installs the latter: it prefers any action to a drop.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from octavia_ovn.core import codec, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.health import Health
from octavia_ovn.core.placement import RowGroup
from octavia_ovn.core.rows import Flow, HealthCheck, Row
from octavia_ovn.core.topology import Attachments

LONGEST_LEAD = 5
"""Seconds for which a flush row has a backend at most: all hypervisors must follow meanwhile."""
MOST = 4_096
"""Backends of a load balancer that drain at the same time, for each address and listener: a tenant
may replace members again and again for a day. What leaves beyond keeps its connections."""
CT_FLUSH = "ct_flush"
HAIRPIN = "hairpin_snat_ip"
_FAILED = "ERROR"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a drain depends on besides the rows.

    :param pools: protocol and key in `vips` → the pool behind it
    :param addresses: those that clients may use
    :param shown: member id → operating status in Octavia
    :param timeout: seconds that a drain takes
    :param failed: whether members drain that fail their checks
    :param now: seconds since 1970
    """

    pools: Mapping[tuple[str, str], model.Pool]
    addresses: Collection[str]
    health: Health
    shown: Mapping[str, str]
    timeout: int
    failed: bool
    now: float


@dataclass(frozen=True, slots=True)
class Drain:
    """What drains.

    :param deadlines: until when, in seconds since 1970
    :param kept: what keep rows have
    :param flushed: what flush rows have
    """

    deadlines: Mapping[Flow, int]
    kept: frozenset[Flow]
    flushed: frozenset[Flow]


def lead(drain_timeout: int) -> int:
    """Return for how many seconds a flush row has a backend before it loses it."""
    return min(LONGEST_LEAD, drain_timeout // 2)


def separate(rows: Iterable[Row]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Return the rows that serve, and those of drains."""
    found: tuple[list[Row], list[Row]] = ([], [])
    for row in rows:
        found[codec.is_drain_row(row.external_ids)].append(row)
    return tuple(found[0]), tuple(found[1])


def ending(rows: Iterable[Row]) -> frozenset[Flow]:
    """Return what is in flush rows: it ends when it leaves them."""
    found = (row for row in separate(rows)[1] if row.external_ids[k.DRAIN_ROW] == k.FLUSH)
    return _flows(found)


def _flows(rows: Iterable[Row]) -> frozenset[Flow]:
    """Return the flows of the backends of rows."""
    return frozenset(
        Flow(row.protocol, vip, backend)
        for row in rows
        for vip, value in row.vips.items()
        for backend in codec.endpoints(value)
    )


def drain(before: Sequence[Row], after: Sequence[Row], situation: Situation) -> Drain:
    """Return what drains.

    What is read may have been written by others, or by a clock that was wrong: no deadline is later
    than one that would begin now.

    :param before: all rows as they are
    :param after: the rows that serve, as they will be
    """
    now, timeout = situation.now, situation.timeout
    known, flushing, current = codec.read_draining(before), ending(before), _flows(after)
    members = _Members(situation)
    failing = set(filter(members.is_skipped, current)) if situation.failed else set()
    left = _flows(separate(before)[0]) - current
    new = {each for each in left if members.leaves(each) and codec.is_flow(each)}
    new |= {each for each in failing if not members.has_failed(each)}
    found, armed = {}, set()
    for flow in sorted(known) + sorted(new - known.keys())[: max(0, MOST - len(known))]:
        latest = math.ceil(now + (lead(timeout) if flow in flushing else timeout))
        deadline = min(known.get(flow, latest), latest)
        if flow in flushing:
            if deadline > now:
                found[flow] = deadline
                armed.add(flow)
        elif _is_ours(flow, situation) and (flow in failing or flow not in current):
            earliest = math.floor(now + lead(timeout))
            found[flow] = max(deadline, earliest)
            if deadline <= earliest:
                armed.add(flow)
    return Drain(found, frozenset(found.keys() - current), frozenset(armed))


def _is_ours(flow: Flow, situation: Situation) -> bool:
    """Whether clients may still use the address: another load balancer may have got it."""
    return codec.address(flow.vip) in situation.addresses


class _Members:
    """The members behind flows."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._by_endpoint = {
            key: _by_endpoint(pool.members) for key, pool in situation.pools.items()
        }

    def leaves(self, flow: Flow) -> bool:
        """Whether a backend that has left `vips` drains.

        It does not when its listener or pool is disabled or deleted, or when it is a backup that
        waits again.
        """
        if (flow.protocol, flow.vip) not in self._by_endpoint:
            return False
        if not any(each.enabled and each.weight for each in self._of(flow)):
            return True
        return self._situation.failed and self.fails(flow)

    def fails(self, flow: Flow) -> bool:
        """Whether a backend fails its check."""
        pool = self._situation.pools[flow.protocol, flow.vip]
        return not any(self._situation.health.may_serve(pool, each) for each in self._of(flow))

    def is_skipped(self, flow: Flow) -> bool:
        """Whether a backend in `vips` fails its check, so that OVN skips it.

        OVN skips none that chassis check: what is in `vips` serves, be it because all fail.
        """
        pool = self._situation.pools[flow.protocol, flow.vip]
        return pool.id not in self._situation.health.probed and self.fails(flow)

    def has_failed(self, flow: Flow) -> bool:
        """Whether Octavia shows that a backend fails its check."""
        return all(self._situation.shown.get(each.id) == _FAILED for each in self._of(flow))

    def _of(self, flow: Flow) -> Sequence[model.Member]:
        return self._by_endpoint[flow.protocol, flow.vip].get(flow.backend, ())


def _by_endpoint(members: Iterable[model.Member]) -> dict[str, list[model.Member]]:
    found: dict[str, list[model.Member]] = {}
    for member in members:
        found.setdefault(codec.endpoint(member.address, member.port), []).append(member)
    return found


def with_drain(
    lb: model.LoadBalancer,
    before: Iterable[Row],
    after: Sequence[Row],
    drain: Drain,
    attachments: Attachments,
) -> tuple[Row, ...]:
    """Return the rows, the first with the deadlines, and the rows of drains."""
    if not drain.deadlines:
        return tuple(after)
    keys = {**after[0].external_ids, k.DRAINING: codec.draining(drain.deadlines)}
    first = replace(after[0], external_ids=keys)
    old = {_identity(row): row for row in separate(before)[1]}
    found = []
    for kind, flows in ((k.KEEP, drain.kept), (k.FLUSH, drain.flushed)):
        for protocol in sorted({flow.protocol for flow in flows}):
            vips = _vips(flow for flow in flows if flow.protocol == protocol)
            row = _drain_row(lb, kind, protocol, vips)
            placed = replace(row, switches=attachments.switches, routers=attachments.routers)
            found.append(_continuing(old.get(_identity(row)), placed))
    return (first, *after[1:], *found)


def _identity(row: Row) -> tuple[str, str]:
    return row.external_ids[k.DRAIN_ROW], row.protocol


def _vips(flows: Iterable[Flow]) -> dict[str, str]:
    vips: dict[str, list[str]] = {}
    for flow in sorted(flows):
        vips.setdefault(flow.vip, []).append(flow.backend)
    return {vip: ",".join(backends) for vip, backends in vips.items()}


def _drain_row(lb: model.LoadBalancer, kind: str, protocol: str, vips: Mapping[str, str]) -> Row:
    options = {CT_FLUSH: "true"} if kind == k.FLUSH else {}
    if lb.flavor.hairpin_snat_ip:
        options[HAIRPIN] = " ".join(lb.flavor.hairpin_snat_ip)
    return Row(
        name=lb.id,
        protocol=protocol,
        # An older version, or another driver, deletes a row that has these and nothing else.
        # ovn-bgp-agent ignores it without the key of the router, and does not withdraw the VIP.
        external_ids={**codec.encode(lb, RowGroup()), k.DRAIN_ROW: kind},
        vips=vips,
        options=options,
        # Of no pool: nothing is checked.
        health_checks=tuple(HealthCheck(vip, {}, {k.CHECK_POOL: ""}) for vip in sorted(vips)),
    )


def _continuing(old: Row | None, new: Row) -> Row:
    """Return a row that continues an existing one, if there is one."""
    if old is None:
        return new
    uuids = {check.vip: check.uuid for check in old.health_checks}
    checks = (replace(each, uuid=uuids.get(each.vip, "")) for each in new.health_checks)
    foreign = {
        key: value
        for key, value in old.external_ids.items()
        if not codec.is_intent(key) and not codec.is_realised(key)
    }
    return replace(
        new,
        external_ids={**foreign, **new.external_ids},
        health_checks=tuple(checks),
        uuid=old.uuid,
    )


def due(rows: Sequence[Row], flavor: model.Flavor, now: float) -> float | None:
    """Return in how many seconds the rows must be computed again; None if nothing drains.

    :param rows: all rows as they will be
    :param now: seconds since 1970
    """
    deadlines, flushed = codec.read_draining(rows), ending(rows)
    before = lead(flavor.drain_timeout or 0)
    moments = (
        deadline - (0 if flow in flushed else before) for flow, deadline in deadlines.items()
    )
    first = min(moments, default=None)
    return None if first is None else max(0.0, first - now)
