# SPDX-License-Identifier: Apache-2.0
"""Collects what the rows of a load balancer depend on, from the replicas or, slowly, from Neutron.

Nothing is decided on incomplete facts: while one is missing, the load balancer waits and others do
not.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from octavia_ovn.controller import reachability
from octavia_ovn.controller.check_sources import NoSource, Sources
from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.protocols import Neutron, Northbound, Southbound
from octavia_ovn.controller.vip_ports import VipGuard
from octavia_ovn.core import codec, model
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.desired import access_control, responder
from octavia_ovn.core.desired.load_balancer import Facts
from octavia_ovn.core.health import Backend, Health, HealthState, Source
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.request.validation import place_members
from octavia_ovn.core.rows import ClearAddresses, Operation, Row
from octavia_ovn.core.topology import (
    Attachments,
    Subnet,
    attachments,
    ingress_ports,
    subnets_around,
    switch_name,
)

ANSWERED_BY = {Resource.PORT: "vip", Resource.MONITORED: "source"}
"""Resource → kind of the task whose answer is outdated when the resource changes."""
_BEFORE = {"ONLINE": HealthState.UP, "ERROR": HealthState.DOWN}
"""The result of a check that led to an operating status in Octavia."""


@dataclass(frozen=True, slots=True)
class Known:
    """A load balancer with all that is known about its network, members and ports.

    :param lb: the intent, completed by what its rows lacked
    :param dependencies: what it depends on, for :class:`octavia_ovn.controller.dependencies.Index`
    :param failed: objects that cannot become what was asked for
    :param operations: what must be written besides its own rows
    :param member_fips: floating IPs of members: id, and whether it is distributed
    :param obstacles: member id → why it cannot be reached, as a sentence that begins with its name
    """

    lb: model.LoadBalancer
    facts: Facts
    dependencies: frozenset[Dependency]
    failed: frozenset[tuple[Kind, str]] = frozenset()
    operations: tuple[Operation, ...] = ()
    member_fips: frozenset[tuple[str, bool]] = frozenset()
    obstacles: Mapping[str, str] = field(default_factory=dict)


class Missing(Exception):
    """A fact is being fetched; the load balancer is reconciled again when it is known.

    :param operations: what must be written before it can come
    """

    def __init__(
        self,
        dependencies: frozenset[Dependency] = frozenset(),
        operations: tuple[Operation, ...] = (),
    ) -> None:
        super().__init__()
        self.dependencies = dependencies
        self.operations = operations


@dataclass(frozen=True, slots=True)
class Checked:
    """A monitored member and where it stands."""

    lb: model.LoadBalancer
    pool: model.Pool
    member: model.Member
    subnet: Subnet


@dataclass(slots=True)
class _Checks:
    """Collects the health of monitored members."""

    mappings: dict[str, str] = field(default_factory=dict)
    backends: dict[Backend, HealthState] = field(default_factory=dict)
    members: dict[str, HealthState] = field(default_factory=dict)
    obstacles: dict[str, str] = field(default_factory=dict)
    failed: set[tuple[Kind, str]] = field(default_factory=set)
    operations: list[Operation] = field(default_factory=list)


class FactFinder:
    """Finds facts."""

    def __init__(self, nb: Northbound, sb: Southbound, neutron: Neutron, effects: Effects) -> None:
        self._nb = nb
        self._sb = sb
        self._neutron = neutron
        self._effects = effects
        self._sources = Sources(neutron, effects)
        self._guard = VipGuard(nb, neutron, effects)

    def find(self, decoded: codec.Decoded, rows: tuple[Row, ...]) -> Known:
        """Return what is known about a load balancer.

        :raises Missing: when something is not known yet
        """
        lb = self._complete(decoded.lb)
        guarded = self._guard.guard(lb)
        lb = _with_vips(lb, guarded.vips)
        subnets = self._subnets(lb)
        lb = _with_vips(lb, tuple(_with_cidr(vip, subnets) for vip in lb.vips))
        if any(member.subnet_id is None for _, member in lb.members()):
            lb = place_members(lb, None, functools.partial(subnets_around, topology=self._nb))
            subnets = self._subnets(lb)
        router = next((row.external_ids.get(codec.ROUTER_REF) for row in rows), None)
        places = attachments(lb, self._nb, subnets, router)
        member_fips = frozenset(self._member_fips(lb, places))
        doors = (
            ingress_ports(lb, places, self._nb) if access_control.restricted(lb) else frozenset()
        )
        dependencies = (
            frozenset(_dependencies(lb, subnets, places))
            | {Dependency(Resource.MEMBER_FIP, fip_id) for fip_id, _ in member_fips}
            | {Dependency(Resource.PORT, name) for name in doors}
        )
        try:
            checks = self._checks(lb, subnets, rows, decoded.member_status)
            operations = (
                *dict.fromkeys(checks.operations),
                *self._port_operations(lb),
                *self._answer_operations(lb, subnets, guarded.lost),
            )
            doors = self._existing(doors)
        except Missing as missing:
            raise Missing(dependencies, missing.operations) from None
        facts = Facts(
            attachments=places,
            floating_ips=self._floating_ips(lb),
            mappings=checks.mappings,
            health=Health(checks.backends, checks.members),
            ipv6_fields=self._nb.ipv6_fields,
            unchecked=frozenset(monitor_id for _, monitor_id in checks.failed),
            ingress_ports=doors,
            lost=guarded.lost or (None if codec.read_lost_vips(rows) is None else {}),
        )
        failed = frozenset(checks.failed)
        return Known(lb, facts, dependencies, failed, operations, member_fips, checks.obstacles)

    def _complete(self, lb: model.LoadBalancer) -> model.LoadBalancer:
        """Find what rows that another driver wrote do not say of VIPs."""
        return _with_vips(lb, tuple(self._complete_vip(lb.id, vip) for vip in lb.vips))

    def _complete_vip(self, lb_id: str, vip: model.Vip) -> model.Vip:
        if vip.port_id is None or (vip.network_id and vip.subnet_id and vip.user_port is not None):
            return vip
        ask = functools.partial(self._neutron.port, vip.port_id)
        done = self._effects.get(("vip", vip.port_id), ask, lb_id)
        if done is None:
            raise Missing
        port = done.value
        if port is None:
            return replace(vip, user_port=True)
        ours = port.is_vip_of(lb_id)
        if ours and port.device_owner:
            adopt = functools.partial(self._neutron.adopt_vip_port, vip.port_id, lb_id)
            # The rows ask for it until they say all that is known of the port.
            if self._effects.get(("adopt", vip.port_id), adopt, lb_id) is None:
                raise Missing
        subnets = {each.address: each.subnet_id for each in port.fixed_ips}
        return replace(
            vip,
            network_id=port.network_id,
            subnet_id=vip.subnet_id or subnets.get(vip.address),
            user_port=not ours,
        )

    def _port_operations(self, lb: model.LoadBalancer) -> Iterator[Operation]:
        """Yield what makes user-provided ports usable for a VIP."""
        for vip in lb.vips:
            if vip.user_port and vip.port_id:
                found = self._nb.has_addresses(vip.port_id)
                if found is None:
                    raise Missing
                if found:
                    yield ClearAddresses(vip.port_id)

    def _existing(self, ports: frozenset[str]) -> frozenset[str]:
        found = self._nb.existing_ports(ports)
        if found is None:
            raise Missing
        return found

    def _answer_operations(
        self, lb: model.LoadBalancer, subnets: Mapping[str, Subnet], lost: Collection[str]
    ) -> Iterator[Operation]:
        """Yield what makes responders answer for VIPs that no router leads to."""
        wanted = responder.answers(lb, self._nb, subnets, lost)
        return responder.operations(lb.id, self._nb.answers(lb.id), wanted)

    def used(self, lb: model.LoadBalancer) -> frozenset[Dependency]:
        """Return what must be given back once a load balancer is gone, as the replica shows it."""
        ids = {vip.subnet_id for vip in lb.vips} | {each.subnet_id for _, each in lb.members()}
        found = (self._nb.subnet(each) for each in ids if each)
        subnets = {subnet.id: subnet for subnet in found if subnet is not None}
        lb = _with_vips(lb, tuple(_with_cidr(vip, subnets) for vip in lb.vips))
        places = attachments(lb, self._nb, subnets, None)
        fips = (
            Dependency(Resource.MEMBER_FIP, fip_id) for fip_id, _ in self._member_fips(lb, places)
        )
        sources = (
            Dependency(Resource.MONITORED, member.subnet_id)
            for pool, member in lb.members()
            if pool.monitored and member.subnet_id
        )
        return frozenset((*fips, *sources))

    def _member_fips(
        self, lb: model.LoadBalancer, places: Attachments
    ) -> Iterator[tuple[str, bool]]:
        for _, member in lb.members():
            for fip in self._nb.member_floating_ips(member.address):
                if fip.router in places.routers:
                    yield fip.id, fip.distributed

    def _subnets(self, lb: model.LoadBalancer) -> dict[str, Subnet]:
        """Return the subnets of VIPs and members; those that are gone are left out."""
        found = {
            vip.subnet_id: Subnet(vip.subnet_id, vip.network_id, vip.cidr)
            for vip in lb.vips
            if vip.subnet_id and vip.network_id and vip.cidr
        }
        wanted = {vip.subnet_id for vip in lb.vips} | {each.subnet_id for _, each in lb.members()}
        unknown = sorted(each for each in wanted if each and each not in found)
        missing = False
        for subnet_id in unknown:
            subnet = self._subnet(subnet_id, lb.id)
            if subnet is None:
                missing = True
            elif subnet.network_id:
                found[subnet_id] = subnet
        if missing:
            raise Missing
        return found

    def _subnet(self, subnet_id: str, waiter: str) -> Subnet | None:
        """Return a subnet, one without network when it is gone, None when it is not known yet."""
        subnet = self._nb.subnet(subnet_id)
        if subnet is not None:
            return subnet
        done = self._effects.get(
            ("subnet", subnet_id), functools.partial(self._neutron.subnet, subnet_id), waiter
        )
        if done is None:
            return None
        return Subnet(subnet_id, "", "") if done.value is None else done.value

    def _floating_ips(self, lb: model.LoadBalancer) -> dict[str, str]:
        found = {}
        for vip in lb.vips:
            fip = self._nb.floating_ip(vip.port_id, vip.address) if vip.port_id else None
            if fip:
                found[vip.address] = fip
        return found

    def _checks(
        self,
        lb: model.LoadBalancer,
        subnets: Mapping[str, Subnet],
        rows: tuple[Row, ...],
        shown: Mapping[str, str],
    ) -> _Checks:
        checks = _Checks()
        for pool, member in lb.members():
            subnet = subnets.get(member.subnet_id or "")
            why = reachability.obstacle(self._nb, pool, member, subnet)
            if why is None:
                raise Missing
            if why:
                checks.members[member.id] = HealthState.UNREACHABLE
                checks.obstacles[member.id] = why
            elif pool.monitored and subnet is not None:
                self._check(Checked(lb, pool, member, subnet), rows, checks)
                if not self._sb.ready:
                    # What OVN says is not known now: it counts as it did before.
                    before = _BEFORE.get(shown.get(member.id, ""), HealthState.UNKNOWN)
                    checks.backends[_backend(pool, member)] = before
        return checks

    def _check(self, checked: Checked, rows: tuple[Row, ...], checks: _Checks) -> None:
        lb, pool, member, subnet = checked.lb, checked.pool, checked.member, checked.subnet
        ports = self._nb.switch_ports(switch_name(subnet.network_id))
        if ports is None:
            raise Missing
        port = ports.at(member.address)
        try:
            source = self._sources.find(lb, subnet, ports, port.project if port else "")
        except NoSource as missing:
            # During a call to Neutron, checks come from the same port as before.
            source = _mapped(rows, member.address)
            if source is None and not missing.lasting:
                raise Missing(operations=missing.operations) from None
            checks.operations.extend(missing.operations)
        if source is None:
            checks.members[member.id] = HealthState.UNCHECKED
            if pool.monitor:
                checks.failed.add((Kind.HEALTH_MONITOR, pool.monitor.id))
            return
        name = source.port
        if port is None or port.virtual:
            checks.members[member.id] = HealthState.UNCHECKED
        else:
            name = port.name
            state = self._sb.health_state(name, member.address, member.port, pool.protocol.value)
            checks.backends[_backend(pool, member)] = state
        checks.mappings[member.address] = f"{name}:{codec.bracketed(source.address)}"


def _backend(pool: model.Pool, member: model.Member) -> Backend:
    return (member.address, member.port, pool.protocol.value)


def _with_vips(lb: model.LoadBalancer, vips: tuple[model.Vip, ...]) -> model.LoadBalancer:
    return lb if vips == lb.vips else replace(lb, vips=vips)


def _with_cidr(vip: model.Vip, subnets: Mapping[str, Subnet]) -> model.Vip:
    subnet = subnets.get(vip.subnet_id or "")
    if subnet is None or vip.cidr:
        return vip
    return replace(vip, cidr=subnet.cidr, network_id=vip.network_id or subnet.network_id)


def _mapped(rows: tuple[Row, ...], address: str) -> Source | None:
    """Return from where a member is being checked.

    Its port is that of the member, unless the member itself has none.
    """
    key = codec.bracketed(address)
    found = (row.ip_port_mappings[key] for row in rows if key in row.ip_port_mappings)
    mapping = next(found, "")
    source = codec.mapping_source(mapping)
    return Source(mapping.partition(":")[0], source) if source else None


def _dependencies(
    lb: model.LoadBalancer, subnets: Mapping[str, Subnet], places: Attachments
) -> Iterator[Dependency]:
    """Yield what the rows of a load balancer depend on."""
    for vip in lb.vips:
        if vip.port_id:
            yield Dependency(Resource.PORT, vip.port_id)
        if vip.network_id:
            yield Dependency(Resource.SWITCH, switch_name(vip.network_id))
    yield from (Dependency(Resource.SWITCH, switch) for switch in places.switches)
    yield from (Dependency(Resource.ROUTER, router) for router in places.routers)
    for pool in lb.pools:
        yield from _pool_dependencies(pool, subnets)


def _pool_dependencies(pool: model.Pool, subnets: Mapping[str, Subnet]) -> Iterator[Dependency]:
    for subnet_id in {member.subnet_id or "" for member in pool.members} & subnets.keys():
        yield Dependency(Resource.SWITCH, switch_name(subnets[subnet_id].network_id))
        if pool.monitored:
            yield Dependency(Resource.MONITORED, subnet_id)
    for member in pool.members:
        if pool.monitored:
            yield Dependency(Resource.BACKEND, member.address)
        yield Dependency(Resource.MEMBER, member.address)
