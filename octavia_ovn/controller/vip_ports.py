# SPDX-License-Identifier: Apache-2.0
"""Whether the VIPs of a load balancer are still ours in Neutron, and how to get them back.

A VIP port that was deleted, or has another address now, no longer keeps Neutron from giving the VIP
to another port. What OVN shows is a hint; Neutron's answer counts. A port that the driver made is
replaced, or gets its address back, while the address is free. A user-provided port is never
changed. A VIP that is lost is not served.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace

from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.protocols import Neutron, Northbound
from octavia_ovn.controller.tasks import Done
from octavia_ovn.core import model
from octavia_ovn.core.neutron_port import NeutronPort
from octavia_ovn.errors import NotFound

CHECK, _MAKE, _RETURN = "vip-port", "vip-port-again", "vip-address"
"""Kinds of calls. No event is about the ports that are checked, so their results get outdated."""


def is_restoring(effects: Effects, port_id: str, lb_id: str) -> bool:
    """Whether a port of a load balancer that goes is still being restored; that is given up."""
    keys = [(kind, port_id) for kind in (_MAKE, _RETURN)]
    running = [effects.is_running(key, lb_id) for key in keys]
    for key in keys:
        effects.forget(key)
    return any(running)


@dataclass(frozen=True, slots=True)
class Guarded:
    """VIPs after their ports were checked.

    :param vips: those of the load balancer, with the ports that they have now
    :param lost: those that are not ours: address → why
    """

    vips: tuple[model.Vip, ...]
    lost: dict[str, str] = field(default_factory=dict)


class VipGuard:
    """Checks VIP ports and restores them."""

    def __init__(self, nb: Northbound, neutron: Neutron, effects: Effects) -> None:
        self._nb = nb
        self._neutron = neutron
        self._effects = effects

    def guard(self, lb: model.LoadBalancer) -> Guarded:
        """Return the VIPs of a load balancer, and which of them are not ours any more."""
        vips: list[model.Vip] = []
        lost: dict[str, str] = {}
        for index, vip in enumerate(lb.vips):
            now, why = self._one(lb, index, vip)
            vips.append(now)
            if why:
                lost[vip.address] = why
        return Guarded(tuple(vips), lost)

    def _one(self, lb: model.LoadBalancer, index: int, vip: model.Vip) -> tuple[model.Vip, str]:
        """Return a VIP with the port that it has now, and why it is not ours; empty if it is."""
        if vip.port_id is None or vip.user_port is None:
            return vip, ""
        if self._nb.holds(vip.port_id, vip.address, user_port=vip.user_port) is not False:
            for kind in (CHECK, _MAKE, _RETURN):
                self._effects.forget((kind, vip.port_id))
            return vip, ""
        ask = functools.partial(self._neutron.port, vip.port_id)
        done = self._effects.get((CHECK, vip.port_id), ask, lb.id)
        if done is None:
            return vip, ""
        if isinstance(done.refusal, NotFound):
            why = f"its port {vip.port_id} was deleted in Neutron"
            return self._recreated(lb, index, vip, why)
        if done.value is None or any(each.address == vip.address for each in done.value.fixed_ips):
            return vip, ""
        why = f"its port {vip.port_id} has another address in Neutron"
        # Rows that others have written must not make us change a port of another owner.
        ours = done.value.is_vip_of(lb.id)
        return self._returned(lb, vip, why) if ours else (vip, why)

    def _recreated(
        self, lb: model.LoadBalancer, index: int, vip: model.Vip, why: str
    ) -> tuple[model.Vip, str]:
        if vip.user_port or vip.port_id is None or vip.network_id is None:
            return vip, why
        make = functools.partial(
            self._neutron.create_vip_port,
            lb.id,
            lb.project_id,
            vip.network_id,
            subnet_id=vip.subnet_id,
            address=vip.address,
            index=index or None,
        )
        done = self._effects.get((_MAKE, vip.port_id), make, lb.id)
        if done is None or done.value is None:
            return vip, _refused(why, done)
        return replace(vip, port_id=done.value.id, replaces=vip.replaces or vip.port_id), ""

    def _returned(self, lb: model.LoadBalancer, vip: model.Vip, why: str) -> tuple[model.Vip, str]:
        if vip.user_port or vip.port_id is None:
            return vip, why
        give = functools.partial(self._neutron.set_address, vip.port_id, vip.subnet_id, vip.address)
        done = self._effects.get((_RETURN, vip.port_id), give, lb.id)
        return vip, _refused(why, done)


def _refused(why: str, done: Done[NeutronPort] | None) -> str:
    """Return why a VIP is lost; empty while Neutron is asked to give it back, or has done so."""
    if done is None or done.refusal is None:
        return ""
    return f"{why}, and it cannot be had again: {done.refusal}"
