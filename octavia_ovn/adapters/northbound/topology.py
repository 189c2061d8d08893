# SPDX-License-Identifier: Apache-2.0
"""Networks, routers and floating IPs of the Northbound database, maintained from its events.

Lookups take constant time: nothing here is searched.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from octavia_ovn.core.codec import neutron
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.multimap import MultiMap
from octavia_ovn.core.topology import RouterPort, Subnet

_REMEMBERED = 10_000  # subnets without an interface; unknown ones are read from Neutron


@dataclass(frozen=True, slots=True)
class _Nat:
    port_id: str
    logical_ip: str
    external_ip: str
    id: str
    router: str
    distributed: bool


@dataclass(frozen=True, slots=True)
class _Switch:
    name: str
    provider: bool


class NorthboundTopology:
    """Implements :class:`octavia_ovn.core.topology.Topology`.

    :param changed: called with a dependency when it has changed
    """

    def __init__(self, changed: Callable[[Dependency], None]) -> None:
        self._changed = changed
        self._switches: dict[str, _Switch] = {}
        self._switches_by_name: MultiMap[str, str] = MultiMap()
        self._routers: dict[str, str] = {}
        self._routers_by_name: MultiMap[str, str] = MultiMap()
        self._ports: dict[str, RouterPort] = {}
        self._by_switch: MultiMap[str, str] = MultiMap()
        self._by_router: MultiMap[str, str] = MultiMap()
        self._by_address: MultiMap[tuple[str, str], str] = MultiMap()
        self._subnets: dict[str, Subnet] = {}
        self._nats: dict[str, _Nat] = {}
        self._nats_by_address: MultiMap[str, str] = MultiMap()
        self._fips: MultiMap[tuple[str, str], str] = MultiMap()
        self._handlers: dict[str, Callable[[str, Any], None]] = {
            "Logical_Switch": self._switch,
            "Logical_Router": self._router,
            "Logical_Router_Port": self._router_port,
            "NAT": self._nat,
        }

    # --- events

    def update(self, table: str, uuid: str, row: Any | None) -> None:
        """Process an event: the row as it is now, or None when it was deleted."""
        handler = self._handlers.get(table)
        if handler is not None:
            handler(uuid, row)

    def _switch(self, uuid: str, row: Any | None) -> None:
        before = self._switches.pop(uuid, None)
        if before is not None:
            self._switches_by_name.discard(before.name, uuid)
        after = (
            None if row is None else _Switch(row.name, neutron.PHYSICAL_NETWORK in row.external_ids)
        )
        if after is not None:
            self._switches[uuid] = after
            self._switches_by_name.add(after.name, uuid)
        if before != after:
            for switch in filter(None, (before, after)):
                self._changed(Dependency(Resource.SWITCH, switch.name))

    def _router(self, uuid: str, row: Any | None) -> None:
        before = self._routers.pop(uuid, None)
        if before is not None:
            self._routers_by_name.discard(before, uuid)
        after = None if row is None else row.name
        if after is not None:
            self._routers[uuid] = after
            self._routers_by_name.add(after, uuid)
        if before != after:
            for name in filter(None, (before, after)):
                self._changed(Dependency(Resource.ROUTER, name))

    def _router_port(self, uuid: str, row: Any | None) -> None:
        before = self._ports.pop(uuid, None)
        if before is not None:
            self._by_switch.discard(before.switch, uuid)
            self._by_router.discard(before.router, uuid)
            for address in _addresses(before):
                self._by_address.discard((before.switch, address), uuid)
        after = (
            None if row is None else neutron.router_port(row.name, row.networks, row.external_ids)
        )
        if after is not None:
            self._ports[uuid] = after
            self._by_switch.add(after.switch, uuid)
            self._by_router.add(after.router, uuid)
            for address in _addresses(after):
                self._by_address.add((after.switch, address), uuid)
            self._keep(after.subnets)
        if before != after:
            for port in filter(None, (before, after)):
                self._changed(Dependency(Resource.SWITCH, port.switch))
                self._changed(Dependency(Resource.ROUTER, port.router))

    def _keep(self, subnets: Iterable[Subnet]) -> None:
        """Keep subnets, which never change, for some time also after their interface is deleted."""
        self._subnets.update({subnet.id: subnet for subnet in subnets})
        if len(self._subnets) > len(self._ports) + _REMEMBERED:
            present = (subnet for port in self._ports.values() for subnet in port.subnets)
            self._subnets = {subnet.id: subnet for subnet in present}

    def _nat(self, uuid: str, row: Any | None) -> None:
        before = self._nats.pop(uuid, None)
        if before is not None:
            self._fips.discard((before.port_id, before.logical_ip), uuid)
            self._nats_by_address.discard(before.logical_ip, uuid)
        after = None if row is None else _nat(row)
        if after is not None:
            self._nats[uuid] = after
            self._fips.add((after.port_id, after.logical_ip), uuid)
            self._nats_by_address.add(after.logical_ip, uuid)
        if before != after:
            for nat in filter(None, (before, after)):
                self._changed(Dependency(Resource.PORT, nat.port_id))
                self._changed(Dependency(Resource.MEMBER, nat.logical_ip))

    # --- answers

    def has_switch(self, switch: str) -> bool:
        """Whether the Logical_Switch exists."""
        return switch in self._switches_by_name

    def has_router(self, router: str) -> bool:
        """Whether the Logical_Router exists."""
        return router in self._routers_by_name

    def is_provider(self, switch: str) -> bool:
        """Whether the switch is that of a provider network."""
        return any(self._switches[uuid].provider for uuid in self._switches_by_name.of(switch))

    def ports_on_switch(self, switch: str) -> Iterable[RouterPort]:
        """The router interfaces on a switch."""
        return [self._ports[uuid] for uuid in self._by_switch.of(switch)]

    def ports_of_router(self, router: str) -> Iterable[RouterPort]:
        """The interfaces of a router."""
        return [self._ports[uuid] for uuid in self._by_router.of(router)]

    def has_router_address(self, switch: str, address: str) -> bool:
        """Whether a router has an address on a switch."""
        return (switch, address) in self._by_address

    def floating_ip(self, port_id: str, address: str) -> str | None:
        """The floating IP of an address of a Neutron port."""
        found = self._fips.first((port_id, address))
        return None if found is None else self._nats[found].external_ip

    def member_floating_ips(self, address: str) -> Iterable[_Nat]:
        """Return the floating IPs of ports that have an address, in any network."""
        return [self._nats[uuid] for uuid in self._nats_by_address.of(address)]

    def subnet(self, subnet_id: str) -> Subnet | None:
        """Return a subnet in which a router has, or has had, an interface."""
        return self._subnets.get(subnet_id)


def _addresses(port: RouterPort) -> Iterable[str]:
    return [str(ipaddress.ip_interface(each).ip) for each in port.networks]


def _nat(row: Any) -> _Nat | None:
    port_id = row.external_ids.get(neutron.FIP_PORT)
    if row.type != neutron.FLOATING_IP or not port_id:
        return None
    return _Nat(
        port_id,
        row.logical_ip,
        row.external_ip,
        neutron.floating_ip_id(row.external_ids),
        neutron.nat_router(row.external_ids),
        bool(row.external_mac),
    )
