# SPDX-License-Identifier: Apache-2.0
"""Which probe a monitored member needs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from octavia_ovn.core import model
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.model import MonitorType, Protocol
from octavia_ovn.core.probing.spec import Probe, Source

_OF_OVN = {Protocol.TCP: MonitorType.TCP, Protocol.UDP: MonitorType.UDP_CONNECT}
"""Protocol of a pool → the type of check that OVN can do itself."""


@dataclass(frozen=True, slots=True)
class Target:
    """A member that a chassis should probe.

    :param port: the switch port where it is; its chassis probes the member
    :param weighted: whether its answers say its weight
    :param project: that asks for it; empty where that is not known
    """

    port: str
    probe: Probe
    weighted: bool = False
    project: str = ""


@dataclass(frozen=True, slots=True)
class Probes:
    """The members of a load balancer that chassis probe.

    :param targets: member id → how
    :param before: how they counted before this agent became the leader, where that is known
    :param serving: those that receive connections now
    :param first: those that continue to do so until their first result
    :param weights: weights that they have said before this agent became the leader
    """

    targets: Mapping[str, Target] = field(default_factory=dict)
    before: Mapping[str, HealthState] = field(default_factory=dict)
    serving: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    weights: Mapping[str, int] = field(default_factory=dict)


def needs_probes(pool: model.Pool) -> bool:
    """Whether OVN cannot do the checks of a pool."""
    return pool.monitor is not None and (
        pool.monitor.type is not _OF_OVN.get(pool.protocol)
        or any(each.monitor_address or each.monitor_port for each in pool.members)
    )


def source(port: str, mac: str, addresses: Iterable[str], cidr: str) -> Source | None:
    """Return the port that probes come from; None when it cannot be one.

    :param addresses: Neutron adds one for each new subnet with SLAAC, to ports that are there, too
    :param cidr: of the subnet
    """
    network = ipaddress.ip_network(cidr)
    found = (each for each in addresses if ipaddress.ip_address(each) in network)
    try:
        return Source(port, mac, f"{next(found, '')}/{network.prefixlen}")
    except ValueError:
        return None


def probe(pool: model.Pool, member: model.Member, origin: Source) -> Probe | None:
    """Return the probe of a member; None when it cannot be probed from there.

    Another driver may have let in 0 as a time or a count.
    """
    monitor = pool.monitor
    if monitor is None:
        return None
    http = {
        name: value for name in model.HTTP_FORMS if (value := getattr(monitor, name)) is not None
    }
    try:
        return Probe(
            id=member.id,
            source=origin,
            address=member.monitor_address or member.address,
            port=0 if monitor.type is MonitorType.PING else member.monitor_port or member.port,
            type=monitor.type,
            delay=max(1, monitor.delay),
            timeout=max(1, monitor.timeout),
            rise=max(1, monitor.max_retries),
            fall=max(1, monitor.max_retries_down),
            **http,
        )
    except ValueError:
        return None
