"""Which members cannot be reached or checked, whatever their checks say."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from octavia_ovn.core import model
from octavia_ovn.core.diagnosis.snapshot import Scene
from octavia_ovn.core.health import Verdict

_VIRTUAL = "virtual"


def verdicts(scene: Scene) -> dict[str, Verdict]:
    """Return what is known of members by their ids, as the agent judges them."""
    return dict(_verdicts(scene))


def _verdicts(scene: Scene) -> Iterator[tuple[str, Verdict]]:
    for pool, member in scene.lb.members() if scene.lb else ():
        verdict = _verdict(scene, pool, member)
        if verdict is not None:
            yield member.id, verdict


def _verdict(scene: Scene, pool: model.Pool, member: model.Member) -> Verdict | None:
    switch = scene.member_switch(member)
    if switch is not None and _is_occupied(scene, switch, member.address):
        return Verdict.UNREACHABLE
    if not pool.monitored:
        return None
    if switch is None:
        return Verdict.UNREACHABLE
    port = scene.port_at(switch, member.address)
    if port is None or port.type == _VIRTUAL:
        return Verdict.UNCHECKED
    return Verdict.UNREACHABLE if port.chassis == "" else None


def _is_occupied(scene: Scene, switch: str, address: str) -> bool:
    """Whether an address is a router's or a VIP of this load balancer."""
    here = (
        {vip.address for vip in scene.lb.vips if scene.switch_of(vip) == switch} if scene.lb else ()
    )
    return address in here or any(
        str(ipaddress.ip_interface(network).ip) == address
        for port in scene.ports_on_switch(switch)
        for network in port.networks
    )
