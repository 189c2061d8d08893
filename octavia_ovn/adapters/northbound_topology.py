"""Networks, routers and floating IPs as the Northbound database shows them, kept by its events.

Lookups cost the same in any cloud: nothing here is searched.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from octavia_ovn.core.grouping import Grouping
from octavia_ovn.core.health import HM_PORT
from octavia_ovn.core.topology import RouterPort, Subnet

PHYSICAL_NETWORK = "neutron:provnet-physical-network"
_NETWORK, _ROUTER = "neutron:network_name", "neutron:router_name"
_HM_OWNERS = ("ovn-lb-hm:distributed", "network:distributed")


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


@dataclass(frozen=True, slots=True)
class _SwitchPort:
    name: str
    addresses: tuple[str, ...]
    source_of: str | None
    """The subnet whose members are checked from it."""
    answers: bool


class SwitchPorts:
    """The ports of one switch, by address and by name."""

    def __init__(self) -> None:
        self._ports: dict[str, _SwitchPort] = {}
        self._by_address: Grouping[str, str] = Grouping()
        self._sources: Grouping[str, str] = Grouping()
        """Subnet → health monitor ports; there may be two for a while."""

    def put(
        self, uuid: str, name: str, external_ids: Mapping[str, str], *, answers: bool
    ) -> frozenset[str]:
        """Learn about a port; return the addresses about which something has changed.

        :param answers: whether OVN knows its addresses, and answers ARP for them
        """
        gone = self.remove(uuid)
        cidrs = external_ids.get("neutron:cidrs", "").split()
        addresses = tuple(each.partition("/")[0] for each in cidrs)
        subnet_id = monitored_subnet(external_ids) if addresses else None
        self._ports[uuid] = _SwitchPort(name, addresses, subnet_id, answers)
        if subnet_id:
            self._sources.add(subnet_id, uuid)
        else:
            for address in addresses:
                self._by_address.add(address, uuid)
        return gone | frozenset(addresses)

    def remove(self, uuid: str) -> frozenset[str]:
        """Forget a port; return its addresses."""
        port = self._ports.pop(uuid, None)
        if port is None:
            return frozenset()
        if port.source_of:
            self._sources.discard(port.source_of, uuid)
        for address in port.addresses:
            self._by_address.discard(address, uuid)
        return frozenset(port.addresses)

    def at(self, address: str) -> str | None:
        """Return the name of the port that has an address."""
        found = self._by_address.first(address)
        return None if found is None else self._ports[found].name

    def monitor_source(self, subnet_id: str) -> str | None:
        """Return the address of the health monitor port of a subnet."""
        source = self._source(subnet_id)
        return None if source is None else source.addresses[0]

    def monitor_ports(self, subnet_id: str) -> frozenset[str]:
        """Return the names of the health monitor ports of a subnet."""
        return frozenset(self._ports[uuid].name for uuid in self._sources.of(subnet_id))

    def answering(self, subnet_id: str) -> str | None:
        """Return the name of the health monitor port of a subnet if OVN answers ARP for it."""
        source = self._source(subnet_id)
        return source.name if source is not None and source.answers else None

    def _source(self, subnet_id: str) -> _SwitchPort | None:
        ports = (self._ports[uuid] for uuid in self._sources.of(subnet_id))
        return min(ports, key=lambda port: port.name, default=None)


class NorthboundTopology:
    """Implements :class:`octavia_ovn.core.topology.Topology`.

    :param changed: called with ("switch", name), ("router", name), ("port", id),
        ("backend", address), ("member", address) or ("monitored", subnet id) when something about
        it has changed
    """

    def __init__(self, changed: Callable[[Hashable], None]) -> None:
        self._changed = changed
        self._switches: dict[str, _Switch] = {}
        self._switches_by_name: Grouping[str, str] = Grouping()
        self._routers: dict[str, str] = {}
        self._routers_by_name: Grouping[str, str] = Grouping()
        self._ports: dict[str, RouterPort] = {}
        self._by_switch: Grouping[str, str] = Grouping()
        self._by_router: Grouping[str, str] = Grouping()
        self._subnets: dict[str, Subnet] = {}
        self._nats: dict[str, _Nat] = {}
        self._nats_by_address: Grouping[str, str] = Grouping()
        self._fips: Grouping[tuple[str, str], str] = Grouping()
        self.switch_ports_of: dict[str, SwitchPorts] = {}
        self._handlers: dict[str, Callable[[str, Any], None]] = {
            "Logical_Switch": self._switch,
            "Logical_Router": self._router,
            "Logical_Router_Port": self._router_port,
            "NAT": self._nat,
            "Logical_Switch_Port": self._switch_port,
        }

    # --- events

    def update(self, table: str, uuid: str, row: Any | None) -> None:
        """Learn that a row is there now, or gone (None)."""
        handler = self._handlers.get(table)
        if handler is not None:
            handler(uuid, row)

    def _switch(self, uuid: str, row: Any | None) -> None:
        before = self._switches.pop(uuid, None)
        if before is not None:
            self._switches_by_name.discard(before.name, uuid)
        after = None if row is None else _Switch(row.name, PHYSICAL_NETWORK in row.external_ids)
        if after is not None:
            self._switches[uuid] = after
            self._switches_by_name.add(after.name, uuid)
        if before != after:
            for switch in filter(None, (before, after)):
                self._changed(("switch", switch.name))

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
                self._changed(("router", name))

    def _router_port(self, uuid: str, row: Any | None) -> None:
        before = self._ports.pop(uuid, None)
        if before is not None:
            self._by_switch.discard(before.switch, uuid)
            self._by_router.discard(before.router, uuid)
        after = None if row is None else router_port(row)
        if after is not None:
            self._ports[uuid] = after
            self._by_switch.add(after.switch, uuid)
            self._by_router.add(after.router, uuid)
            # What never changes is kept when the interface goes.
            self._subnets.update({subnet.id: subnet for subnet in after.subnets})
        if before != after:
            for port in filter(None, (before, after)):
                self._changed(("switch", port.switch))
                self._changed(("router", port.router))

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
                self._changed(("port", nat.port_id))
                self._changed(("member", nat.logical_ip))

    def _switch_port(self, uuid: str, row: Any | None) -> None:
        if row is None:
            for ports in self.switch_ports_of.values():
                for address in ports.remove(uuid):
                    self._changed(("backend", address))
            return
        found = self.switch_ports_of.get(row.external_ids.get(_NETWORK, ""))
        if found is not None:
            answers = bool(row.addresses)
            for address in found.put(uuid, row.name, row.external_ids, answers=answers):
                self._changed(("backend", address))
            self._changed(("monitored", monitored_subnet(row.external_ids)))

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

    def floating_ip(self, port_id: str, address: str) -> str | None:
        """The floating IP of an address of a Neutron port."""
        found = self._fips.first((port_id, address))
        return None if found is None else self._nats[found].external_ip

    def member_floating_ips(self, address: str) -> Iterable[_Nat]:
        """Return the floating IPs of ports that have an address, in any network."""
        return [self._nats[uuid] for uuid in self._nats_by_address.of(address)]

    def subnet(self, subnet_id: str) -> Subnet | None:
        """Return a subnet that a router's interface has told about."""
        return self._subnets.get(subnet_id)


