# SPDX-License-Identifier: Apache-2.0
"""The switches and routers that must refer to a load balancer, so that its clients reach it.

The rules are those of the row format: the switch of the VIP and of each member, the routers that
have an interface there, and the switches behind every other interface of those routers. Never a
switch of a provider network: there the reply would leave from the router's address
(measured on OVN 23.03).
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from octavia_ovn.core import ip, model


@functools.lru_cache(maxsize=4096)
def _covers(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_interface(network).network


@dataclass(frozen=True, slots=True)
class Subnet:
    """The fields of a Neutron subnet that never change."""

    id: str
    network_id: str
    cidr: str


@dataclass(frozen=True, slots=True)
class RouterPort:
    """A router's interface (Logical_Router_Port) on a switch; networks as `10.0.0.1/24`.

    `subnets` are those whose addresses are known for certain.
    """

    name: str
    router: str
    switch: str
    networks: tuple[str, ...]
    gateway: bool = False
    subnets: tuple[Subnet, ...] = ()

    @property
    def switch_port(self) -> str:
        """The name of the Logical_Switch_Port at the other end: that of Neutron's port."""
        return self.name.removeprefix("lrp-")

    def covers(self, address: str) -> bool:
        """Whether an address lies in one of the interface's subnets."""
        return any(_covers(each, address) for each in self.networks)

    def has_family(self, families: frozenset[int]) -> bool:
        """Whether the interface has a subnet of one of those IP versions."""
        return any(ip.family(each) in families for each in self.networks)


@dataclass(frozen=True, slots=True)
class FloatingIp:
    """A floating IP, as the NAT row of Neutron's describes it.

    :param address: for clients outside
    :param logical_ip: the address that it is translated to
    :param port_id: of the Neutron port that has this address
    :param router: the name of the router that translates it
    :param id: in Neutron
    :param distributed: whether the port's hypervisor translates it, instead of the gateway
    """

    address: str
    logical_ip: str
    port_id: str
    router: str
    id: str
    distributed: bool = False


class Topology(Protocol):
    """The networks and routers in the Northbound database."""

    def has_switch(self, switch: str) -> bool:
        """Whether the Logical_Switch exists."""

    def has_router(self, router: str) -> bool:
        """Whether the Logical_Router exists."""

    def is_provider(self, switch: str) -> bool:
        """Whether the switch is that of a provider network."""

    def ports_on_switch(self, switch: str) -> Iterable[RouterPort]:
        """The router interfaces on a switch."""

    def ports_of_router(self, router: str) -> Iterable[RouterPort]:
        """The interfaces of a router."""

    def floating_ip(self, port_id: str, address: str) -> str | None:
        """The floating IP of an address of a Neutron port."""


@dataclass(frozen=True, slots=True)
class Attachments:
    """The rows that must refer to a load balancer, and the references in its own row."""

    switches: frozenset[str]
    routers: frozenset[str]
    switch_refs: Mapping[str, int]
    vip_router: str | None


def switch_name(network_id: str) -> str:
    """Return the name of the Logical_Switch of a Neutron network."""
    return f"neutron-{network_id}"


def attachments(
    lb: model.LoadBalancer,
    topology: Topology,
    subnets: Mapping[str, Subnet],
    vip_router: str | None = None,
) -> Attachments:
    """Compute the switches and routers that must refer to a load balancer.

    :param subnets: the subnets of VIPs and members, by id; one that is missing is gone
    :param vip_router: the router that the row names now; kept while it is still right
    """
    found = _by_switch(_places(lb, subnets))
    places = {switch: each for switch, each in found.items() if topology.has_switch(switch)}
    refs = {
        switch: len(each) for switch, each in places.items() if not topology.is_provider(switch)
    }
    families = frozenset(ip.family(vip.address) for vip in lb.vips)
    vip_routers = _routers(_by_switch(_vip_places(lb, subnets)), places, topology, families)
    routers = vip_routers | _routers(places, places, topology, families, gateways=False)
    around = {
        port.switch
        for router in routers
        for port in topology.ports_of_router(router)
        if not port.gateway and port.has_family(families)
    }
    eligible = {each for each in around if topology.has_switch(each)}
    return Attachments(
        switches=frozenset(
            switch for switch in refs.keys() | eligible if not topology.is_provider(switch)
        ),
        routers=routers,
        switch_refs=refs,
        vip_router=vip_router if vip_router in vip_routers else min(vip_routers, default=None),
    )


