# SPDX-License-Identifier: Apache-2.0
"""Checks of the members: who should serve, and who can."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from octavia_ovn.core import codec, ip, model
from octavia_ovn.core.codec.neutron import hm_port_name, object_id
from octavia_ovn.core.diagnosis import client_acls, codes
from octavia_ovn.core.diagnosis.acls import Answer
from octavia_ovn.core.diagnosis.findings import Finding, Severity, ok
from octavia_ovn.core.diagnosis.path import Path
from octavia_ovn.core.diagnosis.snapshot import Port, Snapshot
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.text import command
from octavia_ovn.core.topology import RouterPort

_LEFT_OUT = {HealthState.DOWN: "fails its check", HealthState.UNKNOWN: "is not checked yet"}
"""Why a member that chassis check does not serve."""


def eligibility(path: Path) -> Iterator[Finding]:
    """Check which members should serve, and why the others should not."""
    pool = path.pool
    if pool is None:
        return
    left_out = [
        f"{_name(path, each)} {why}"
        for each in pool.members
        if (why := _why_not(path, each)) and each not in path.members
    ]
    reasons = "; ".join(left_out)
    if not pool.members:
        remedy = command("openstack loadbalancer member create", pool.id)
        yield codes.NO_MEMBERS.finding("The pool has no members.", remedy)
    elif not path.members and pool.enabled:
        yield codes.NO_MEMBER_SERVES.finding(f"No member may serve: {reasons}.")
    elif left_out:
        words = f"{len(left_out)} of {len(pool.members)} members do not serve: {reasons}."
        yield codes.MEMBERS_LEFT_OUT.finding(words)
    elif pool.enabled:
        yield ok(f"All members may serve ({len(pool.members)}).")


def _why_not(path: Path, member: model.Member) -> str:
    if not member.enabled:
        return "is administratively down"
    if not path.snapshot.health.weight(member):
        return "says that its weight is 0" if member.weight else "has weight 0"
    if ip.family(member.address) != ip.family(path.destination):
        return f"is not of the IP version of {path.destination}"
    state = path.snapshot.health.of(path.pool, member) if path.pool else None
    if state is HealthState.UNREACHABLE:
        return "cannot be reached"
    if path.pool and path.pool.id in path.snapshot.health.probed and state in _LEFT_OUT:
        return _LEFT_OUT[state]
    return "is a backup" if member.backup else ""


def monitoring(path: Path) -> Iterator[Finding]:
    """Check that members can be checked: OVN leaves out those that cannot."""
    pool = path.pool
    if pool is None or pool.monitor is None or not path.serving:
        return
    if not pool.enabled or not pool.monitored:
        yield ok("The health monitor is administratively down: members are not checked.")
        return
    if pool.id in path.snapshot.health.probed:
        yield ok("Members are checked by octavia-ovn-chassis on the chassis where they are.")
        return
    checked = {check.vip for row in path.snapshot.rows for check in row.health_checks}
    if path.key not in checked:
        yield codes.NO_HEALTH_CHECK.finding(
            f"{path.key} has no health check in the Northbound database: packets also go"
            " to members that are down."
        )
        return
    sources = {_source(path, each) for each in path.serving} - {""}
    for subnet_id in sorted({each.subnet_id or "" for each in path.serving}):
        yield _check_port(path.snapshot, subnet_id, sources)


def _check_port(snapshot: Snapshot, subnet_id: str, sources: Collection[str]) -> Finding:
    """Check the port that the members on a subnet are checked from.

    :param sources: the addresses that they are checked from, as the rows say
    """
    name = hm_port_name(subnet_id)
    ports = (each for each in snapshot.ports.values() if each.label == name)
    port = next((each for each in ports if not set(sources).isdisjoint(each.ips)), None)
    if port is None:
        return codes.NO_CHECK_PORT.finding(
            f"No port {name} holds the address that members are checked from"
            f" ({', '.join(sorted(sources)) or 'none'}): another machine may be given it."
        )
    if not port.enabled:
        return codes.CHECK_PORT_DISABLED.finding(
            f"The port {port.title} that members are checked from is administratively"
            " down: all of them are shown as DOWN.",
            command("openstack port set --enable", port.name),
        )
    return ok(f"Members on subnet {subnet_id} are checked from {', '.join(port.ips)}.")


def ways(path: Path) -> Iterator[Finding]:
    """Check the way to each member that OVN hands packets to; one is enough."""
    if not path.serving:
        return
    found = [_way(path, each) for each in path.serving]
    usable = any(each.severity is not Severity.FAULT for each in found)
    yield from (replace(each, bypassed=usable) for each in found)


def _way(path: Path, member: model.Member) -> Finding:
    """Return the first obstacle on the way to a member, or that there is none."""
    for check in (_is_up, _reached, _plugged, _allowed):
        found = check(path, member)
        if found is not None:
            return found
    return ok(f"Packets reach {_name(path, member)}.")


def _is_up(path: Path, member: model.Member) -> Finding | None:
    pool = path.pool
    if pool is None or not pool.monitored:
        return None
    name = _name(path, member)
    if pool.id not in path.snapshot.health.probed and not _source(path, member):
        return codes.MEMBER_NOT_CHECKED.finding(
            f"{name} is not checked and therefore left out by OVN: it has no entry in"
            " ip_port_mappings."
        )
    if path.snapshot.health.may_serve(pool, member):
        return None
    return codes.MEMBER_DOWN.finding(f"{name} is DOWN according to its health monitor.")


def _reached(path: Path, member: model.Member) -> Finding | None:
    """Check that a router connects the ingress of packets with the member."""
    snapshot = path.snapshot
    switch = snapshot.member_switch(member)
    name = _name(path, member)
    if switch is None:
        return codes.MEMBER_NETWORK_UNKNOWN.finding(f"The subnet of {name} is not known.")
    subnet = snapshot.subnets[member.subnet_id or ""]
    near = [
        each
        for each in snapshot.ports_on_switch(switch)
        if not each.gateway and each.covers(member.address)
    ]
    if path.is_inside:
        entry = {each.router for each in snapshot.ports_on_switch(path.client_switch)}
        origin = f"the client's network {snapshot.switch_label(path.client_switch)}"
    else:
        entry = set(path.entry_routers)
        routers = ", ".join(map(snapshot.router_label, path.entry_routers))
        origin = f"router {routers}"
    leading = [each for each in near if each.router in entry]
    if leading:
        return _interfaces(path, leading, name)
    if switch == path.client_switch:
        return None
    return codes.NO_ROUTE_TO_MEMBER.finding(
        f"{name} is on network {snapshot.switch_label(switch)}, subnet {subnet.cidr}, which"
        f" {origin} does not lead to.",
        command("openstack router add subnet ROUTER", subnet.id),
    )


def _interfaces(path: Path, leading: Sequence[RouterPort], name: str) -> Finding | None:
    """Check that an interface that leads to a member is up."""
    down = {port: path.snapshot.why_down(port) for port in leading}
    if not all(down.values()):
        return None
    port, sentence = next(iter(down.items()))
    remedy = router_remedy(port, path.snapshot)
    return codes.ROUTER_DISABLED.finding(f"{name}: {sentence}", remedy)


def router_remedy(port: RouterPort, snapshot: Snapshot) -> str:
    """Return the command that enables a router, or its interface."""
    if port.router in snapshot.down:
        return command("openstack router set --enable", object_id(port.router))
    return command("openstack port set --enable", port.switch_port)


def _plugged(path: Path, member: model.Member) -> Finding | None:
    snapshot = path.snapshot
    switch = snapshot.member_switch(member) or ""
    port = snapshot.port_at(switch, member.address)
    name = _name(path, member)
    if port is None:
        if snapshot.is_provider(switch):
            return None
        label = snapshot.switch_label(switch)
        return codes.NO_PORT_OF_MEMBER.finding(
            f"{name}: no port on network {label} has the address {member.address}, so it is served"
            " without being checked."
        )
    found = port_findings(port, f"{name}: its port")
    bad = [each for each in found if each.code]
    return bad[0] if bad else None


def _allowed(path: Path, member: model.Member) -> Finding | None:
    port = path.snapshot.port_at(path.snapshot.member_switch(member), member.address)
    if port is None:
        return None
    decision = client_acls.member_ingress(path, member, port)
    name, words = _name(path, member), client_acls.rule_words(decision)
    if decision.answer is Answer.UNCLEAR:
        return codes.RULES_UNCLEAR.finding(
            f"Whether the security groups of {name} let packets in is unclear ({words})."
        )
    if decision.answer is Answer.DENIED:
        source = client_acls.seen_source(path, member)
        return codes.MEMBER_RULES_FORBID.finding(
            f"The security groups of {name} do not let packets in from {source} to port"
            f" {member.port} ({words}).",
            client_acls.ingress_rule(source, path.protocol, member.port),
        )
    return None


def port_findings(port: Port, what: str) -> Iterator[Finding]:
    """Check that a machine is behind a port."""
    if not port.enabled:
        yield codes.PORT_DISABLED.finding(
            f"{what} {port.title} is administratively down.",
            command("openstack port set --enable", port.name),
        )
    elif port.chassis is None:
        yield codes.PORT_UNKNOWN.finding(f"{what} {port.title}: its hypervisor is not known.")
    elif not port.chassis:
        yield codes.PORT_UNBOUND.finding(f"{what} {port.title} is not bound to a hypervisor.")
    else:
        yield ok(f"{what} {port.title} is on {port.chassis}.")


def _source(path: Path, member: model.Member) -> str:
    """Return the address that a member is checked from, empty for none."""
    key = codec.bracketed(member.address)
    found = next(
        (r.ip_port_mappings[key] for r in path.snapshot.rows if key in r.ip_port_mappings), ""
    )
    return codec.mapping_source(found)


def _name(path: Path, member: model.Member) -> str:
    status = path.snapshot.statuses.get((Kind.MEMBER, member.id))
    where = codec.endpoint(member.address, member.port)
    return f"member {status.name} ({where})" if status and status.name else f"member {where}"
