# SPDX-License-Identifier: Apache-2.0
"""What the controller needs of the outside, as narrow as it needs it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from octavia_ovn.core import model
from octavia_ovn.core.dependencies import Resource
from octavia_ovn.core.desired.access_control import Access
from octavia_ovn.core.health import HealthState, Source, SwitchPort
from octavia_ovn.core.neutron_port import NeutronPort, SeenPort
from octavia_ovn.core.pending import Key
from octavia_ovn.core.rows import Operation, Row
from octavia_ovn.core.security_groups import GroupRule
from octavia_ovn.core.topology import FloatingIp, Subnet, Topology


class SwitchPorts(Protocol):
    """The ports of one switch."""

    def at(self, address: str) -> SwitchPort | None:
        """Return the port that has an address."""

    def monitor_source(self, subnet_id: str, projects: Sequence[str]) -> Source | None:
        """Return the health monitor port of a subnet, if it belongs to one of some projects."""

    def probe_source(self, subnet_id: str, project: str) -> SwitchPort | None:
        """Return the port that chassis probe members of a subnet from, if it is complete."""


class Northbound(Topology, Protocol):
    """The agent's replica of the Northbound database."""

    @property
    def ipv6_fields(self) -> bool:
        """Whether this OVN can hash IPv6 addresses."""

    def names(self) -> Iterable[str]:
        """Return the ids of all load balancers that have rows, or of which something is left."""

    def awaited(self) -> Iterable[str]:
        """Return the ids of those that Octavia waits for."""

    def rows(self, lb_id: str) -> Sequence[Row]:
        """Return the rows of a load balancer."""

    def answers(self, lb_id: str) -> Mapping[str, frozenset[str]]:
        """Return switch → addresses of a load balancer that its responder answers for.

        None at all stands for a responder that is not as it should be.
        """

    def subnet(self, subnet_id: str) -> Subnet | None:
        """Return a subnet that is known from a router's interface."""

    def switch_ports(self, switch: str) -> SwitchPorts | None:
        """Return the ports of a switch; None while they are being fetched."""

    def is_occupied(self, switch: str, address: str) -> bool:
        """Whether an address on a switch is a router's, or the VIP of a load balancer."""

    def holds(self, port_id: str, address: str, *, user_port: bool) -> bool | None:
        """Whether OVN shows that a VIP's port has its address; None while that is being fetched.

        :param user_port: whether the user made the port, so that it may have an owner
        """

    def has_addresses(self, port_id: str) -> bool | None:
        """Whether OVN knows addresses of a Neutron port; None while it is being fetched."""

    def member_floating_ips(self, address: str) -> Iterable[FloatingIp]:
        """Return the floating IPs of ports that have an address."""

    def has_row(self, lb_id: str) -> bool:
        """Whether there is a row of that name, even if it says nothing any more."""

    def access(self, lb_id: str) -> Access:
        """Return the rows that keep clients away from a load balancer."""

    def existing_ports(self, names: Collection[str]) -> frozenset[str] | None:
        """Return which of some switch ports exist; None while they are being fetched."""

    def forget_port(self, name: str) -> None:
        """Follow a switch port no longer; no load balancer depends on it."""

    def forget_switch(self, switch: str) -> None:
        """Follow the ports of a switch no longer; no load balancer depends on it."""

    def group_rules(self, group_id: str) -> Sequence[GroupRule] | None:
        """Return what a security group lets in, nothing if it is gone; None while it is fetched."""

    def forget_group(self, group_id: str) -> None:
        """Follow a security group no longer; no load balancer depends on it."""

    def global_number(self) -> int:
        """Return `NB_Global.nb_cfg`."""

    def samples_drops(self) -> bool:
        """Whether OVN samples what it drops."""

    def announces(self, mark: str) -> bool:
        """Whether `NB_Global` has a mark of what chassis do."""

    def commit(self, plan: Callable[[], Iterable[Operation]]) -> bool:
        """Write what a plan returns in one transaction; the plan may be called again.

        :returns: whether anything was written
        """


