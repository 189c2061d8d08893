# SPDX-License-Identifier: Apache-2.0
"""The switch ports that the agent replicates: those of some switches, and single ones by name.

A replica of all of them would grow with the cloud.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from octavia_ovn.adapters.northbound.responders import CONDITION
from octavia_ovn.adapters.ovsdb.idl import contents
from octavia_ovn.adapters.ovsdb.replica import Replica
from octavia_ovn.adapters.ovsdb.wanted_rows import WantedRows
from octavia_ovn.core.codec import neutron
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.health import Source, SwitchPort
from octavia_ovn.core.multimap import MultiMap

if TYPE_CHECKING:
    import ovs.poller

TABLE = "Logical_Switch_Port"
COLUMNS = ("name", "addresses", "external_ids", "type", "up")
_VIRTUAL = "virtual"
CONDITIONS = [CONDITION, ["external_ids", "includes", ["map", [[neutron.DEVICE_OWNER, ""]]]]]
"""The ports that are always replicated: of responders, and without an owner, as VIP ports are.
There are few others: Neutron sets an owner once a machine or a service uses a port."""


class SwitchPorts:
    """The ports of one switch, by address and by name."""

    def __init__(self) -> None:
        self._ports: dict[UUID, SwitchPort] = {}
        self._by_address: MultiMap[str, UUID] = MultiMap()
        self._sources: MultiMap[str, UUID] = MultiMap()
        """Subnet → health monitor ports; there may be two for a while."""
        self._probe_sources: MultiMap[str, UUID] = MultiMap()

    def __len__(self) -> int:
        return len(self._ports)

    def put(self, uuid: UUID, port: SwitchPort) -> frozenset[Dependency]:
        """Add or replace a port; return the dependencies that have changed."""
        if self._ports.get(uuid) == port:
            return frozenset()
        gone = self.remove(uuid)
        self._ports[uuid] = port
        if port.source_of:
            self._sources.add(port.source_of, uuid)
        elif port.probe_source_of:
            self._probe_sources.add(port.probe_source_of, uuid)
        else:
            for address in port.addresses:
                self._by_address.add(address, uuid)
        return gone.union(port.dependencies())

    def remove(self, uuid: UUID) -> frozenset[Dependency]:
        """Remove a port; return the dependencies that have changed."""
        port = self._ports.pop(uuid, None)
        if port is None:
            return frozenset()
        if port.source_of:
            self._sources.discard(port.source_of, uuid)
        if port.probe_source_of:
            self._probe_sources.discard(port.probe_source_of, uuid)
        for address in port.addresses:
            self._by_address.discard(address, uuid)
        return frozenset(port.dependencies())

    def at(self, address: str) -> SwitchPort | None:
        """Return the port that has an address."""
        found = self._by_address.first(address)
        return None if found is None else self._ports[found]

    def monitor_source(self, subnet_id: str, projects: Sequence[str]) -> Source | None:
        """Return the health monitor port of a subnet.

        :param projects: those that it may belong to, in the order of preference: on a shared
            network any tenant can make a port that looks like one
        """
        ports = [self._ports[uuid] for uuid in self._sources.of(subnet_id)]
        trusted = (port for port in ports if port.project in projects)
        found = min(
            trusted, key=lambda port: (projects.index(port.project), port.name), default=None
        )
        return None if found is None else Source(found.name, found.addresses[0], found.answers)

    def probe_source(self, subnet_id: str, project: str) -> SwitchPort | None:
        """Return the port that chassis probe members of a subnet from, if it is complete.

        :param project: that of the service
        """
        ports = (self._ports[uuid] for uuid in self._probe_sources.of(subnet_id))
        ours = (port for port in ports if port.project == project and port.mac)
        return min(ours, key=lambda port: port.name, default=None)


class FollowedPorts:
    """The ports that callers have requested, in a replica that has others as well.

    :param replica: has :data:`TABLE` with :data:`COLUMNS`, and of it what :data:`CONDITIONS` select
    :param changed: called with a dependency when it has changed, or is known now
    """

    def __init__(self, replica: Replica, changed: Callable[[Dependency], None]) -> None:
        self._replica = replica
        self._changed = changed
        self._switches: dict[str, SwitchPorts] = {}
        """All that are in the replica, by switch, also of switches that were not requested."""
        self._switch_of: dict[UUID, str] = {}
        self._wanted = WantedRows(TABLE, _condition, CONDITIONS)
        replica.index_create(TABLE, "name")

    # --- events

    def update(self, row: Any, *, gone: bool) -> None:
        """Process an event of a row.

        :param gone: whether it was deleted
        """
        dependencies = self._remove(row.uuid) if gone else self._put(row.uuid, row)
        for dependency in sorted(dependencies | {Dependency(Resource.PORT, row.name)}):
            self._changed(dependency)

    def _put(self, uuid: UUID, row: Any) -> frozenset[Dependency]:
        external_ids = contents(row, "external_ids")
        switch = external_ids.get(neutron.NETWORK)
        if switch is None:
            return frozenset()
        self._switch_of[uuid] = switch
        ports = self._switches.setdefault(switch, SwitchPorts())
        return ports.put(uuid, switch_port(row))

    def _remove(self, uuid: UUID) -> frozenset[Dependency]:
        switch = self._switch_of.pop(uuid, None)
        if switch is None:
            return frozenset()
        dependencies = self._switches[switch].remove(uuid)
        if not self._switches[switch]:
            del self._switches[switch]
        return dependencies

    def run(self) -> None:
        """Run the replica; report the requested ports that are known now."""
        for dependency in self._wanted.run(self._replica):
            self._changed(dependency)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        self._wanted.wait(self._replica, poller)

    # --- answers

    def of_switch(self, switch: str) -> SwitchPorts | None:
        """Return the ports of a switch; None while they are being fetched."""
        return (
            self.known_of(switch)
            if self._wanted.known([Dependency(Resource.SWITCH, switch)])
            else None
        )

    def known_of(self, switch: str) -> SwitchPorts:
        """Return the ports of a switch that are in the replica."""
        return self._switches.get(switch) or SwitchPorts()

    def known(self, name: str) -> list[Any]:
        """Return the rows of a port that are in the replica; does not fetch any."""
        return list(self._replica.find(TABLE, "name", name))

    def named(self, name: str) -> list[Any] | None:
        """Return the rows of a port, one or none; None while they are being fetched."""
        return (
            self._replica.find(TABLE, "name", name)
            if self._wanted.known([Dependency(Resource.PORT, name)])
            else None
        )

    def forget_switch(self, switch: str) -> None:
        """Stop following the ports of a switch; those requested by name stay."""
        self._wanted.forget(Dependency(Resource.SWITCH, switch))

    def forget_port(self, name: str) -> None:
        """Stop following a port, unless its switch is followed."""
        self._wanted.forget(Dependency(Resource.PORT, name))


def _condition(dependency: Dependency) -> list[object]:
    kind, name = dependency
    if kind == Resource.PORT:
        return ["name", "==", name]
    return ["external_ids", "includes", ["map", [[neutron.NETWORK, name]]]]


def addresses(row: Any) -> tuple[str, ...]:
    """Return the addresses that Neutron has given the port of a row."""
    return neutron.port_addresses(contents(row, "external_ids"))


def switch_port(row: Any) -> SwitchPort:
    """Return what a row of :data:`TABLE` says; without a value in `up`, the port is down."""
    external_ids = contents(row, "external_ids")
    found = neutron.port_addresses(external_ids)
    known = contents(row, "addresses")
    probe_source_of = neutron.probed_subnet(external_ids) if found else None
    return SwitchPort(
        name=row.name,
        addresses=found,
        source_of=neutron.monitored_subnet(external_ids) if found else None,
        answers=bool(known),
        project=neutron.port_project(external_ids),
        up=True in contents(row, "up"),
        virtual=row.type == _VIRTUAL,
        probe_source_of=probe_source_of,
        mac=neutron.port_mac(known) if probe_source_of else "",
    )
