# SPDX-License-Identifier: Apache-2.0
"""`desired(intent, facts)`: the rows that a load balancer should have.

A pure function: events in any order, restarts and repetitions give the same rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from octavia_ovn.core import codec, ip, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import draining
from octavia_ovn.core.desired.options import options
from octavia_ovn.core.desired.serving import eligible
from octavia_ovn.core.health import Health
from octavia_ovn.core.placement import HashScope, Profile, RowGroup, Wanted, match, row_groups
from octavia_ovn.core.probing.plan import Target
from octavia_ovn.core.rows import Flow, HealthCheck, Row
from octavia_ovn.core.security_groups import Admitted
from octavia_ovn.core.topology import Attachments

_FIELDS = {
    HashScope.CONNECTION: frozenset({"ip_src", "ip_dst", "tp_src", "tp_dst"}),
    HashScope.CLIENT: frozenset({"ip_src", "ip_dst"}),
    HashScope.ANY: frozenset[str](),
}
_IPV6_FIELDS = frozenset({"ipv6_src", "ipv6_dst"})


@dataclass(frozen=True, slots=True)
class Facts:
    """The input of the rows besides the intent.

    :param attachments: the switches and routers that refer to the load balancer
    :param floating_ips: VIP address → floating IP
    :param mappings: address of a monitored member → `<switch port>:<source address>`
    :param health: what is known of the members
    :param ipv6_fields: whether this OVN can hash IPv6 addresses (25.03 and later)
    :param unchecked: monitors whose checks cannot be made: OVN would leave all members out
    :param targets: the members that chassis probe
    :param member_status: id → reported status of members, and of monitors in ERROR
    :param ingress_ports: ports of the switches where clients enter; see
        :func:`octavia_ovn.core.topology.ingress_ports`
    :param closed: ids of listeners that let no new connections in, because they have as many as
        they may
    :param lost: VIP → reason, of VIPs that are not served. Empty when there are none and that is
        not reported yet, None when it is
    :param foreign: VIPs that Neutron may have given to others
    :param now: seconds since 1970
    :param samples_drops: whether OVN samples what it drops: then nothing is drained, because
        ovn-controller does not take such drops for drops
    :param admitted: who the VIP's security groups let in
    :param recorded: whether chassis record its connections
    """

    attachments: Attachments
    floating_ips: Mapping[str, str] = field(default_factory=dict)
    mappings: Mapping[str, str] = field(default_factory=dict)
    health: Health = field(default_factory=Health)
    ipv6_fields: bool = False
    unchecked: frozenset[str] = frozenset()
    targets: tuple[Target, ...] = ()
    member_status: Mapping[str, str] = field(default_factory=dict)
    ingress_ports: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    lost: Mapping[str, str] | None = None
    foreign: frozenset[str] = frozenset()
    now: float = 0.0
    samples_drops: bool = False
    admitted: Admitted = field(default_factory=Admitted)
    recorded: bool = False


def desired(lb: model.LoadBalancer, existing: Sequence[Row], facts: Facts) -> tuple[Row, ...]:
    """Return the rows that a load balancer should have.

    Rows that continue an existing one carry its uuid and its foreign keys.
    """
    found = intended(lb, existing)
    held = draining.ending(existing)
    rows = tuple(_realised(lb, group, row, facts, held) for group, row in found)
    timeout = lb.flavor.drain_timeout
    if timeout is None or facts.samples_drops:
        return rows
    drain = draining.drain(existing, rows, _situation(lb, found, facts, timeout))
    return draining.with_drain(lb, existing, rows, drain, facts.attachments)


def _situation(
    lb: model.LoadBalancer, found: Iterable[tuple[RowGroup, Row]], facts: Facts, timeout: int
) -> draining.Situation:
    addresses = tuple(addresses_of(lb, facts.floating_ips, facts.lost or ()))
    pools = {
        (row.protocol, codec.endpoint(address, listener.port)): pool
        for group, row in found
        for listener, pool in _served(group)
        for address in addresses
        if lb.enabled
    }
    return draining.Situation(
        pools,
        addresses,
        facts.health,
        facts.member_status,
        timeout=timeout,
        failed=lb.flavor.drain_failed is True,
        now=facts.now,
    )


def intended(lb: model.LoadBalancer, existing: Sequence[Row]) -> tuple[tuple[RowGroup, Row], ...]:
    """Return each row group with its row, as far as the intent alone decides it."""
    existing, _ = draining.separate(existing)
    found = row_groups(lb)
    keys = [codec.encode(lb, group) for group in found]
    wanted = [
        Wanted(group.protocol.value if group.protocol else "", _objects(encoded))
        for group, encoded in zip(found, keys, strict=True)
    ]
    rows = []
    for want, encoded, old in zip(wanted, keys, match(existing, wanted), strict=True):
        if old is None:
            rows.append(Row(name=lb.id, protocol=want.protocol, external_ids=encoded))
        else:
            rest = {key: each for key, each in old.external_ids.items() if not codec.is_intent(key)}
            rows.append(replace(old, protocol=want.protocol, external_ids={**rest, **encoded}))
    return tuple(zip(found, rows, strict=True))


def deleting(existing: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rest of a load balancer that is being deleted: one row that serves nothing.

    It keeps the pending objects until their end is reported.
    """
    holders = sorted(existing, key=lambda row: (k.PENDING not in row.external_ids, row.uuid))
    return tuple(
        replace(
            row,
            vips={},
            ip_port_mappings={},
            health_checks=(),
            switches=frozenset(),
            routers=frozenset(),
        )
        for row in holders[:1]
    )


