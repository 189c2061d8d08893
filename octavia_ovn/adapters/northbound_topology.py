"""Networks, routers and floating IPs as the Northbound database shows them, kept by its events.

Lookups cost the same in any cloud: nothing here is searched.
"""

from __future__ import annotations

import collections
import ipaddress
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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


class SwitchPorts:
    """The ports of one switch, by address and by name."""

    def __init__(self) -> None:
        self._addresses: dict[str, dict[str, str]] = {}
        self._by_address: dict[str, str] = {}
        self._sources: dict[str, dict[str, str]] = collections.defaultdict(dict)
        """Subnet → health monitor ports → address; there may be two for a while."""
        self._answering: set[str] = set()

    def put(
        self, uuid: str, name: str, external_ids: Mapping[str, str], *, answers: bool
    ) -> frozenset[str]:
        """Learn about a port; return the addresses about which something has changed.

        :param answers: whether OVN knows its addresses, and answers ARP for them
        """
        gone = self.remove(uuid)
        addresses = [
            each.partition("/")[0] for each in external_ids.get("neutron:cidrs", "").split()
        ]
        self._addresses[uuid] = dict.fromkeys(addresses, name)
        subnet_id = monitored_subnet(external_ids)
        if subnet_id and addresses:
            self._sources[subnet_id][name] = addresses[0]
            if answers:
                self._answering.add(name)
        else:
            self._by_address.update(self._addresses[uuid])
        return gone | frozenset(addresses)

    def remove(self, uuid: str) -> frozenset[str]:
        """Forget a port; return its addresses."""
        addresses = self._addresses.pop(uuid, {})
        for address, name in addresses.items():
            if self._by_address.get(address) == name:
                del self._by_address[address]
            self._answering.discard(name)
            for sources in self._sources.values():
                sources.pop(name, None)
        return frozenset(addresses)

    def at(self, address: str) -> str | None:
        """Return the name of the port that has an address."""
        return self._by_address.get(address)

    def monitor_source(self, subnet_id: str) -> str | None:
        """Return the address of the health monitor port of a subnet."""
        sources = self._sources.get(subnet_id)
        return sources[min(sources)] if sources else None

    def monitor_ports(self, subnet_id: str) -> frozenset[str]:
        """Return the names of the health monitor ports of a subnet."""
        return frozenset(self._sources.get(subnet_id, ()))

    def answering(self, subnet_id: str) -> str | None:
        """Return the name of the health monitor port of a subnet if OVN answers ARP for it."""
        name = min(self.monitor_ports(subnet_id), default=None)
        return name if name in self._answering else None


class NorthboundTopology:
    """Implements :class:`octavia_ovn.core.topology.Topology`.

    :param changed: called with ("switch", name), ("router", name), ("port", id),
        ("backend", address), ("member", address) or ("monitored", subnet id) when something about
        it has changed
    """

    def __init__(self, changed: Callable[[Hashable], None]) -> None:
        self._changed = changed
        self._switches: dict[str, bool] = {}
        self._switch_names: dict[str, str] = {}
        self._routers: dict[str, str] = {}
        self._router_names: set[str] = set()
        self._ports: dict[str, RouterPort] = {}
        self._by_switch: dict[str, set[str]] = collections.defaultdict(set)
        self._by_router: dict[str, set[str]] = collections.defaultdict(set)
        self._subnets: dict[str, Subnet] = {}
        self._nats: dict[str, _Nat] = {}
        self._nats_by_address: dict[str, set[str]] = collections.defaultdict(set)
        self._fips: dict[tuple[str, str], str] = {}
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
        before = self._switch_names.pop(uuid, None)
        known = None if before is None else self._switches.pop(before, None)
        if row is not None:
            self._switch_names[uuid] = row.name
            self._switches[row.name] = PHYSICAL_NETWORK in row.external_ids
        name = row.name if row is not None else before
        if known != self._switches.get(name or ""):
            self._changed(("switch", name))

    def _router(self, uuid: str, row: Any | None) -> None:
        before = self._routers.pop(uuid, None)
        after = None if row is None else row.name
        if before is not None:
            self._router_names.discard(before)
        if after is not None:
            self._routers[uuid] = after
            self._router_names.add(after)
        if before != after:
            for name in filter(None, (before, after)):
                self._changed(("router", name))

    def _router_port(self, uuid: str, row: Any | None) -> None:
        before = self._ports.pop(uuid, None)
        if before is not None:
            self._by_switch[before.switch].discard(uuid)
            self._by_router[before.router].discard(uuid)
        after = None if row is None else router_port(row)
        if after is not None:
            self._ports[uuid] = after
            self._by_switch[after.switch].add(uuid)
            self._by_router[after.router].add(uuid)
            # What never changes is kept when the interface goes.
            self._subnets.update({subnet.id: subnet for subnet in after.subnets})
        if before != after:
            for port in filter(None, (before, after)):
                self._changed(("switch", port.switch))
                self._changed(("router", port.router))

    def _nat(self, uuid: str, row: Any | None) -> None:
        before = self._nats.pop(uuid, None)
        if before is not None:
            self._fips.pop((before.port_id, before.logical_ip), None)
            self._nats_by_address[before.logical_ip].discard(uuid)
        after = None if row is None else _nat(row)
        if after is not None:
            self._nats[uuid] = after
            self._fips[(after.port_id, after.logical_ip)] = after.external_ip
            self._nats_by_address[after.logical_ip].add(uuid)
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
        return switch in self._switches

    def has_router(self, router: str) -> bool:
        """Whether the Logical_Router exists."""
        return router in self._router_names

    def is_provider(self, switch: str) -> bool:
        """Whether the switch is that of a provider network."""
        return self._switches.get(switch, False)

    def ports_on_switch(self, switch: str) -> Iterable[RouterPort]:
        """The router interfaces on a switch."""
        return [self._ports[uuid] for uuid in self._by_switch.get(switch, ())]

    def ports_of_router(self, router: str) -> Iterable[RouterPort]:
        """The interfaces of a router."""
        return [self._ports[uuid] for uuid in self._by_router.get(router, ())]

    def floating_ip(self, port_id: str, address: str) -> str | None:
        """The floating IP of an address of a Neutron port."""
        return self._fips.get((port_id, address))

    def member_floating_ips(self, address: str) -> Iterable[_Nat]:
        """Return the floating IPs of ports that have an address, in any network."""
        return [self._nats[uuid] for uuid in self._nats_by_address.get(address, ())]

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
