# SPDX-License-Identifier: Apache-2.0
"""Members that cannot be reached or checked, independent of results of checks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from octavia_ovn.core import codec, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.diagnosis.snapshot import Snapshot
from octavia_ovn.core.health import HealthState

_VIRTUAL = "virtual"
_SHOWN = {
    "ONLINE": HealthState.UP,
    "ERROR": HealthState.DOWN,
    "NO_MONITOR": HealthState.UNCHECKED,
}
"""The result of a probe that led to an operating status in Octavia; others are not known."""


def probed_pools(snapshot: Snapshot) -> frozenset[str]:
    """Return the ids of the pools that chassis check: OVN has nothing of a check for them."""
    if snapshot.lb is None:
        return frozenset()
    checked = {
        check.external_ids.get(k.CHECK_POOL) for row in snapshot.rows for check in row.health_checks
    }
    mapped = {key for row in snapshot.rows for key in row.ip_port_mappings}
    return frozenset(
        pool.id
        for pool in snapshot.lb.pools
        if pool.monitored
        and pool.id not in checked
        and mapped.isdisjoint(codec.bracketed(each.address) for each in pool.members)
    )


def health_states(snapshot: Snapshot) -> dict[str, HealthState]:
    """Return the health of members by id where it does not depend on OVN's checks.

    What chassis have found is in the rows, as the statuses that the agent has reported.
    """
    probed = probed_pools(snapshot)
    readable = probed and snapshot.intent is not None
    shown = codec.decode(snapshot.rows).member_status if readable else {}
    found = {
        member.id: _SHOWN.get(shown.get(member.id, ""), HealthState.UNKNOWN)
        for pool, member in (snapshot.lb.members() if snapshot.lb else ())
        if pool.id in probed
    }
    return {**found, **dict(_health_states(snapshot))}


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
