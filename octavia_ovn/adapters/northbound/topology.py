# SPDX-License-Identifier: Apache-2.0
"""Networks, routers and floating IPs of the Northbound database, maintained from its events.

Lookups take constant time: nothing here is searched.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from octavia_ovn.core.codec import neutron
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.multimap import Indexed
from octavia_ovn.core.topology import FloatingIp, RouterPort, Subnet

_SWITCH, _ROUTER = Resource.SWITCH, Resource.ROUTER
_PORT, _MEMBER = Resource.PORT, Resource.MEMBER
_Table = tuple[Indexed[Any, Any], Callable[[Any], Any], Callable[[Any], list[tuple[Any, str]]]]
"""What is kept of the rows of a table, how a row is read, and what depends on it."""
_REMEMBERED = 10_000  # subnets without an interface; unknown ones are read from Neutron


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
        self._switches: Indexed[str, _Switch] = Indexed(lambda switch: (switch.name,))
        self._routers: Indexed[str, str] = Indexed(lambda name: (name,))
        self._ports: Indexed[tuple[str, str], RouterPort] = Indexed(_port_keys)
        self._fips: Indexed[tuple[str, str], FloatingIp] = Indexed(_fip_keys)
        self._subnets: dict[str, Subnet] = {}
        self._tables: Mapping[str, _Table] = {
            "Logical_Switch": (self._switches, _switch, lambda switch: [(_SWITCH, switch.name)]),
            "Logical_Router": (self._routers, lambda row: row.name, lambda name: [(_ROUTER, name)]),
            "Logical_Router_Port": (self._ports, _router_port, lambda port: _port_keys(port)[:2]),
            "NAT": (self._fips, _floating_ip, _fip_keys),
        }

    # --- events

    def update(self, table: str, uuid: str, row: Any | None) -> None:
        """Process an event: the row as it is now, or None when it was deleted."""
        if table not in self._tables:
            return
        index, read, dependencies = self._tables[table]
        value = None if row is None else read(row)
        changed = index.put(uuid, value)
        if isinstance(value, RouterPort):
            self._keep(value.subnets)
        for each in changed:
            for dependency in dependencies(each):
                self._changed(Dependency(*dependency))

    def _keep(self, subnets: Iterable[Subnet]) -> None:
        """Keep subnets, which never change, for some time also after their interface is deleted."""
        self._subnets.update({subnet.id: subnet for subnet in subnets})
        ports = self._ports.values()
        if len(self._subnets) > len(ports) + _REMEMBERED:
            self._subnets = {subnet.id: subnet for port in ports for subnet in port.subnets}

    # --- answers

    def has_switch(self, switch: str) -> bool:
        """Whether the Logical_Switch exists."""
        return switch in self._switches

    def has_router(self, router: str) -> bool:
        """Whether the Logical_Router exists."""
        return router in self._routers

    def is_provider(self, switch: str) -> bool:
        """Whether the switch is that of a provider network."""
        return any(each.provider for each in self._switches.of(switch))

    def ports_on_switch(self, switch: str) -> Iterable[RouterPort]:
        """The router interfaces on a switch."""
        return self._ports.of((_SWITCH, switch))

    def ports_of_router(self, router: str) -> Iterable[RouterPort]:
        """The interfaces of a router."""
        return self._ports.of((_ROUTER, router))

    def has_router_address(self, switch: str, address: str) -> bool:
        """Whether a router has an address on a switch."""
        return (switch, address) in self._ports

    def floating_ip(self, port_id: str, address: str) -> str | None:
        """The floating IP of an address of a Neutron port."""
        found = self._fips.of((_PORT, port_id))
        return next((each.address for each in found if each.logical_ip == address), None)

    def member_floating_ips(self, address: str) -> Iterable[FloatingIp]:
        """Return the floating IPs of ports that have an address, in any network."""
        return self._fips.of((_MEMBER, address))

    def subnet(self, subnet_id: str) -> Subnet | None:
        """Return a subnet in which a router has, or has had, an interface."""
        return self._subnets.get(subnet_id)


def _port_keys(port: RouterPort) -> list[tuple[str, str]]:
    """Return what depends on an interface, and its addresses on the switch."""
    addresses = (str(ipaddress.ip_interface(each).ip) for each in port.networks)
    places = ((port.switch, address) for address in addresses)
    return [(_SWITCH, port.switch), (_ROUTER, port.router), *places]


def _fip_keys(fip: FloatingIp) -> list[tuple[str, str]]:
    return [(_PORT, fip.port_id), (_MEMBER, fip.logical_ip)]


def _switch(row: Any) -> _Switch:
    return _Switch(row.name, neutron.PHYSICAL_NETWORK in row.external_ids)


def _router_port(row: Any) -> RouterPort | None:
    return neutron.router_port(row.name, row.networks, row.external_ids)


def _floating_ip(row: Any) -> FloatingIp | None:
    return neutron.floating_ip(*(getattr(row, each) for each in neutron.NAT_COLUMNS))