class Southbound(Protocol):
    """The agent's replica of the Southbound database."""

    @property
    def ready(self) -> bool:
        """Whether its contents are known."""

    def health_state(self, switch_port: str, address: str, port: int, protocol: str) -> HealthState:
        """Return what OVN's check says about a backend."""

    def address_set(self, name: str) -> frozenset[str] | None:
        """Return what an address set holds, nothing if there is none; None while it is fetched."""

    def forget_address_set(self, name: str) -> None:
        """Follow an address set no longer; no load balancer depends on it."""


class Chassis(Protocol):
    """What the Southbound database says of chassis and of some switch ports."""

    def follow(self, ports: frozenset[str]) -> None:
        """Say from now on on which chassis some switch ports are."""

    @property
    def located(self) -> bool:
        """Whether that is known for all of them."""

    def reached(self) -> Mapping[str, int]:
        """Return chassis → the `nb_cfg` that it has reached."""


class Neutron(Protocol):
    """Neutron's API; each call may raise errors of :mod:`octavia_ovn.errors`."""

    def subnet(self, subnet_id: str) -> Subnet:
        """Return a subnet."""

    def port(self, port_id: str) -> NeutronPort:
        """Return a port."""

    def project(self) -> str:
        """Return the id of the project that the service's account acts in."""

    def adopt_vip_port(self, port_id: str, lb_id: str) -> None:
        """Give a VIP port that another driver made the owner and id that ours have."""

    def touch_port(self, port_id: str, address: str) -> None:
        """Have Neutron write the switch port of a port again, if it has an address."""

    def create_vip_port(  # noqa: PLR0913 - what a VIP can be asked to have
        self,
        lb_id: str,
        project_id: str | None,
        network_id: str,
        subnet_id: str | None = None,
        address: str | None = None,
        index: int | None = None,
    ) -> NeutronPort:
        """Make the port of a VIP, or return the one that an earlier attempt has made."""

    def set_address(self, port_id: str, subnet_id: str | None, address: str) -> NeutronPort:
        """Give a port one address instead of those that it has."""

    def touch_floating_ip(self, fip_id: str) -> None:
        """Have Neutron write the NAT row of a floating IP again."""

    def look_at(self, port_id: str) -> SeenPort:
        """Read a port that may have to be deleted in a moment."""

    def delete_vip_port(
        self, port_id: str, lb_id: str, project_id: str | None, seen: SeenPort | None
    ) -> None:
        """Delete a port if it is a VIP port that a driver has made for a load balancer."""

    def delete_vip_ports(self, lb_id: str) -> None:
        """Find and delete the VIP ports that are ours."""

    def make_hm_port(
        self,
        subnet_id: str,
        network_id: str,
        project_id: str,
        kind: Resource = Resource.MONITORED,
    ) -> NeutronPort:
        """Make a health monitor port of a subnet, or return the one that the project has.

        :param kind: MONITORED for OVN's checks, PROBED for those of the chassis
        """

    def delete_hm_ports(self, subnet_id: str, kind: Resource = Resource.MONITORED) -> None:
        """Delete the health monitor ports of a subnet."""


class Octavia(Protocol):
    """Octavia's own knowledge of a load balancer."""

    def tree(self, lb_id: str) -> model.LoadBalancer | None:
        """Return a load balancer as Octavia has it; None when it does not exist."""

    def exists(self, lb_id: str) -> bool:
        """Whether Octavia has committed a load balancer that is not DELETED."""

    def updated_groups(self, lb_id: str) -> frozenset[str] | None:
        """Return the security groups of a VIP once Octavia has committed an update; None before."""

    def is_leaving(self, lb_id: str) -> bool | None:
        """Whether Octavia is deleting a load balancer, has deleted it, or does not show it.

        :returns: None for one in ERROR: so ends a deletion that Neutron refuses, too
        """

    def owned(self, lb_id: str, keys: Collection[Key]) -> frozenset[Key]:
        """Return those of some objects that Octavia has, or has had, below a load balancer."""

    def belonging(self, lb_id: str, keys: Collection[Key]) -> frozenset[Key]:
        """Return those of some objects that Octavia has below a load balancer now, and itself."""
