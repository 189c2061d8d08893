# SPDX-License-Identifier: Apache-2.0
"""The checks of `octavia-ovn trace`: the way of a packet, from the intent to the members.

A new check is a function that takes a :class:`Path` and yields findings, and a line in `CHECKS`.
Each problem that it may find has an entry in the table :mod:`octavia_ovn.core.diagnosis.codes`.
The input of checks is the snapshot; no check does I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from octavia_ovn.core import codec, ip
from octavia_ovn.core.codec import neutron
from octavia_ovn.core.diagnosis import client_acls, codes, drift, members
from octavia_ovn.core.diagnosis.findings import Check, Code, Finding, ok
from octavia_ovn.core.diagnosis.members import router_remedy
from octavia_ovn.core.diagnosis.path import Path
from octavia_ovn.core.diagnosis.snapshot import Port
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.text import command


def _octavia(path: Path) -> Iterator[Finding]:
    snapshot = path.snapshot
    status = snapshot.statuses.get((Kind.LOAD_BALANCER, path.lb.id))
    if status and status.provisioning != "ACTIVE":
        words = f"Octavia shows the load balancer in {status.provisioning}."
        yield codes.NOT_ACTIVE.finding(words)
    if not snapshot.rows:
        yield codes.NO_ROWS.finding("The Northbound database has no row of the load balancer.")
    for sentence in snapshot.problems:
        yield codes.ROWS_UNREADABLE.finding(f"A part of its rows cannot be read: {sentence}.")
    different = drift.sentences(snapshot)
    if different:
        words = f"Octavia and the rows differ: {'; '.join(different)}."
        yield codes.DIFFERENT.finding(words)


def _enabled(path: Path) -> Iterator[Finding]:
    lb = path.lb
    remedy = command("openstack loadbalancer set --enable", lb.id)
    yield _state("The load balancer", codes.LB_DISABLED, remedy, enabled=lb.enabled)


def _state(what: str, code: Code, remedy: str, *, enabled: bool) -> Finding:
    """Return the finding about the administrative state of an object."""
    if enabled:
        return ok(f"{what} is enabled.")
    return code.finding(f"{what} is administratively down.", remedy)


def _listener(path: Path) -> Iterator[Finding]:
    listener = path.listener
    if listener is None:
        where = f"on port {path.port}" if path.port else "at all"
        yield codes.NO_LISTENER.finding(f"There is no listener {where}.")
        return
    name = path.snapshot.name_of(Kind.LISTENER, listener.id)
    words = f"Listener {name} ({listener.protocol.name} {listener.port})"
    remedy = command("openstack loadbalancer listener set --enable", listener.id)
    yield _state(words, codes.LISTENER_DISABLED, remedy, enabled=listener.enabled)


def _pool(path: Path) -> Iterator[Finding]:
    if path.listener is None:
        return
    pool = path.pool
    if pool is None:
        fixed = "openstack loadbalancer listener set --default-pool POOL"
        remedy = command(fixed, path.listener.id)
        yield codes.NO_POOL.finding("The listener has no pool.", remedy)
        return
    name = path.snapshot.name_of(Kind.POOL, pool.id)
    remedy = command("openstack loadbalancer pool set --enable", pool.id)
    yield _state(f"Pool {name}", codes.POOL_DISABLED, remedy, enabled=pool.enabled)


def _address(path: Path) -> Iterator[Finding]:
    if path.floating_ip is not None:
        yield ok(f"{path.destination} is the floating IP of the VIP {path.vip.address}.")
    elif path.is_inside or path.snapshot.is_provider(path.vip_switch):
        yield ok(f"{path.destination} is the VIP.")
    elif path.client.port is None:
        yield _private(path)
    else:
        here = path.snapshot.switch_label(path.client_switch)
        there = path.snapshot.switch_label(path.vip_switch)
        yield codes.NETWORKS_NOT_CONNECTED.finding(
            f"No router connects the client's network {here} with the VIP's network {there},"
            " and the VIP has no floating IP."
        )


def _private(path: Path) -> Finding:
    """Return the finding about a VIP without floating IP for a client outside."""
    routers = ", ".join(map(path.snapshot.router_label, path.entry_routers))
    if routers and ip.family(path.destination) == 6:  # noqa: PLR2004 - an IP version
        return codes.VIP_NEEDS_ROUTE.finding(
            f"{path.destination} has no floating IP, as IPv6 has none: the external network must"
            f" have a route to it, by router {routers}."
        )
    return codes.VIP_IS_PRIVATE.finding(
        f"{path.destination} is a private address, and the VIP has no floating IP:"
        " clients outside cannot reach it.",
        command("openstack floating ip create --port", path.vip.port_id or "PORT", "NETWORK"),
    )


def _entry(path: Path) -> Iterator[Finding]:
    """Check the entry of `vips`, without which OVN does not serve the address."""
    should = path.lb.enabled and path.listener and path.listener.enabled and path.members
    if path.backends:
        yield ok(f"OVN balances {path.key} to {', '.join(path.backends)}.")
    elif should and path.snapshot.rows:
        words = f"{path.key} is missing from vips in the Northbound database."
        yield codes.NOT_IN_VIPS.finding(words)


def _client(path: Path) -> Iterator[Finding]:
    if path.client.port is not None:
        yield from members.port_findings(path.client.port, "The client's port")


def _attachment(path: Path) -> Iterator[Finding]:
    """Check that the load balancer is attached where this client enters."""
    held = frozenset(each for row in path.snapshot.rows for each in row.switches)
    routers = frozenset(each for row in path.snapshot.rows for each in row.routers)
    if path.is_inside:
        label = path.snapshot.switch_label(path.client_switch)
        if path.client_switch in held:
            yield ok(f"The load balancer is attached to the client's network {label}.")
        elif path.snapshot.rows:
            yield codes.NOT_ON_NETWORK.finding(
                f"The load balancer is not attached to the client's network {label}:"
                f" switch {path.client_switch} does not refer to it."
            )
        return
    if not path.entry_routers and path.snapshot.is_provider(path.vip_switch):
        label = path.snapshot.switch_label(path.vip_switch)
        yield codes.NO_ROUTER.finding(
            f"Nothing answers for {path.vip.address}: no router has a gateway or an interface on"
            f" the provider network {label}.",
            command(
                "openstack router set --external-gateway",
                neutron.object_id(path.vip_switch),
                "ROUTER",
            ),
        )
    missing = [each for each in path.entry_routers if each not in routers]
    for router in missing if path.snapshot.rows else ():
        label = path.snapshot.router_label(router)
        words = f"The load balancer is not attached to router {label} ({router})."
        yield codes.NOT_ON_ROUTER.finding(words)
    for router in sorted(routers & set(path.entry_routers)):
        yield ok(f"The load balancer is attached to router {path.snapshot.router_label(router)}.")


def _routers(path: Path) -> Iterator[Finding]:
    """Check that the routers that packets come in by, and their interfaces there, are enabled."""
    down = {each: path.snapshot.why_down(each) for each in path.entries}
    blocked = all(down.values())
    for port, sentence in down.items():
        if not sentence:
            yield ok(f"Router {path.snapshot.router_label(port.router)} is enabled.")
            continue
        found = codes.ROUTER_DISABLED.finding(sentence, router_remedy(port, path.snapshot))
        yield replace(found, bypassed=not blocked)


def _provider(path: Path) -> Iterator[Finding]:
    """Check that the network outside does not refer to the load balancer."""
    if path.is_inside:
        return
    held = {each for row in path.snapshot.rows for each in row.switches}
    for switch in sorted(filter(path.snapshot.is_provider, held)):
        yield codes.ON_PROVIDER_NETWORK.finding(
            f"The load balancer is attached to the provider network"
            f" {path.snapshot.switch_label(switch)}: before OVN 25.03 clients outside get their"
            " replies from the router's address then.",
            command("ovn-nbctl ls-lb-del", switch, "ROW"),
        )


def _gateway(path: Path) -> Iterator[Finding]:
    """Check the gateway that clients outside come in by."""
    if path.is_inside or not path.entry_routers:
        return
    if not path.gateways:
        routers = ", ".join(map(path.snapshot.router_label, path.entry_routers))
        yield codes.NO_GATEWAY.finding(f"Router {routers} has no gateway to an external network.")
    for gateway in path.gateways:
        chassis = path.snapshot.gateway_chassis.get(gateway.name)
        label = path.snapshot.router_label(gateway.router)
        if chassis is None:
            yield codes.GATEWAY_UNKNOWN.finding(
                f"The Southbound database does not say where the gateway of {label} is bound."
            )
        elif chassis:
            yield ok(f"The gateway of router {label} is on {chassis}.")
        else:
            words = f"The gateway of router {label} is bound to no hypervisor."
            yield codes.GATEWAY_UNBOUND.finding(words)


def _vip_port(path: Path) -> Iterator[Finding]:
    """Check which port answers ARP for the VIP."""
    port = path.snapshot.ports.get(path.vip.port_id or "")
    why = (codec.read_lost_vips(path.snapshot.rows) or {}).get(path.vip.address)
    if why:
        yield codes.VIP_NOT_SERVED.finding(f"The VIP {path.vip.address} is not served: {why}.")
    if path.client_switch != path.vip_switch or not path.is_inside:
        return
    on_switch = {each.router for each in path.snapshot.ports_on_switch(path.vip_switch)}
    routers = {each for row in path.snapshot.rows for each in row.routers}
    if path.vip.address in path.snapshot.answered:
        yield ok(f"A responder of the provider answers ARP for {path.vip.address}.")
    elif path.snapshot.rows and not on_switch & routers:
        label = path.snapshot.switch_label(path.vip_switch)
        yield codes.NO_ARP.finding(
            f"Nothing answers ARP for {path.vip.address}: no router that the load balancer is"
            f" attached to has an interface on network {label}."
        )
    if port is not None and _answers(port, path):
        yield codes.VIP_PORT_ANSWERS.finding(
            f"The VIP's port {port.title} has addresses, so OVN answers ARP for"
            f" {path.vip.address} with the MAC of a port without a machine.",
            command("ovn-nbctl lsp-set-addresses", port.name),
        )


def _answers(port: Port, path: Path) -> bool:
    """Whether OVN answers ARP for the VIP with the MAC of its port."""
    answers = path.snapshot.answers_for_down or bool(port.chassis)
    known = any(path.vip.address in each.split() for each in port.addresses)
    return answers and known and not port.silent


CHECKS = (
    Check("octavia", "Octavia and the rows", _octavia),
    Check("load-balancer", "Load balancer", _enabled),
    Check("listener", "Listener", _listener),
    Check("pool", "Pool", _pool),
    Check("members", "Members", members.eligibility),
    Check("address", "Address", _address),
    Check("client-port", "Client's port", _client),
    Check("client-security-groups", "Client's security groups", client_acls.client_egress),
    Check("allowed-cidrs", "Allowed clients", client_acls.allowed_clients),
    Check("connection-limit", "Connection limit", client_acls.connection_limit),
    Check("network-rules", "Rules of the client's network", client_acls.network_entry),
    Check("gateway", "Gateway", _gateway),
    Check("routers", "Routers", _routers),
    Check("attachment", "Attachment", _attachment),
    Check("provider-network", "Network outside", _provider),
    Check("vip-port", "VIP port", _vip_port),
    Check("vips", "Entry in vips", _entry),
    Check("health-monitor", "Health monitor", members.monitoring),
    Check("backends", "Ways to the members", members.ways),
)
"""All checks, in the order of a packet's way."""
