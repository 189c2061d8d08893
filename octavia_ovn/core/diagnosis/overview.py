# SPDX-License-Identifier: Apache-2.0
"""A load balancer as a tree of objects, and the switches and routers that refer to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from octavia_ovn.core import codec, ip, model
from octavia_ovn.core.desired.serving import eligible
from octavia_ovn.core.diagnosis import drift
from octavia_ovn.core.diagnosis.shown import Address, Node, Overview, Place, State
from octavia_ovn.core.diagnosis.snapshot import Snapshot
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.rows import ROUTER, SWITCH
from octavia_ovn.core.topology import attachments

_AT_MOST = 3
Part = TypeVar("Part", model.Listener, model.Pool, model.Member)


_HEALTH = {
    HealthState.UP: ("up", State.GOOD),
    HealthState.DOWN: ("down", State.BAD),
    HealthState.UNKNOWN: ("not checked yet", State.ATTENTION),
    HealthState.UNCHECKED: ("not checked", State.GOOD),
    HealthState.UNREACHABLE: ("left out: cannot be reached", State.BAD),
}


def overview(snapshot: Snapshot) -> Overview | None:
    """Return the overview of a snapshot; None when the load balancer is not known."""
    lb = snapshot.lb
    if lb is None:
        return None
    return Overview(
        root=_Tree(snapshot, lb).root(),
        addresses=tuple(_address(snapshot, vip) for vip in lb.vips),
        places=tuple(_places(snapshot, lb)),
        notes=(*snapshot.problems, *_unserved(snapshot), *_idle(snapshot, lb), *snapshot.notes),
    )


def _unserved(snapshot: Snapshot) -> Iterator[str]:
    """Name objects in Octavia that OVN cannot serve."""
    for (kind, object_id), status in snapshot.statuses.items():
        if kind is Kind.L7POLICY:
            name = status.name or object_id
            yield f"L7 policy {name} has no effect: OVN works at layer 4 and does not see requests."


def _idle(snapshot: Snapshot, lb: model.LoadBalancer) -> Iterator[str]:
    """Name the flavor's keys that only chassis can follow, and pools that they do not check."""
    chosen = {"fail_open": lb.flavor.fail_open, "endpoint_weights": lb.flavor.endpoint_weights}
    keys = " and ".join(key for key, value in chosen.items() if value)
    pools = [each.id for each in lb.pools if each.monitored] if keys else []
    for pool_id in pools:
        if pool_id not in snapshot.health.probed:
            name = snapshot.name_of(Kind.POOL, pool_id)
            yield f"{keys} of the flavor has no effect on pool {name}: no chassis checks it."