def _objects(keys: Iterable[str]) -> frozenset[str]:
    return frozenset(key for key in keys if key.startswith((k.LISTENER, k.POOL)))


def _realised(
    lb: model.LoadBalancer, group: RowGroup, row: Row, facts: Facts, held: Collection[Flow]
) -> Row:
    addresses = list(addresses_of(lb, facts.floating_ips, facts.lost or ()))
    profile = group.profile or Profile()
    vips = dict(_vips(lb.flavor, group, addresses, facts.health, held)) if lb.enabled else {}
    checks = _checks(group, addresses, vips, facts)
    return replace(
        row,
        external_ids=_external_ids(lb, group, row, facts),
        vips=vips,
        selection_fields=_selection_fields(group, profile, addresses, facts),
        options=options(row, group, lb, recorded=facts.recorded),
        ip_port_mappings=_mappings(group, facts),
        health_checks=_with_uuids(checks, row.health_checks),
        switches=facts.attachments.switches,
        routers=facts.attachments.routers,
    )


def addresses_of(
    lb: model.LoadBalancer, floating_ips: Mapping[str, str], lost: Collection[str] = ()
) -> Iterator[str]:
    """Yield every address that clients may use."""
    for vip in lb.vips:
        if vip.address in lost:
            continue
        yield vip.address
        if vip.address in floating_ips:
            yield floating_ips[vip.address]


def _served(group: RowGroup) -> Iterator[tuple[model.Listener, model.Pool]]:
    pools = {pool.id: pool for pool in group.pools}
    for listener in group.listeners:
        pool = pools.get(listener.pool_id or "")
        if listener.enabled and pool is not None and pool.enabled:
            yield listener, pool


def _vips(
    flavor: model.Flavor,
    group: RowGroup,
    addresses: Sequence[str],
    health: Health,
    held: Collection[Flow],
) -> Iterator[tuple[str, str]]:
    for listener, pool in _served(group):
        for address in addresses:
            key = codec.endpoint(address, listener.port)
            rest = _without(pool, key, health, held)
            serving = eligible(flavor, rest, ip.family(address), health)
            # Without a backend OVN refuses connections at once. A pool that has no members has no
            # entry, so that routes to the VIP are withdrawn; the flavor may ask for the same.
            if serving or (pool.members and not flavor.withdraw):
                yield key, ",".join(codec.endpoint(each.address, each.port) for each in serving)


def _without(pool: model.Pool, key: str, health: Health, held: Collection[Flow]) -> model.Pool:
    """Return a pool without members that come back while their connections are being ended.

    The new ones would end with the old ones.
    """
    backends = {flow.backend for flow in held if flow[:2] == (pool.protocol.value, key)}
    if not backends:
        return pool
    members = (
        each
        for each in pool.members
        if codec.endpoint(each.address, each.port) not in backends
        or not (health.may_serve(pool, each) or pool.id in health.probed)
    )
    return replace(pool, members=tuple(members))