def monitored_subnet(external_ids: Mapping[str, str]) -> str | None:
    """Return the subnet whose members are checked from a switch port; None for other ports."""
    name = external_ids.get("neutron:port_name", "")
    ours = name.startswith(HM_PORT) and external_ids.get("neutron:device_owner") in _HM_OWNERS
    return name.removeprefix(HM_PORT) if ours else None


def router_port(row: Any) -> RouterPort | None:
    """Return an interface; None for one that Neutron did not make."""
    ids = row.external_ids
    if _NETWORK not in ids or _ROUTER not in ids:
        return None
    return RouterPort(
        name=row.name,
        router=prefixed(ids[_ROUTER]),
        switch=prefixed(ids[_NETWORK]),
        networks=tuple(sorted(row.networks)),
        gateway=ids.get("neutron:is_ext_gw", "").lower() == "true",
        subnets=tuple(_subnets(row)),
    )


def _subnets(row: Any) -> Iterable[Subnet]:
    """Yield the subnet of an interface. Of several, the set has lost which address is in which."""
    ids = row.external_ids.get("neutron:subnet_ids", "").split()
    if len(ids) == len(row.networks) == 1:
        network_id = row.external_ids[_NETWORK].removeprefix("neutron-")
        yield Subnet(ids[0], network_id, str(ipaddress.ip_interface(row.networks[0]).network))


def prefixed(name: str) -> str:
    """Return a row's name; Neutron writes some references with and some without the prefix."""
    return name if name.startswith("neutron-") else f"neutron-{name}"


def _nat(row: Any) -> _Nat | None:
    port_id = row.external_ids.get("neutron:fip_port_id")
    if row.type != "dnat_and_snat" or not port_id:
        return None
    return _Nat(
        port_id,
        row.logical_ip,
        row.external_ip,
        row.external_ids.get("neutron:fip_id", ""),
        prefixed(row.external_ids.get(_ROUTER, "")),
        bool(row.external_mac),
    )