class _Tree:
    """Builds the nodes of one snapshot."""

    def __init__(self, snapshot: Snapshot, lb: model.LoadBalancer) -> None:
        self._snapshot = snapshot
        self._lb = _merged(lb, snapshot.octavia)
        self._differences = drift.differences(snapshot)

    def root(self) -> Node:
        listeners = [self._listener(each) for each in self._lb.listeners]
        used = {each.pool_id for each in self._lb.listeners}
        free = [each for each in self._lb.pools if each.id not in used]
        state, ovn = State.GOOD, _count(len(self._snapshot.vips), "entry", "entries") + " in vips"
        if not self._snapshot.rows:
            state, ovn = State.BAD, "no row"
        elif not self._lb.enabled:
            state, ovn = State.OFF, "disabled"
        elif lost := codec.read_lost_vips(self._snapshot.rows):
            why = "; ".join(f"{address} is not served: {each}" for address, each in lost.items())
            state, ovn = State.BAD, why
        return self._node(
            Kind.LOAD_BALANCER,
            self._lb.id,
            _some("for security groups", sorted(self._lb.security_groups or ())),
            ovn,
            state,
            (*listeners, *(self._pool(each) for each in free)),
        )

    def _listener(self, listener: model.Listener) -> Node:
        pool = self._lb.pool(listener.pool_id)
        ovn, state = self._served(listener, pool)
        children = (self._pool(pool),) if pool else ()
        details = f"{_protocol(listener)} {listener.port}"
        details += _some(", for", listener.allowed_cidrs)
        if listener.connection_limit:
            details += f", up to {_count(listener.connection_limit, 'connection', 'connections')}"
        return self._node(Kind.LISTENER, listener.id, details, ovn, state, children)

    def _served(self, listener: model.Listener, pool: model.Pool | None) -> tuple[str, State]:
        """Describe how OVN serves a listener."""
        if not (self._lb.enabled and listener.enabled):
            return "disabled", State.OFF
        if pool is None:
            return "no pool", State.OFF
        wanted, held = self._keys(listener, pool)
        if wanted - held:
            return f"vips lacks {', '.join(sorted(wanted - held))}", State.BAD
        served = {key for key in held if self._snapshot.vips[key]}
        if not served:
            return "no member may serve", State.BAD if pool.members else State.OFF
        if listener.id in self._snapshot.closed:
            return "at its connection limit: lets no new ones in", State.ATTENTION
        return ", ".join(sorted(served)), State.GOOD

    def _keys(self, listener: model.Listener, pool: model.Pool) -> tuple[set[str], set[str]]:
        """Return the entries of vips that a listener should have, and those that it has."""
        addresses = [vip.address for vip in self._lb.vips]
        addresses += [each.address for each in self._snapshot.floating_ips.values()]
        wanted = {
            codec.endpoint(each, listener.port)
            for each in addresses
            if pool.enabled and self._has_entry(pool, ip.family(each))
        }
        everything = {codec.endpoint(each, listener.port) for each in addresses}
        rows = (row for row in self._snapshot.rows if row.protocol == listener.protocol.value)
        return wanted, {key for row in rows for key in row.vips if key in everything}

    def _has_entry(self, pool: model.Pool, family: int) -> bool:
        """Whether a pool should have entries in vips for addresses of an IP version."""
        if self._lb.flavor.withdraw:
            return bool(eligible(self._lb.flavor, pool, family, self._snapshot.health))
        return bool(pool.members)

    def _pool(self, pool: model.Pool) -> Node:
        members = [self._member(pool, each) for each in pool.members]
        monitor = [self._monitor(pool.monitor)] if pool.monitor else []
        details = f"{_protocol(pool)}, {pool.algorithm.value}"
        if pool.persistence:
            details += ", sticky"
        state, ovn = State.GOOD, _count(len(members), "member", "members")
        if not pool.enabled:
            state, ovn = State.OFF, "disabled"
        elif members and all(each.state is State.BAD for each in members):
            state = State.BAD
        return self._node(Kind.POOL, pool.id, details, ovn, state, (*monitor, *members))

    def _monitor(self, monitor: model.HealthMonitor) -> Node:
        details = f"{_check(monitor)}, every {monitor.delay} s"
        state, ovn = (State.GOOD, "checks") if monitor.enabled else (State.OFF, "disabled")
        return self._node(Kind.HEALTH_MONITOR, monitor.id, details, ovn, state)

    def _member(self, pool: model.Pool, member: model.Member) -> Node:
        ovn, state = self._health(pool, member)
        details = codec.endpoint(member.address, member.port)
        weight = self._snapshot.health.weight(member)
        if weight != member.weight:
            details += f", weight {weight} as it says itself"
        elif weight > 1:
            details += f", weight {weight}"
        if pool.monitor and (member.monitor_address or member.monitor_port):
            checked = (member.monitor_address or member.address, member.monitor_port or member.port)
            details += f", checked at {codec.endpoint(*checked)}"
        switch = self._snapshot.member_switch(member)
        if switch:
            details += f", {self._snapshot.switch_label(switch)}"
        return self._node(Kind.MEMBER, member.id, details, ovn, state)

    def _health(self, pool: model.Pool, member: model.Member) -> tuple[str, State]:
        """Describe how OVN uses a member."""
        if not member.enabled:
            return "disabled", State.OFF
        if not member.weight:
            return "drained (weight 0)", State.OFF
        backup = "backup, " if member.backup else ""
        health = self._snapshot.health
        found = health.of(pool, member)
        if health.may_serve(pool, member) and not health.weight(member):
            return f"{backup}drained (says weight 0)", State.OFF
        words, state = _HEALTH[found]
        if found is HealthState.DOWN and pool.id in health.probed and self._is_served(member):
            words += ", serves as all others fail, too"
        return f"{backup}{words}", state

    def _is_served(self, member: model.Member) -> bool:
        backend = codec.endpoint(member.address, member.port)
        return any(backend in codec.endpoints(each) for each in self._snapshot.vips.values())

    def _node(  # noqa: PLR0913 - the fields of a node
        self,
        kind: Kind,
        object_id: str,
        details: str,
        ovn: str,
        state: State,
        children: tuple[Node, ...] = (),
    ) -> Node:
        status = self._snapshot.statuses.get((kind, object_id))
        octavia = f"{status.provisioning} {status.operating}".strip() if status else ""
        differences = self._differences.get((kind, object_id), ())
        if status and status.provisioning == "ERROR":
            state = State.BAD
        elif status and status.operating == "DEGRADED" and state is State.GOOD:
            state = State.ATTENTION
        name = status.name if status else ""
        return Node(kind, object_id, name, details, octavia, ovn, state, differences, children)