def _checks(
    group: RowGroup, addresses: Sequence[str], vips: Mapping[str, str], facts: Facts
) -> tuple[HealthCheck, ...]:
    """Return one check for each vip that OVN monitors.

    A floating IP without one would be balanced to members that are DOWN.
    """
    checks = []
    for listener, pool in _served(group):
        if pool.monitor is None or not pool.monitored or pool.id in facts.health.probed:
            continue
        if pool.monitor.id in facts.unchecked:
            continue
        for address in addresses:
            key = codec.endpoint(address, listener.port)
            if vips.get(key):
                checks.append(_check(pool.monitor, pool, key, address))
    return tuple(sorted(checks, key=lambda check: check.vip))


def _check(monitor: model.HealthMonitor, pool: model.Pool, key: str, address: str) -> HealthCheck:
    return HealthCheck(
        vip=key,
        # Another driver may have let in 0, at which OVN never pauses.
        options={
            "interval": str(max(1, monitor.delay)),
            "timeout": str(max(1, monitor.timeout)),
            "success_count": str(monitor.max_retries),
            "failure_count": str(monitor.max_retries_down),
        },
        external_ids={
            k.CHECK_MONITOR: monitor.id,
            k.CHECK_POOL: pool.id,
            k.CHECK_VIP: address,
        },
    )


def _with_uuids(
    checks: Iterable[HealthCheck], existing: Iterable[HealthCheck]
) -> tuple[HealthCheck, ...]:
    uuids = {check.vip: check.uuid for check in existing}
    return tuple(replace(check, uuid=uuids.get(check.vip, "")) for check in checks)


def _mappings(group: RowGroup, facts: Facts) -> dict[str, str]:
    return {
        codec.bracketed(member.address): facts.mappings[member.address]
        for pool in group.pools
        if pool.monitored and pool.id not in facts.health.probed
        for member in pool.members
        if member.address in facts.mappings
    }


def _selection_fields(
    group: RowGroup, profile: Profile, addresses: Sequence[str], facts: Facts
) -> frozenset[str]:
    if not group.pools:
        return frozenset()
    fields = _FIELDS[profile.scope]
    if fields and facts.ipv6_fields and any(ip.family(each) == 6 for each in addresses):  # noqa: PLR2004
        return fields | _IPV6_FIELDS
    return fields


def _external_ids(
    lb: model.LoadBalancer, group: RowGroup, row: Row, facts: Facts
) -> dict[str, str]:
    keys = {key: each for key, each in row.external_ids.items() if not codec.is_realised(key)}
    reported = _reported(group, facts.member_status)
    if reported:
        keys[k.MEMBER_STATUS] = codec.member_status(reported)
    fips = facts.floating_ips
    if lb.vips[0].address in fips:
        keys[k.VIP_FIP] = fips[lb.vips[0].address]
    additional = [fips[vip.address] for vip in lb.vips[1:] if vip.address in fips]
    if additional:
        keys[k.ADDITIONAL_FIPS] = ",".join(additional)
    keys |= dict(_of_checks(group, facts.health))
    keys[k.SWITCH_REFS] = codec.switch_refs(facts.attachments.switch_refs)
    if facts.lost is not None:
        keys[k.LOST_VIPS] = codec.lost_vips(facts.lost)
    if facts.attachments.vip_router:
        keys[k.ROUTER_REF] = facts.attachments.vip_router
    return keys


def _of_checks(group: RowGroup, health: Health) -> Iterator[tuple[str, str]]:
    """Yield what an agent that takes over must know of the members that chassis check."""
    members = {each.id for pool in group.pools for each in pool.members}
    if first := sorted(health.first & members):
        yield k.FIRST_CHECKS, codec.dumps(first)
    if weights := {key: each for key, each in health.weights.items() if key in members}:
        yield k.ENDPOINT_WEIGHTS, codec.dumps(weights)


def _reported(group: RowGroup, statuses: Mapping[str, str]) -> dict[str, str]:
    """Return the reported statuses of a row's members, and of its monitors in ERROR."""
    members = {each.id for pool in group.pools for each in pool.members}
    monitors = {pool.monitor.id for pool in group.pools if pool.monitor}
    return {
        key: status
        for key, status in statuses.items()
        if key in members or (key in monitors and status == "ERROR")
    }
