# SPDX-License-Identifier: Apache-2.0
"""Reads one load balancer and the rows around it: no replica, and nothing is written.

Rows are selected by name, uuid or a key, so the size of the answers does not grow with the cloud.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from octavia_ovn.adapters.inspection.northbound import NorthboundRows
from octavia_ovn.adapters.inspection.southbound import SouthboundRows
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.core import codec, ip, model
from octavia_ovn.core.codec import neutron
from octavia_ovn.core.desired import connection_limit, draining
from octavia_ovn.core.diagnosis import reach
from octavia_ovn.core.diagnosis.match import address_sets
from octavia_ovn.core.diagnosis.path import Client
from octavia_ovn.core.diagnosis.snapshot import Port, Snapshot
from octavia_ovn.core.health import Health
from octavia_ovn.core.rows import Row
from octavia_ovn.core.topology import RouterPort, Subnet
from octavia_ovn.errors import NotFound, OctaviaOvnError, Refused, Unavailable

_CHASSIS_REDIRECT = "cr-"


class SnapshotReader:
    """Reads snapshots.

    :param nb: a connection to the Northbound database
    :param sb: a connection to the Southbound database
    :param subnet: returns a subnet that Neutron knows
    """

    def __init__(self, nb: OvsdbSession, sb: OvsdbSession, subnet: Callable[[str], Subnet]) -> None:
        self._nb = NorthboundRows(nb)
        self._sb = SouthboundRows(sb)
        self._subnet = subnet

    def client(self, text: str) -> Client:
        """Return the client that the id or name of a Neutron port, or an address, identifies.

        :raises NotFound: when there is no such port
        :raises Refused: when several ports have that name
        :raises Unavailable: when the Northbound database does not answer
        """
        try:
            return Client((ip.canonical_address(text),))
        except ValueError:
            ports = self._nb.ports(names=[text]) or self._nb.ports(labels=[text])
        if not ports:
            msg = f"--from: no port has the id or name {text!r}, and it is no address."
            raise NotFound(msg)
        if len(ports) > 1:
            ids = ", ".join(sorted(each.name for each in ports))
            raise Refused(f"--from: {len(ports)} ports are named {text!r}; name an id: {ids}.")
        return Client(ports[0].ips, ports[0])

    def snapshot(
        self, lb_id: str, octavia: model.LoadBalancer | None, client: Client | None = None
    ) -> tuple[Snapshot, Client | None]:
        """Read a load balancer.

        :param octavia: the load balancer in Octavia, for one that has no rows
        :param client: read also the rows on its packets' path
        :returns: the snapshot, and the client with its port if its address belongs to one
        :raises Unavailable: when the Northbound database does not answer
        :raises NotFound: when the client's address is in a network of the cloud and no port has it
        """
        rows, _ = draining.separate(self._nb.rows(lb_id))
        snapshot = _intended(lb_id, rows, octavia)
        if snapshot.lb is None:
            return snapshot, client
        notes: list[str] = []
        snapshot = self._with_topology(snapshot, snapshot.lb, client, notes)
        client = self._placed(client, snapshot)
        snapshot = self._with_ports(snapshot, snapshot.lb or octavia, client)
        snapshot = self._with_southbound(snapshot, notes)
        if client is not None:
            snapshot = self._with_rules(snapshot, client, notes)
            client = _refreshed(client, snapshot)
        return replace(snapshot, notes=tuple(notes)), client

    # --- steps

    def _with_topology(
        self, snapshot: Snapshot, lb: model.LoadBalancer, client: Client | None, notes: list[str]
    ) -> Snapshot:
        """Read subnets, networks and routers."""
        ports = {
            each.name: each
            for each in self._nb.ports(names=[vip.port_id for vip in lb.vips if vip.port_id])
        }
        snapshot = replace(snapshot, ports=ports)
        switches = {snapshot.switch_of(vip) for vip in lb.vips}
        answered = self._nb.answered(lb.id, filter(None, switches))
        switches |= {client.port.switch} if client and client.port else set()
        router_ports = self._nb.router_ports_around(filter(None, switches))
        subnets = self._subnets(lb, router_ports, notes)
        snapshot = replace(snapshot, subnets=subnets)
        others = {snapshot.member_switch(each) for _, each in lb.members()} - switches
        others |= {snapshot.switch_of(vip) for vip in lb.vips} - switches
        router_ports = _once(router_ports, self._nb.router_ports_around(filter(None, others)))
        names = {each.switch for each in router_ports} | set(filter(None, switches | others))
        names |= {each for row in snapshot.rows for each in row.switches}
        routers = {each.router for each in router_ports}
        routers |= {each for row in snapshot.rows for each in row.routers}
        labels, down = self._nb.routers(routers)
        limited = connection_limit.limited(lb)
        return replace(
            snapshot,
            closed=self._nb.closed(lb.id) if limited else frozenset(),
            answered=answered,
            answers_for_down=self._nb.answers_for_down_ports(),
            router_ports=router_ports,
            switches=self._nb.switches(names),
            routers=labels,
            down=down | self._nb.interfaces_down(each.name for each in router_ports),
            floating_ips=self._nb.floating_ips(vip.port_id for vip in lb.vips if vip.port_id),
        )

    def _subnets(
        self, lb: model.LoadBalancer, router_ports: Iterable[RouterPort], notes: list[str]
    ) -> dict[str, Subnet]:
        """Return the subnets of VIPs and members; Neutron is asked for those without a router."""
        found = {each.id: each for port in router_ports for each in port.subnets}
        for vip in lb.vips:
            if vip.subnet_id and vip.network_id and vip.cidr:
                found[vip.subnet_id] = Subnet(vip.subnet_id, vip.network_id, vip.cidr)
        wanted = {vip.subnet_id for vip in lb.vips} | {each.subnet_id for _, each in lb.members()}
        unknown = sorted(each for each in wanted if each and each not in found)
        asked = (self._asked(each, notes) for each in unknown)
        return found | {each.id: each for each in asked if each is not None}

    def _asked(self, subnet_id: str, notes: list[str]) -> Subnet | None:
        """Return a subnet as Neutron knows it; add a note when it does not."""
        try:
            return self._subnet(subnet_id)
        except NotFound:
            notes.append(f"Subnet {subnet_id} does not exist in Neutron.")
        except OctaviaOvnError as error:
            notes.append(f"Subnet {subnet_id} is not known: {error}")
        return None

    def _placed(self, client: Client | None, snapshot: Snapshot) -> Client | None:
        """Find the port of a client that was given by an address of the cloud."""
        if client is None or client.port is not None:
            return client
        (address,) = client.addresses
        inside = [
            each for each in snapshot.router_ports if not each.gateway and each.covers(address)
        ]
        if not inside:
            return client
        found = self._nb.ports_at(inside[0].switch, {address: _length(inside[0], address)})
        if not found:
            label = snapshot.switch_label(inside[0].switch)
            raise NotFound(f"--from: no port on network {label} has the address {address}.")
        return Client((address,), found[0])

    def _with_ports(
        self, snapshot: Snapshot, lb: model.LoadBalancer | None, client: Client | None
    ) -> Snapshot:
        """Read the ports of members, of health checks and, for a client, of routers."""
        ports = dict(snapshot.ports)
        members = [each for _, each in lb.members()] if lb else []
        for switch in {snapshot.member_switch(each) for each in members} - {None}:
            here = {
                each.address: ipaddress.ip_network(
                    snapshot.subnets[each.subnet_id or ""].cidr
                ).prefixlen
                for each in members
                if snapshot.member_switch(each) == switch
            }
            ports |= {each.name: each for each in self._nb.ports_at(switch or "", here)}
        labels = {neutron.hm_port_name(each.subnet_id) for each in members if each.subnet_id}
        ports |= {each.name: each for each in self._nb.ports(labels=sorted(labels))}
        if client is not None:
            names = [each.switch_port for each in snapshot.router_ports]
            ports |= {each.name: each for each in self._nb.ports(names=names)}
            ports |= {client.port.name: client.port} if client.port else {}
        return replace(snapshot, ports=ports)

    def _with_southbound(self, snapshot: Snapshot, notes: list[str]) -> Snapshot:
        """Read the chassis of the ports, and the results of health checks."""
        gateways = [each.name for each in snapshot.router_ports if each.gateway]
        redirects = [f"{_CHASSIS_REDIRECT}{each}" for each in gateways]
        try:
            chassis = self._sb.chassis([*snapshot.ports, *redirects])
            states = self._sb.health_states(_mapped(snapshot.rows))
        except Unavailable as error:
            notes.append(f"The Southbound database did not answer, so health is not known: {error}")
            return snapshot
        ports = {
            name: replace(each, chassis=chassis.get(name, ""))
            for name, each in snapshot.ports.items()
        }
        located = replace(snapshot, ports=ports)
        probed = reach.probed_pools(located)
        return replace(
            located,
            gateway_chassis={
                name: chassis.get(redirect, "")
                for name, redirect in zip(gateways, redirects, strict=True)
            },
            health=Health(
                states,
                reach.health_states(located),
                probed,
                weights=codec.endpoint_weights(snapshot.rows),
            ),
        )

    def _with_rules(self, snapshot: Snapshot, client: Client, notes: list[str]) -> Snapshot:
        """Read the ACLs of the ports through which packets enter and leave."""
        entry = {client.port.switch} if client.port else set()
        entry |= {each.switch for each in snapshot.router_ports if each.gateway}
        concerned = [
            port
            for port in snapshot.ports.values()
            if (port.type == "router" and port.switch in entry)
            or (client.port and port.name == client.port.name)
            or _is_member(snapshot, port)
        ]
        groups, acls = self._nb.rules(concerned)
        ports = dict(snapshot.ports)
        for port in concerned:
            ports[port.name] = replace(port, groups=frozenset(groups[port.uuid]))
        names = {name for acl in acls for name in address_sets(acl.match)}
        try:
            sets = self._sb.address_sets(names)
        except Unavailable as error:
            notes.append(f"Address sets are not known: {error}")
            sets = {}
        return replace(snapshot, ports=ports, acls=acls, address_sets=sets)


def _intended(lb_id: str, rows: tuple[Row, ...], octavia: model.LoadBalancer | None) -> Snapshot:
    snapshot = Snapshot(lb_id, rows, octavia=octavia)
    if not rows:
        return snapshot
    try:
        decoded = codec.decode(rows)
    except codec.Undecodable as error:
        return replace(snapshot, problems=(str(error),))
    return replace(
        snapshot, intent=decoded.lb, pending=decoded.pending, problems=tuple(decoded.problems)
    )


def _refreshed(client: Client, snapshot: Snapshot) -> Client:
    """Return the client with all that has been read of its port."""
    return replace(client, port=snapshot.ports[client.port.name]) if client.port else client


def _once(*many: Iterable[RouterPort]) -> tuple[RouterPort, ...]:
    return tuple({port.name: port for ports in many for port in ports}.values())


def _length(port: RouterPort, address: str) -> int:
    """Return the prefix length of the network of a router's interface that covers an address."""
    networks = [ipaddress.ip_interface(each).network for each in port.networks]
    return next(each.prefixlen for each in networks if ipaddress.ip_address(address) in each)


def _is_member(snapshot: Snapshot, port: Port) -> bool:
    lb = snapshot.lb
    return lb is not None and any(
        member.address in port.ips and snapshot.member_switch(member) == port.switch
        for _, member in lb.members()
    )


def _mapped(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Yield switch port and address of every monitored member."""
    for row in rows:
        for address, value in row.ip_port_mappings.items():
            yield value.partition(":")[0], address.strip("[]")
