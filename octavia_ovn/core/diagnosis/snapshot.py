# SPDX-License-Identifier: Apache-2.0
"""One load balancer and what is around it, as the databases, Neutron and Octavia show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from octavia_ovn.core import model
from octavia_ovn.core.diagnosis.acls import Acl
from octavia_ovn.core.health import Health
from octavia_ovn.core.pending import Kind, Pending
from octavia_ovn.core.rows import Row
from octavia_ovn.core.topology import FloatingIp, RouterPort, Subnet, switch_name


@dataclass(frozen=True, slots=True)
class Switch:
    """A Logical_Switch: a Neutron network.

    :param physical: the physical network of a provider network, empty for others
    """

    name: str
    label: str = ""
    physical: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """A Logical_Switch_Port: a Neutron port.

    :param addresses: what OVN knows and answers ARP for, as `MAC IP…`
    :param ips: its addresses in Neutron
    :param chassis: the hypervisor that it is bound to; empty for none, None when not known
    :param uuid: of the row
    """

    name: str
    label: str = ""
    switch: str = ""
    type: str = ""
    addresses: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    enabled: bool = True
    chassis: str | None = None
    groups: frozenset[str] = frozenset()
    silent: bool = False
    """Whether OVN is configured not to answer ARP for it (`disable_arp_nd_rsp`)."""
    uuid: str = ""

    @property
    def title(self) -> str:
        """Name and id for people."""
        return f"{self.label} ({self.name})" if self.label else self.name


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """Name and statuses of one object in Octavia."""

    name: str
    provisioning: str
    operating: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The input of the diagnosis. Maps are by name or id of the object, ports by their Neutron id.

    :param intent: the intent in the rows; None when there is none
    :param problems: sentences about unreadable parts of the rows
    :param octavia: the load balancer in Octavia; None when there is none, or Octavia was not asked
    :param notes: sentences about sources that did not answer
    """

    lb_id: str
    rows: tuple[Row, ...] = ()
    intent: model.LoadBalancer | None = None
    pending: Pending | None = None
    problems: tuple[str, ...] = ()
    octavia: model.LoadBalancer | None = None
    statuses: Mapping[tuple[Kind, str], ObjectStatus] = field(default_factory=dict)
    subnets: Mapping[str, Subnet] = field(default_factory=dict)
    switches: Mapping[str, Switch] = field(default_factory=dict)
    routers: Mapping[str, str] = field(default_factory=dict)
    """Name of the Logical_Router → name in Neutron."""
    router_ports: tuple[RouterPort, ...] = ()
    down: frozenset[str] = frozenset()
    """The names of routers and of their interfaces that are administratively down."""
    gateway_chassis: Mapping[str, str] = field(default_factory=dict)
    """Gateway port → the hypervisor that it is bound to, empty for none."""
    ports: Mapping[str, Port] = field(default_factory=dict)
    answered: frozenset[str] = frozenset()
    """VIP addresses that a responder answers for; see :mod:`octavia_ovn.core.desired.responder`."""
    answers_for_down: bool = True
    """Whether OVN answers ARP also for unbound ports (`ignore_lsp_down`)."""
    floating_ips: Mapping[str, FloatingIp] = field(default_factory=dict)
    """VIP address → floating IP."""
    health: Health = field(default_factory=Health)
    closed: frozenset[str] = frozenset()
    """Listeners that let no new connections in, because they have as many as they may."""
    acls: tuple[Acl, ...] = ()
    address_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def lb(self) -> model.LoadBalancer | None:
        """The load balancer as the rows say it, or else as Octavia does."""
        return self.intent or self.octavia

    @property
    def vips(self) -> dict[str, str]:
        """The entries of all rows: `address:port` → members."""
        return {key: value for row in self.rows for key, value in row.vips.items()}

    def name_of(self, kind: Kind, object_id: str) -> str:
        """Return Octavia's name of an object, or else its id."""
        status = self.statuses.get((kind, object_id))
        return (status and status.name) or object_id

    def switch_label(self, name: str) -> str:
        """Return the name of a switch's network, or else that of the switch."""
        switch = self.switches.get(name)
        return (switch and switch.label) or name

    def router_label(self, name: str) -> str:
        """Return Neutron's name of a router, or else that of the row."""
        return self.routers.get(name) or name

    def switch_of(self, vip: model.Vip) -> str | None:
        """Return the switch that a VIP is on."""
        port = self.ports.get(vip.port_id or "")
        if port is not None and port.switch:
            return port.switch
        subnet = self.subnets.get(vip.subnet_id or "")
        network = vip.network_id or (subnet and subnet.network_id)
        return switch_name(network) if network else None

    def member_switch(self, member: model.Member) -> str | None:
        """Return the switch that a member is on."""
        subnet = self.subnets.get(member.subnet_id or "")
        return switch_name(subnet.network_id) if subnet else None

    def port_at(self, switch: str | None, address: str) -> Port | None:
        """Return the port that has an address on a switch."""
        return next(
            (each for each in self.ports.values() if each.switch == switch and address in each.ips),
            None,
        )

    def why_down(self, port: RouterPort) -> str:
        """Return words for what of a router's interface is down, empty if nothing is."""
        router = self.router_label(port.router)
        if port.router in self.down:
            return f"Router {router} is administratively down."
        switch_port = self.ports.get(port.switch_port)
        if port.name in self.down or (switch_port is not None and not switch_port.enabled):
            network = self.switch_label(port.switch)
            return (
                f"The interface of router {router} on network {network} is administratively down."
            )
        return ""

    # --- core.topology.Topology

    def has_switch(self, switch: str) -> bool:
        """Whether the Logical_Switch exists."""
        return switch in self.switches

    def has_router(self, router: str) -> bool:
        """Whether the Logical_Router exists."""
        return router in self.routers

    def is_provider(self, switch: str) -> bool:
        """Whether the switch is that of a provider network."""
        return switch in self.switches and bool(self.switches[switch].physical)

    def ports_on_switch(self, switch: str) -> Iterable[RouterPort]:
        """The router interfaces on a switch."""
        return [each for each in self.router_ports if each.switch == switch]

    def ports_of_router(self, router: str) -> Iterable[RouterPort]:
        """The interfaces of a router."""
        return [each for each in self.router_ports if each.router == router]

    def floating_ip(self, port_id: str, address: str) -> str | None:
        """The floating IP of an address of a Neutron port."""
        found = self.floating_ips.get(address)
        return found.address if found and found.port_id == port_id else None

    def connecting(self, one: str, other: str) -> Iterator[str]:
        """Yield the routers that have an inner interface on both switches."""
        here = {each.router for each in self.ports_on_switch(one) if not each.gateway}
        for each in self.ports_on_switch(other):
            if not each.gateway and each.router in here:
                yield each.router
