# SPDX-License-Identifier: Apache-2.0
"""Checks of what ACLs say on the client's side.

OVN evaluates the client's rules before it has chosen a member for the first packet, and after it
for the following ones: they must allow the VIP and the members (measured).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace

from octavia_ovn.core import ip, model
from octavia_ovn.core.diagnosis import codes
from octavia_ovn.core.diagnosis.acls import (
    FROM_PORT,
    TO_PORT,
    VIP_GROUPS,
    Answer,
    Decision,
    decide,
)
from octavia_ovn.core.diagnosis.findings import Code, Finding, ok
from octavia_ovn.core.diagnosis.match import Packet
from octavia_ovn.core.diagnosis.path import Path
from octavia_ovn.core.diagnosis.snapshot import Port
from octavia_ovn.core.text import command

_MANY = 8
"""Networks in a command to copy."""


def client_egress(path: Path) -> Iterator[Finding]:
    """Check that the security groups of the client's port allow the packets."""
    port = path.client.port
    if port is None or path.listener is None:
        return
    acls = [each for each in path.snapshot.acls if each.group in port.groups]
    packet = _packet(path, port)
    target = f"{path.protocol.upper()} {path.destination}:{path.port}"
    decision = decide(acls, FROM_PORT, packet, path.snapshot.address_sets)
    code, what = codes.CLIENT_RULES_FORBID, f"the client's packets to {target}"
    bad = _finding(decision, code, what, tracked=path.is_inside)
    if bad is not None:
        yield bad
        return
    for member in path.serving:
        packet = _packet(path, port, member)
        decision = decide(acls, FROM_PORT, packet, path.snapshot.address_sets)
        what = f"the client's packets to the member {member.address}:{member.port}"
        bad = _finding(decision, code, what)
        if bad is not None:
            yield bad
            return
    yield ok(f"The client may send to {target} and to the members.")


def allowed_clients(path: Path) -> Iterator[Finding]:
    """Check that the listener allows the client, and that the ACLs agree."""
    listener = path.listener
    if listener is None or not listener.allowed_cidrs:
        return
    cidrs = ", ".join(listener.allowed_cidrs)
    if _is_allowed(path):
        yield ok(f"The listener's allowed_cidrs ({cidrs}) contain {path.source}.")
    elif _is_denied(_at_entry(path), path):
        yield codes.CLIENT_NOT_ALLOWED.finding(
            f"The listener's allowed_cidrs ({cidrs}) do not contain {path.source}.",
            _letting_in(listener),
        )
    else:
        yield codes.CLIENT_NOT_STOPPED.finding(
            f"The listener's allowed_cidrs ({cidrs}) do not contain {path.source}, but no"
            " rule denies it."
        )


def _letting_in(listener: model.Listener) -> str:
    """Return a command that allows one more network, if it is not too long to copy.

    It names those that are allowed already: the option replaces the list.
    """
    if len(listener.allowed_cidrs) > _MANY:
        return ""
    options = [word for each in listener.allowed_cidrs for word in ("--allowed-cidr", each)]
    words = (*options, "--allowed-cidr", "CIDR", listener.id)
    return command("openstack loadbalancer listener set", *words)


def connection_limit(path: Path) -> Iterator[Finding]:
    """Check that the listener has less connections than it may."""
    listener = path.listener
    if listener is None or listener.connection_limit is None:
        return
    words = f"connection_limit ({listener.connection_limit})"
    if listener.id in path.snapshot.closed:
        yield codes.LIMIT_REACHED.finding(
            f"The listener has as many connections as its {words} lets in.",
            command("openstack loadbalancer listener set --connection-limit LIMIT", listener.id),
        )
    else:
        yield ok(f"The listener's {words} lets new connections in.")


def network_entry(path: Path) -> Iterator[Finding]:
    """Check the rules, other than security groups, of the switch where the client enters."""
    if path.listener is None:
        return
    decision = _at_entry(path)
    if _is_denied(decision, path) and not _is_allowed(path):
        return
    what = f"packets from {path.source} to {path.destination}:{path.port}"
    of_vip = decision.acl is not None and decision.acl.owner == VIP_GROUPS
    code = codes.VIP_GROUPS_FORBID if of_vip else codes.NETWORK_RULES_FORBID
    bad = _finding(decision, code, what, tracked=path.is_inside)
    if bad is not None and bad.code is codes.VIP_GROUPS_FORBID:
        bad = replace(bad, remedy=ingress_rule(path.source, path.protocol, path.port))
    if bad is not None:
        yield bad


