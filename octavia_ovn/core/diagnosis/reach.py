# SPDX-License-Identifier: Apache-2.0
"""Members that cannot be reached or checked, independent of results of checks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from octavia_ovn.core import model
from octavia_ovn.core.diagnosis.snapshot import Snapshot
from octavia_ovn.core.health import HealthState

_VIRTUAL = "virtual"


def health_states(snapshot: Snapshot) -> dict[str, HealthState]:
    """Return the health of members by id where it does not depend on checks."""
    return dict(_health_states(snapshot))


def _health_states(snapshot: Snapshot) -> Iterator[tuple[str, HealthState]]:
    for pool, member in snapshot.lb.members() if snapshot.lb else ():
        state = _health_state(snapshot, pool, member)
        if state is not None:
            yield member.id, state


def _health_state(snapshot: Snapshot, pool: model.Pool, member: model.Member) -> HealthState | None:
    switch = snapshot.member_switch(member)
    if switch is not None and _is_occupied(snapshot, switch, member.address):
        return HealthState.UNREACHABLE
    if not pool.monitored:
        return None
    if switch is None:
        return HealthState.UNREACHABLE
    port = snapshot.port_at(switch, member.address)
    if port is None or port.type == _VIRTUAL:
        return HealthState.UNCHECKED
    return HealthState.UNREACHABLE if port.chassis == "" else None


def _is_occupied(snapshot: Snapshot, switch: str, address: str) -> bool:
    """Whether an address is a router's or a VIP of this load balancer."""
    here = (
        {vip.address for vip in snapshot.lb.vips if snapshot.switch_of(vip) == switch}
        if snapshot.lb
        else ()
    )
    return address in here or any(
        str(ipaddress.ip_interface(network).ip) == address
        for port in snapshot.ports_on_switch(switch)
        for network in port.networks
    )