def ingress_ports(
    lb: model.LoadBalancer, places: Attachments, topology: Topology
) -> frozenset[str]:
    """Return a port or more of each switch where clients of a load balancer may enter.

    Those are the switches of the VIPs, named by the VIPs' own ports, and all that its routers are
    connected to, named by the routers' ports: external and provider networks, too.

    :returns: names of Logical_Switch_Ports
    """
    routed = frozenset(
        port.switch_port for router in places.routers for port in topology.ports_of_router(router)
    )
    return routed | {vip.port_id for vip in lb.vips if vip.port_id}


Place = tuple[str, str]


def _vip_places(lb: model.LoadBalancer, subnets: Mapping[str, Subnet]) -> Iterator[Place]:
    for vip in lb.vips:
        network_id = vip.network_id
        subnet = subnets.get(vip.subnet_id or "")
        if network_id is None and subnet is not None:
            network_id = subnet.network_id
        if network_id is not None:
            yield switch_name(network_id), vip.address


def _places(lb: model.LoadBalancer, subnets: Mapping[str, Subnet]) -> Iterator[Place]:
    """Yield (switch, address) of every VIP and member whose subnet is known."""
    yield from _vip_places(lb, subnets)
    for _, member in lb.members():
        subnet = subnets.get(member.subnet_id or "")
        if subnet is not None:
            yield switch_name(subnet.network_id), member.address


def _by_switch(places: Iterable[Place]) -> dict[str, list[str]]:
    """Return the addresses on each switch: most members of a load balancer share one."""
    found: dict[str, list[str]] = {}
    for switch, address in places:
        found.setdefault(switch, []).append(address)
    return found


def _routers(
    wanted: Mapping[str, Sequence[str]],
    places: Mapping[str, Sequence[str]],
    topology: Topology,
    families: frozenset[int],
    *,
    gateways: bool = True,
) -> frozenset[str]:
    """Return the routers with an interface in the subnets of those places.

    A VIP on an external network is reached through gateway ports. When some of those routers lead
    to a member, the others are left out.
    """
    inside, outside = set(), set()
    for switch, addresses in wanted.items():
        for port in topology.ports_on_switch(switch):
            if not topology.has_router(port.router):
                continue
            if port.gateway and gateways and port.has_family(families):
                outside.add(port.router)
            elif not port.gateway and any(map(port.covers, addresses)):
                inside.add(port.router)
    if outside:
        leading = {
            port.router
            for switch, addresses in places.items()
            for port in topology.ports_on_switch(switch)
            if not port.gateway and any(map(port.covers, addresses))
        }
        outside = (outside & leading) or outside
    return frozenset(inside | outside)


def unrouted_vips(
    lb: model.LoadBalancer, topology: Topology, subnets: Mapping[str, Subnet]
) -> Iterator[Place]:
    """Yield (switch, address) of the VIPs that no router leads to, not those on provider networks.

    Routers outside of OVN may lead there.
    """
    for switch, address in _vip_places(lb, subnets):
        if topology.has_switch(switch) and not topology.is_provider(switch):
            families = frozenset({ip.family(address)})
            if not _routers({switch: [address]}, {switch: [address]}, topology, families):
                yield switch, address


def place_member(
    address: str,
    lb: model.LoadBalancer,
    around: Callable[[model.LoadBalancer], Iterable[Subnet]],
) -> str | None:
    """Return the id of the subnet that a member without one belongs to.

    First the VIPs' own subnets, then the subnets of the routers around them.

    :param around: returns the latter; called only when the VIPs' own do not fit
    """
    found = ipaddress.ip_address(address)
    for vip in lb.vips:
        if vip.cidr and vip.subnet_id and found in ipaddress.ip_network(vip.cidr):
            return vip.subnet_id
    return next((each.id for each in around(lb) if found in ipaddress.ip_network(each.cidr)), None)


def subnets_around(lb: model.LoadBalancer, topology: Topology) -> Iterator[Subnet]:
    """Yield the subnets of the routers around a load balancer."""
    routers = {
        port.router
        for vip in lb.vips
        if vip.network_id
        for port in topology.ports_on_switch(switch_name(vip.network_id))
    }
    for router in sorted(routers):
        for port in topology.ports_of_router(router):
            if not port.gateway:
                yield from port.subnets