def _at_entry(path: Path) -> Decision:
    """Return what the rules of the switch decide by which the client's packets come in."""
    switches = [path.client_switch] if path.is_inside else [each.switch for each in path.gateways]
    groups = frozenset(
        group
        for port in path.snapshot.ports.values()
        if port.type == "router" and port.switch in switches
        for group in port.groups
    )
    acls = [each for each in path.snapshot.acls if each.group in groups]
    return decide(acls, FROM_PORT, _packet(path, path.client.port), path.snapshot.address_sets)


def _is_denied(decision: Decision, path: Path) -> bool:
    """Whether the rule for the listener's allowed CIDRs forbids the packet."""
    listener_id = path.listener.id if path.listener else ""
    denied = decision.acl if decision.answer is Answer.DENIED else None
    return denied is not None and denied.listener == listener_id


def _is_allowed(path: Path) -> bool:
    source = ipaddress.ip_address(path.source)
    cidrs = path.listener.allowed_cidrs if path.listener else ()
    return not cidrs or any(source in ipaddress.ip_network(each) for each in cidrs)


def member_ingress(path: Path, member: model.Member, port: Port) -> Decision:
    """Return what the security groups of a member's port let in."""
    acls = [each for each in path.snapshot.acls if each.group in port.groups]
    packet = Packet(
        source=seen_source(path, member),
        destination=member.address,
        protocol=path.protocol,
        port=member.port,
        outport=port.name,
        out_groups=port.groups,
    )
    return decide(acls, TO_PORT, packet, path.snapshot.address_sets)


def ingress_rule(source: str, protocol: str, port: int) -> str:
    """Return a command that lets packets in; `GROUP` stands for one of the port's groups."""
    words = ("--protocol", protocol, "--dst-port", str(port), "--remote-ip", source, "GROUP")
    version = f"IPv{ip.family(source)}"
    return command("openstack security group rule create --ingress --ethertype", version, *words)


def seen_source(path: Path, member: model.Member) -> str:
    """Return the source that a member sees.

    A member that connects to its own VIP sees the VIP, or the hairpin address of the flavor.
    """
    if member.address not in path.client.addresses:
        return path.source
    version = ip.family(member.address)
    hairpin = (each for each in path.lb.flavor.hairpin_snat_ip if ip.family(each) == version)
    return next(hairpin, path.destination)


def rule_words(decision: Decision) -> str:
    """Describe the rule that decided."""
    acl = decision.acl
    if acl is None:
        return "no rule"
    return f"{acl.owner or f'port group {acl.group}'}: {acl.action} {acl.match}"


def _packet(path: Path, port: Port | None, member: model.Member | None = None) -> Packet:
    return Packet(
        source=path.source,
        destination=member.address if member else path.destination,
        protocol=path.protocol,
        port=member.port if member else path.port,
        inport=port.name if port else "",
        in_groups=port.groups if port else frozenset(),
    )


def _finding(
    decision: Decision, denied: Code, what: str, *, tracked: bool = False
) -> Finding | None:
    """Return what is wrong; None when the packet is allowed.

    :param denied: the problem when a rule forbids the packet
    :param tracked: whether the switch must track the connection, because it balances it itself;
        from outside the router does
    """
    words = rule_words(decision)
    if decision.answer is Answer.UNCLEAR:
        words = f"It is not known whether ACLs allow {what} ({words})."
        return codes.RULES_UNCLEAR.finding(words)
    if decision.answer is Answer.DENIED:
        return denied.finding(f"ACLs forbid {what} ({words}).")
    if decision.answer is Answer.STATELESS and tracked:
        words = f"A stateless rule allows {what}, so OVN does not balance them ({words})."
        return codes.CLIENT_RULE_STATELESS.finding(words)
    return None