def _check(monitor: model.HealthMonitor) -> str:
    """Describe what a check asks, and what it expects."""
    if not monitor.type.sends_http:
        return monitor.type.value
    request = f"{monitor.http_method or 'GET'} {monitor.url_path or '/'}"
    host = f" of {monitor.domain_name}" if monitor.domain_name else ""
    return f"{monitor.type.value} {request}{host}, expects {monitor.expected_codes or '200'}"


def _protocol(thing: model.Listener | model.Pool) -> str:
    """Return Octavia's name of a protocol."""
    return thing.application.value if thing.application else thing.protocol.name


def _merged(ours: model.LoadBalancer, theirs: model.LoadBalancer | None) -> model.LoadBalancer:
    """Add what only Octavia has, so that it is shown as well."""
    if theirs is None:
        return ours
    others = {each.id: each for each in theirs.pools}
    pools = tuple(
        replace(each, members=_added(each.members, others[each.id].members))
        if each.id in others
        else each
        for each in ours.pools
    )
    return replace(
        ours,
        listeners=_added(ours.listeners, theirs.listeners),
        pools=_added(pools, theirs.pools),
    )


def _added(ours: Iterable[Part], theirs: Iterable[Part]) -> tuple[Part, ...]:
    found = {each.id: each for each in theirs} | {each.id: each for each in ours}
    return tuple(found.values())


def _address(snapshot: Snapshot, vip: model.Vip) -> Address:
    port = snapshot.ports.get(vip.port_id or "")
    fip = snapshot.floating_ips.get(vip.address)
    switch = snapshot.switch_of(vip) or ""
    return Address(
        address=vip.address,
        floating_ip=fip.address if fip else "",
        port=port.title if port else vip.port_id or "",
        network=snapshot.switch_label(switch),
        switch=switch,
    )


def _places(snapshot: Snapshot, lb: model.LoadBalancer) -> Iterator[Place]:
    """Yield all rows that refer to the load balancer, or should, and the networks outside."""
    wanted = attachments(lb, snapshot, snapshot.subnets)
    routers = {each for row in snapshot.rows for each in row.routers}
    switches = {each for row in snapshot.rows for each in row.switches}
    around = wanted.routers | routers
    for name in sorted(around):
        label = snapshot.router_label(name)
        yield Place(ROUTER, name, label, "", name in routers, name in wanted.routers)
    outside = {
        port.switch for name in around for port in snapshot.ports_of_router(name) if port.gateway
    }
    purposes = dict.fromkeys(outside, "outside") | dict(_purposes(snapshot, lb))
    for name in sorted(wanted.switches | switches | outside):
        yield Place(
            SWITCH,
            name,
            snapshot.switch_label(name),
            purposes.get(name, "clients"),
            name in switches,
            name in wanted.switches,
            tuple(sorted(around & {port.router for port in snapshot.ports_on_switch(name)})),
        )


def _purposes(snapshot: Snapshot, lb: model.LoadBalancer) -> Iterator[tuple[str, str]]:
    """Yield what is on which switch; the VIP counts for more than members."""
    for _, member in lb.members():
        yield snapshot.member_switch(member) or "", "members"
    for vip in lb.vips:
        yield snapshot.switch_of(vip) or "", "VIP"


def _some(words: str, items: Sequence[str]) -> str:
    """Return words and the first of some items; nothing without items."""
    more = " …" if len(items) > _AT_MOST else ""
    return f"{words} {' '.join(items[:_AT_MOST])}{more}" if items else ""


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
