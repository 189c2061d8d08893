# SPDX-License-Identifier: Apache-2.0
"""Collects what the rows of a load balancer depend on, from the replicas or, slowly, from Neutron.

Nothing is decided on incomplete facts: while one is missing, the load balancer waits and others do
not.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from octavia_ovn.controller.check_sources import TASKS
from octavia_ovn.controller.connection_limits import ConnectionLimits
from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.member_health import MemberHealth, Missing
from octavia_ovn.controller.protocols import Neutron, Northbound
from octavia_ovn.controller.vip_groups import Admission
from octavia_ovn.controller.vip_ports import VipGuard
from octavia_ovn.core import codec, model
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.desired import access_control, responder, vip_groups
from octavia_ovn.core.desired.load_balancer import Facts, addresses_of
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.probing.plan import Probes
from octavia_ovn.core.request.validation import place_members
from octavia_ovn.core.rows import ClearAddresses, Operation, Row
from octavia_ovn.core.security_groups import Admitted
from octavia_ovn.core.topology import (
    Attachments,
    Subnet,
    attachments,
    ingress_ports,
    subnets_around,
    switch_name,
)

T = TypeVar("T")

ANSWERED_BY = {Resource.PORT: "vip", **TASKS}
"""Resource → kind of the task whose answer is outdated when the resource changes."""


ALL_PROJECTS = "*"


@dataclass(frozen=True, slots=True)
class Known:
    """A load balancer with all that is known about its network, members and ports.

    :param lb: the intent, completed by what its rows lacked
    :param dependencies: what it depends on, for :class:`octavia_ovn.controller.dependencies.Index`
    :param failed: objects that cannot become what was asked for
    :param operations: what must be written besides its own rows
    :param member_fips: floating IPs of members: id, and whether it is distributed
    :param obstacles: member id → why it gets nothing, as a sentence that begins with its name
    :param excess: why its security groups cannot be enforced, so that no client is let in
    """

    lb: model.LoadBalancer
    facts: Facts
    dependencies: frozenset[Dependency]
    failed: frozenset[tuple[Kind, str]] = frozenset()
    operations: tuple[Operation, ...] = ()
    member_fips: frozenset[tuple[str, bool]] = frozenset()
    obstacles: Mapping[str, str] = field(default_factory=dict)
    probes: Probes = field(default_factory=Probes)
    excess: str | None = None


@dataclass(frozen=True, slots=True)
class _Environment:
    """What surrounds a load balancer, as far as it is known.

    :param doors: names of ports where clients enter; not all may exist
    :param admitted: None while it is not known
    :param dependencies: what is not known depends on them, too
    """

    places: Attachments
    member_fips: frozenset[tuple[str, bool]]
    doors: frozenset[str]
    admitted: Admitted | None
    dependencies: frozenset[Dependency]


class FactFinder:
    """Finds facts.

    :param recorded: the projects whose connections chassis record
    :param wall: seconds since 1970: deadlines must mean the same to all agents
    """

    def __init__(  # noqa: PLR0913 - facts of all kinds meet here
        self,
        nb: Northbound,
        health: MemberHealth,
        neutron: Neutron,
        effects: Effects,
        admission: Admission,
        limits: ConnectionLimits,
        recorded: Collection[str] = (),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._nb = nb
        self._admission = admission
        self._health = health
        self._neutron = neutron
        self._effects = effects
        self._limits = limits
        self._recorded = frozenset(recorded)
        self._guard = VipGuard(nb, neutron, effects)

    def find(self, decoded: codec.Decoded, rows: tuple[Row, ...]) -> Known:
        """Return what is known about a load balancer.

        :raises Missing: when something is not known yet
        """
        lb = self._complete(decoded.lb)
        guarded = self._guard.guard(lb)
        lb, subnets = self._placed(_with_vips(lb, guarded.vips))
        found = self._environment(lb, subnets, rows)
        try:
            checks = self._health.find(lb, subnets, rows, decoded.member_status)
            operations = (
                *dict.fromkeys(checks.operations),
                *self._port_operations(lb),
                *self._answer_operations(lb, subnets, guarded.lost),
            )
            doors, admitted = self._existing(found.doors), _known(found.admitted)
        except Missing as missing:
            raise Missing(found.dependencies, missing.operations) from None
        floating_ips = self._floating_ips(lb)
        excess = vip_groups.excess(lb, addresses_of(lb, floating_ips), admitted)
        lost = guarded.lost or {vip.address: excess for vip in lb.vips if excess}
        decision = self._limits.decide(lb, rows)
        self._effects.later(self._limits.follow, decision)
        facts = Facts(
            attachments=found.places,
            floating_ips=floating_ips,
            mappings=checks.mappings,
            health=checks.health,
            ipv6_fields=self._nb.ipv6_fields,
            unchecked=frozenset(monitor_id for _, monitor_id in checks.failed),
            targets=tuple(checks.targets.values()),
            ingress_ports=doors,
            lost=lost or (None if codec.read_lost_vips(rows) is None else {}),
            foreign=frozenset(guarded.lost),
            admitted=admitted,
            now=self._wall(),
            samples_drops=self._nb.samples_drops(),
            closed=decision.closed,
            recorded=not self._recorded.isdisjoint({ALL_PROJECTS, lb.project_id}),
        )
        return Known(
            lb,
            facts,
            found.dependencies,
            failed=frozenset(checks.failed),
            operations=operations,
            member_fips=found.member_fips,
            obstacles=checks.obstacles,
            probes=checks.probes,
            excess=excess,
        )

    def _environment(
        self, lb: model.LoadBalancer, subnets: Mapping[str, Subnet], rows: tuple[Row, ...]
    ) -> _Environment:
        router = next((row.external_ids.get(codec.ROUTER_REF) for row in rows), None)
        places = attachments(lb, self._nb, subnets, router)
        member_fips = frozenset(self._member_fips(lb, places))
        doors = ingress_ports(lb, places, self._nb) if access_control.has_rules(lb) else frozenset()
        admitted, groups = self._admission.find(lb)
        dependencies = (
            frozenset(self._dependencies(lb, subnets, places, rows))
            | {Dependency(Resource.MEMBER_FIP, fip_id) for fip_id, _ in member_fips}
            | {Dependency(Resource.PORT, name) for name in doors}
            | groups
        )
        return _Environment(places, member_fips, doors, admitted, dependencies)

    def _placed(self, lb: model.LoadBalancer) -> tuple[model.LoadBalancer, dict[str, Subnet]]:
        """Find the subnets of VIPs and members; return them with what they say of both."""
        subnets = self._subnets(lb)
        lb = _with_vips(lb, tuple(_with_cidr(vip, subnets) for vip in lb.vips))
        if all(member.subnet_id is not None for _, member in lb.members()):
            return lb, subnets
        lb = place_members(lb, None, functools.partial(subnets_around, topology=self._nb))
        return lb, self._subnets(lb)

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

    def used(self, lb: model.LoadBalancer, rows: tuple[Row, ...]) -> frozenset[Dependency]:
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
            Dependency(kind, member.subnet_id)
            for pool, member in lb.members()
            for kind in self._health.sources(pool, rows)
            if member.subnet_id
        )
        return frozenset((*fips, *sources))

    def _dependencies(
        self,
        lb: model.LoadBalancer,
        subnets: Mapping[str, Subnet],
        places: Attachments,
        rows: tuple[Row, ...],
    ) -> Iterator[Dependency]:
        yield from _dependencies(lb, places)
        for pool in lb.pools:
            yield from _pool_dependencies(pool, subnets, tuple(self._health.sources(pool, rows)))

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


def _known(value: T | None) -> T:
    if value is None:
        raise Missing
    return value


def _with_vips(lb: model.LoadBalancer, vips: tuple[model.Vip, ...]) -> model.LoadBalancer:
    return lb if vips == lb.vips else replace(lb, vips=vips)


def _with_cidr(vip: model.Vip, subnets: Mapping[str, Subnet]) -> model.Vip:
    subnet = subnets.get(vip.subnet_id or "")
    if subnet is None or vip.cidr:
        return vip
    return replace(vip, cidr=subnet.cidr, network_id=vip.network_id or subnet.network_id)


def _dependencies(lb: model.LoadBalancer, places: Attachments) -> Iterator[Dependency]:
    """Yield what the rows of a load balancer depend on, besides its pools."""
    for vip in lb.vips:
        if vip.port_id:
            yield Dependency(Resource.PORT, vip.port_id)
        if vip.network_id:
            yield Dependency(Resource.SWITCH, switch_name(vip.network_id))
    yield from (Dependency(Resource.SWITCH, switch) for switch in places.switches)
    yield from (Dependency(Resource.ROUTER, router) for router in places.routers)


def _pool_dependencies(
    pool: model.Pool, subnets: Mapping[str, Subnet], sources: Collection[Resource]
) -> Iterator[Dependency]:
    for subnet_id in {member.subnet_id or "" for member in pool.members} & subnets.keys():
        yield Dependency(Resource.SWITCH, switch_name(subnets[subnet_id].network_id))
        yield from (Dependency(kind, subnet_id) for kind in sources)
    for member in pool.members:
        if pool.monitored:
            yield Dependency(Resource.BACKEND, member.address)
            if member.monitor_address:
                yield Dependency(Resource.BACKEND, member.monitor_address)
        yield Dependency(Resource.MEMBER, member.address)
