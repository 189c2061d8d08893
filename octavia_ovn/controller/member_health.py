# SPDX-License-Identifier: Apache-2.0
"""How monitored members are checked, by OVN or by the chassis where they are, and what was found.

A pool that OVN checks, when chassis are to do that, stays with OVN until each member that can be
probed has a result of a chassis. So nothing changes for clients when this is switched on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from octavia_ovn.controller import reachability
from octavia_ovn.controller.check_sources import NoSource, Sources
from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.probing import Probing
from octavia_ovn.controller.protocols import Neutron, Northbound, Southbound, SwitchPorts
from octavia_ovn.controller.recorded import Recorded
from octavia_ovn.core import codec, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.health import Backend, Health, HealthState, Source, SwitchPort
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.probing import plan
from octavia_ovn.core.probing.plan import Probes, Target
from octavia_ovn.core.rows import Operation, Row
from octavia_ovn.core.topology import Subnet, switch_name

_BEFORE = {"ONLINE": HealthState.UP, "ERROR": HealthState.DOWN}
"""The result of a check that led to an operating status in Octavia."""
_BEFORE_PROBED = {**_BEFORE, "NO_MONITOR": HealthState.UNCHECKED}
"""The same where the chassis check, which may have been silent."""

_WEIGHED = (HealthState.UP, HealthState.UNCHECKED)
"""Members whose last answer may say their weight still."""
_TO_ANYONE = (MonitorType.TCP, MonitorType.UDP_CONNECT, MonitorType.PING)
"""Checks that say nothing to a machine but that they are there."""


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
class _Checked:
    """A monitored member and where it stands."""

    lb: model.LoadBalancer
    pool: model.Pool
    member: model.Member
    subnet: Subnet
    rows: tuple[Row, ...]


@dataclass(slots=True)
class Checks:
    """Collects the health of monitored members.

    :param targets: member id → how it is probed
    :param before: how members that are probed counted before this agent became the leader
    :param serving: members that receive connections now
    :param first: members that serve until the first result of their check
    :param weights: member id → weight that the member itself has said
    """

    mappings: dict[str, str] = field(default_factory=dict)
    backends: dict[Backend, HealthState] = field(default_factory=dict)
    members: dict[str, HealthState] = field(default_factory=dict)
    probed: set[str] = field(default_factory=set)
    obstacles: dict[str, str] = field(default_factory=dict)
    failed: set[tuple[Kind, str]] = field(default_factory=set)
    operations: list[Operation] = field(default_factory=list)
    targets: dict[str, Target] = field(default_factory=dict)
    before: dict[str, HealthState] = field(default_factory=dict)
    serving: set[str] = field(default_factory=set)
    first: set[str] = field(default_factory=set)
    weights: dict[str, int] = field(default_factory=dict)

    @property
    def health(self) -> Health:
        """What rows and statuses follow from."""
        return Health(
            self.backends,
            self.members,
            frozenset(self.probed),
            frozenset(self.first),
            self.weights,
        )

    @property
    def probes(self) -> Probes:
        """What chassis are to probe."""
        first = frozenset(self.first)
        return Probes(self.targets, self.before, frozenset(self.serving), first, self.weights)

    def fail(self, pool: model.Pool) -> None:
        """Take note that the checks of a pool cannot be made."""
        if pool.monitor:
            self.failed.add((Kind.HEALTH_MONITOR, pool.monitor.id))


class MemberHealth:
    """Finds the health of members."""

    def __init__(
        self, nb: Northbound, sb: Southbound, neutron: Neutron, effects: Effects, probing: Probing
    ) -> None:
        self._nb = nb
        self._sb = sb
        self._sources = Sources(neutron, effects)
        self._probing = probing

    def find(
        self,
        lb: model.LoadBalancer,
        subnets: Mapping[str, Subnet],
        rows: tuple[Row, ...],
        shown: Mapping[str, str],
    ) -> Checks:
        """Return what is known of a load balancer's members.

        :param shown: member id → operating status in Octavia
        :raises Missing: when something is not known yet
        """
        checks = Checks()
        recorded: Recorded | None = None
        for pool in lb.pools:
            checked = tuple(self._reachable(lb, pool, subnets, rows, checks))
            if self._probing.enabled and pool.monitored:
                recorded = recorded or Recorded.of(rows, shown)
                self._probe(pool, checked, recorded, checks)
            if pool.id not in checks.probed:
                self._check(pool, checked, shown, checks)
        return checks

    def sources(self, pool: model.Pool, rows: Iterable[Row]) -> Iterator[Resource]:
        """Yield for which checks a pool needs a source in the subnets of its members."""
        if pool.monitored and self._probing.enabled:
            yield Resource.PROBED
        if pool.monitored and (not self._probing.enabled or _is_checked_by_ovn(pool, rows)):
            yield Resource.MONITORED

    def _reachable(
        self,
        lb: model.LoadBalancer,
        pool: model.Pool,
        subnets: Mapping[str, Subnet],
        rows: tuple[Row, ...],
        checks: Checks,
    ) -> Iterator[_Checked]:
        """Yield the monitored members that may be reached; take note of why others cannot."""
        for member in pool.members:
            subnet = subnets.get(member.subnet_id or "")
            why = reachability.obstacle(self._nb, pool, member, subnet, self._probing.located)
            if why is None:
                raise Missing
            if why:
                checks.members[member.id] = HealthState.UNREACHABLE
                checks.obstacles[member.id] = why
            elif pool.monitored and subnet is not None:
                yield _Checked(lb, pool, member, subnet, rows)

    # --- by chassis

    def _probe(
        self,
        pool: model.Pool,
        checked: Iterable[_Checked],
        recorded: Recorded,
        checks: Checks,
    ) -> None:
        """Have the members of a pool probed, and use what was found if all is known."""
        checked = tuple(
            each for each in checked if each.member.enabled and self._is_somewhere(each, checks)
        )
        waits = bool(checked) and _is_checked_by_ovn(pool, checked[0].rows)
        targets = {}
        for each in checked:
            try:
                target = self._target(each)
            except NoSource as missing:
                if waits:
                    return
                if not missing.lasting:
                    raise Missing from None
                target = None
                checks.fail(pool)
            if target is not None:
                targets[each.member.id] = target
        checks.targets.update(targets)
        shown = recorded.statuses
        checks.before.update({each: _before(shown[each]) for each in targets if each in shown})
        if waits and not all(map(self._probing.registry.has_result, targets)):
            return
        checks.probed.add(pool.id)
        for each in checked:
            self._take(each, targets, recorded, checks)

    def _is_somewhere(self, checked: _Checked, checks: Checks) -> bool:
        """Whether a chassis can check a member; else its last result would stay."""
        port, member = self._probed_port(checked), checked.member
        if port is None or port.up or port.virtual or self._probing.located(port.name):
            return True
        checks.members[member.id] = HealthState.UNREACHABLE
        checks.obstacles[member.id] = (
            f"gets no connections while port {port.name}, where it is checked, is on no hypervisor"
        )
        return False

    def _probed_port(self, checked: _Checked) -> SwitchPort | None:
        """Return the port where a member is probed: that of its monitor_address, if it has one."""
        member, ports = checked.member, self._ports(checked.subnet)
        monitored = ports.at(member.monitor_address) if member.monitor_address else None
        return monitored or ports.at(member.address)

    def _take(
        self,
        checked: _Checked,
        targets: Mapping[str, Target],
        recorded: Recorded,
        checks: Checks,
    ) -> None:
        """Take over what chassis have found out about a member."""
        lb, member, registry = checked.lb, checked.member, self._probing.registry
        if member.id not in targets:
            checks.members[member.id] = HealthState.UNCHECKED
            return
        new = registry.target(member.id) is None
        before = _before(recorded.statuses.get(member.id, ""))
        state = registry.state(lb.id, member.id, before)
        if new and recorded.begins(checked.pool, member, known=registry.knows(lb.id)):
            state = HealthState.UNCHECKED
            checks.first.add(member.id)
        elif registry.is_first(member.id):
            checks.first.add(member.id)
        if recorded.is_serving(member):
            checks.serving.add(member.id)
        checks.members[member.id] = state
        if state is HealthState.DOWN:
            reason = registry.reason(member.id)
            checks.obstacles[member.id] = f"fails its check: {reason or 'no answer'}"
        said = recorded.weights.get(member.id) if new else registry.weight(member.id)
        if targets[member.id].weighted and state in _WEIGHED and said is not None:
            checks.weights[member.id] = said

    def _target(self, checked: _Checked) -> Target | None:
        """Return how to probe a member; None when it cannot be.

        :raises NoSource: when there is no port to probe from
        """
        member, subnet = checked.member, checked.subnet
        port = self._probed_port(checked)
        if port is None or port.virtual or _is_forbidden(checked, port):
            return None
        try:
            source = self._sources.find_for_probes(checked.lb, subnet, self._ports(subnet))
        except NoSource:
            # Meanwhile it is probed as before.
            before = self._probing.registry.target(member.id)
            if before is None:
                raise
            return before
        if source is None:
            raise NoSource(lasting=True)
        probe = plan.probe(checked.pool, member, source)
        if probe is None:
            return None
        weighted = bool(checked.lb.flavor.endpoint_weights) and probe.type.sends_http
        return Target(port.name, probe, weighted, checked.lb.project_id or "")

    def _ports(self, subnet: Subnet) -> SwitchPorts:
        ports = self._nb.switch_ports(switch_name(subnet.network_id))
        if ports is None:
            raise Missing
        return ports

    # --- by OVN

    def _check(
        self,
        pool: model.Pool,
        checked: Iterable[_Checked],
        shown: Mapping[str, str],
        checks: Checks,
    ) -> None:
        if plan.needs_probes(pool) and pool.monitored:
            # What OVN would check says nothing about what was asked for.
            checks.members |= {each.member.id: HealthState.UNCHECKED for each in checked}
            checks.fail(pool)
            return
        for each in checked:
            self._check_member(each, checks)
            if not self._sb.ready:
                # What OVN says is not known now: it counts as it did before.
                before = _BEFORE.get(shown.get(each.member.id, ""), HealthState.UNKNOWN)
                checks.backends[_backend(pool, each.member)] = before

    def _check_member(self, checked: _Checked, checks: Checks) -> None:
        lb, pool, member, subnet = checked.lb, checked.pool, checked.member, checked.subnet
        ports = self._ports(subnet)
        port = ports.at(member.address)
        try:
            source = self._sources.find(lb, subnet, ports, port.project if port else "")
        except NoSource as missing:
            # During a call to Neutron, checks come from the same port as before.
            source = _mapped(checked.rows, member.address)
            if source is None and not missing.lasting:
                raise Missing(operations=missing.operations) from None
            checks.operations.extend(missing.operations)
        if source is None:
            checks.members[member.id] = HealthState.UNCHECKED
            checks.fail(pool)
            return
        name = source.port
        if port is None or port.virtual:
            checks.members[member.id] = HealthState.UNCHECKED
        else:
            name = port.name
            state = self._sb.health_state(name, member.address, member.port, pool.protocol.value)
            checks.backends[_backend(pool, member)] = state
        checks.mappings[member.address] = f"{name}:{codec.bracketed(source.address)}"


def _is_forbidden(checked: _Checked, port: SwitchPort) -> bool:
    """Whether probes would say more than OVN's checks to a machine of another project.

    On a shared network a tenant can name its address, and probes pass its security groups.
    """
    monitor, project = checked.pool.monitor, checked.lb.project_id
    foreign = project is not None and port.project != project
    return foreign and monitor is not None and monitor.type not in _TO_ANYONE


def _before(status: str) -> HealthState:
    return _BEFORE_PROBED.get(status, HealthState.UNKNOWN)


def _is_checked_by_ovn(pool: model.Pool, rows: Iterable[Row]) -> bool:
    """Whether there are checks of OVN for a pool that it can check."""
    return not plan.needs_probes(pool) and any(
        check.external_ids.get(k.CHECK_POOL, pool.id) == pool.id
        for row in rows
        for check in row.health_checks
    )


def _backend(pool: model.Pool, member: model.Member) -> Backend:
    return (member.address, member.port, pool.protocol.value)


def _mapped(rows: tuple[Row, ...], address: str) -> Source | None:
    """Return from where a member is being checked.

    Its port is that of the member, unless the member itself has none.
    """
    key = codec.bracketed(address)
    found = (row.ip_port_mappings[key] for row in rows if key in row.ip_port_mappings)
    mapping = next(found, "")
    source = codec.mapping_source(mapping)
    return Source(mapping.partition(":")[0], source) if source else None
