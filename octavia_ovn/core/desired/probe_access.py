# SPDX-License-Identifier: Apache-2.0
"""The access-control row that lets probes of chassis reach members.

OVN's own checks pass all security groups, so the probes do, too: tenants need no rule for either.
Only what is probed is opened, and only to the port that probes come from: with its MAC address, no
packet fits that comes through a router.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from octavia_ovn.core import ip
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing.plan import Target
from octavia_ovn.core.probing.spec import Probe, Source
from octavia_ovn.core.rows import Acl, PortGroup, Strings

_PINGS = {4: "icmp4.type == 8", 6: "icmp6.type == 128"}


def group(name: str, targets: Iterable[Target], priority: int, owner: Strings) -> PortGroup | None:
    """Return the port group of the members that are probed; None when there are none.

    :param owner: the external_ids
    """
    targets = tuple(targets)
    if not targets:
        return None
    acls = [
        Acl(f"outport == @{name} && {match}", owner, priority, "to-lport", "allow-related")
        for match in sorted(set(_matches(targets)))
    ]
    return PortGroup(name, frozenset(each.port for each in targets), tuple(acls), owner)


def _matches(targets: Iterable[Target]) -> Iterator[str]:
    found = {
        (_source(each.probe.source), _protocol(each.probe), each.probe.port) for each in targets
    }
    for ((mac, address), protocol), items in groupby(sorted(found), key=lambda each: each[:2]):
        version = ip.family(address)
        ports = ", ".join(str(port) for _, _, port in items)
        what = f"{protocol}.dst == {{{ports}}}" if protocol else _PINGS[version]
        yield f"eth.src == {mac} && ip{version}.src == {address} && {what}"


def _source(source: Source) -> tuple[str, str]:
    return source.mac, source.address.partition("/")[0]


def _protocol(probe: Probe) -> str:
    """Return the protocol of a probe; empty for PING."""
    if probe.type is MonitorType.PING:
        return ""
    return "udp" if probe.type is MonitorType.UDP_CONNECT else "tcp"
