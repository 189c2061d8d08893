# SPDX-License-Identifier: Apache-2.0
"""Moving a load balancer from amphora to OVN, and back, by the APIs of Octavia and Neutron.

Both load balancers exist for a time, on one VIP port. Each step can be repeated, so a command that
has failed half-way is continued by the same command, or undone by the way back.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from octavia_ovn import wiring
from octavia_ovn.adapters.neutron.handover import VipHandover
from octavia_ovn.adapters.octavia import adoption
from octavia_ovn.adapters.octavia import data_models as models
from octavia_ovn.adapters.octavia.adoption import Effect, Loss, Tree
from octavia_ovn.adapters.octavia.moves import Moves
from octavia_ovn.core import model
from octavia_ovn.core.request import changes, limits
from octavia_ovn.errors import NotFound, Refused, failure, undoing

LOG = logging.getLogger(__name__)
AMPHORA = ("amphora", "octavia", "amphorav2")
"""Names of the provider: the others are aliases of the first."""
_QUESTIONS = 240
_PAUSE = 0.5
"""How often to ask, and after how many seconds each, until a load balancer of OVN must be ACTIVE or
deleted."""
_NO_ROUTER = (
    "subnet_id: no router joins subnet {value} with the VIP's network; amphorae have an interface"
    " in it, and OVN needs a router"
)


@dataclass(frozen=True, slots=True)
class Handover:
    """One load balancer of amphora, on its way to OVN or back.

    :param old: the load balancer of amphora
    """

    parts: wiring.Runtime
    moves: Moves
    old: Tree
    vip: VipHandover

    def losses(self) -> list[Loss]:
        """Return what is not the same with OVN.

        :raises Unavailable: when it cannot be found out
        """
        found = list(adoption.losses(self.old, self.parts.defaults))
        if any(each.effect is Effect.REFUSED for each in found):
            return found
        # What no object alone shows: members and networks, the operator's limits.
        lookup = models.VipLookup(self.parts.cidr, lambda _: True)
        values = adoption.provider_values(self.old)
        try:
            lb = models.load_balancer(values, self.parts.defaults, lookup)
            self.parts.recorder.plan(changes.CreateLoadBalancer(lb), ())
        except limits.Unsupported as error:
            reason = str(error).rstrip(".")
            return [*found, self._loss("load balancer", self.old.lb, Effect.REFUSED, reason)]
        return [*found, *self._unreached(lb)]

    def _unreached(self, lb: model.LoadBalancer) -> list[Loss]:
        """Return the members whose subnets no router joins with that of the VIP."""
        near = {vip.subnet_id for vip in lb.vips} | {
            each.id for each in self.parts.recorder.around(lb)
        }
        members = (each for pool in self.old.pools for each in pool.members)
        return [
            self._loss("member", each, Effect.CHANGED, _NO_ROUTER.format(value=each["subnet_id"]))
            for each in members
            if each.get("subnet_id") and each["subnet_id"] not in near
        ]

    @staticmethod
    def _loss(kind: str, values: models.Fields, effect: Effect, reason: str) -> Loss:
        return Loss(kind, values["id"], values.get("name") or "", effect, reason)

    def successor(self) -> str | None:
        """Return the id of the load balancer of OVN on the VIP port; None if there is none.

        :raises Refused: when there are several, or one that this command may not have made: a user
            may have others on a port of his own
        """
        found = self.moves.on_port(self.vip.port_id, "ovn")
        ids = [str(each["id"]) for each in found]
        if len(found) > 1:
            raise Refused(
                f"Several load balancers of provider ovn are on VIP port {self.vip.port_id}:"
                f" {', '.join(ids)}."
            )
        same = all((each.get("name") or "") == (self.old.lb.get("name") or "") for each in found)
        if not same and not self.vip.is_octavias():
            raise Refused(
                f"Load balancer {ids[0]} of provider ovn is on VIP port {self.vip.port_id}, which"
                " is a user's, and has another name: it may be no copy. Give both the same name if"
                " it is."
            )
        return ids[0] if ids else None

    def forth(self, flavor_id: str | None) -> str:
        """Create the load balancer with OVN on the VIP port, and silence the amphorae.

        :returns: its id
        :raises OctaviaOvnError: when a step fails; the steps before it are done
        """
        octavias = self.vip.is_octavias()
        new = self.successor()
        if new is None:
            new = self._create(flavor_id, octavias=octavias)
        else:
            self._check_copy(new)
        self._await_active(new)
        self.vip.silence(self.moves.amphora_ports(self.old.id))
        if octavias:
            self.vip.give(new)
        return new

    def _check_copy(self, lb_id: str) -> None:
        """Refuse a copy that differs: one of them may have been changed since it was made."""
        made = adoption.tree(self.parts.listing.objects(lb_id))
        if made is not None and not adoption.is_copy(self.old, made):
            raise Refused(
                f"Load balancer {lb_id} of provider ovn is on VIP port {self.vip.port_id}, and"
                f" differs from {self.old.id}: it may let in other clients, or have other members."
                " Make both the same, or delete one of them."
            )

    def _create(self, flavor_id: str | None, *, octavias: bool) -> str:
        self.vip.release()
        with undoing(self._give_back if octavias else lambda: None):
            return self.moves.create(adoption.copy(self.old, flavor_id))

    def _give_back(self) -> None:
        error = failure(self.vip.give_back)
        if error is not None:
            LOG.warning(
                "VIP port %s has no owner now, and Octavia would keep it when it deletes load"
                " balancer %s: %s",
                self.vip.port_id,
                self.old.id,
                error,
            )

    def _await_active(self, lb_id: str) -> None:
        status = self._await(lb_id, "ACTIVE")
        if status != "ACTIVE":
            raise Refused(
                f"Load balancer {lb_id} of provider ovn is {status}; the amphorae still have the"
                f" VIP. 'octavia-ovn adopt --back --yes {self.old.id}' deletes it; the log of"
                " octavia-driver-agent says more."
            )

    def back(self) -> str | None:
        """Give the VIP back to the amphorae, and delete the load balancer of OVN.

        :returns: the id of the load balancer that was deleted; None if there was none
        :raises OctaviaOvnError: when a step fails; the steps before it are done
        """
        new, ports = self.successor(), self.moves.amphora_ports(self.old.id)
        if not ports:
            raise NotFound(f"Load balancer {self.old.id} has no amphorae that could serve.")
        self.vip.unsilence(ports)
        # First: the port must not look like one of a load balancer of OVN that is gone.
        if self.vip.is_octavias():
            self.vip.give_back()
        if new is not None:
            self.moves.delete(new)
            status = self._await(new, "DELETED")
            if status != "DELETED":
                raise Refused(
                    f"Load balancer {new} of provider ovn is {status}, and not deleted; the"
                    " amphorae have the VIP. Delete it by 'openstack loadbalancer delete"
                    f" --cascade {new}'."
                )
        return new

    def _await(self, lb_id: str, wanted: str) -> str:
        """Wait for a provisioning status, or ERROR; return what it is then."""
        status = ""
        for _ in range(_QUESTIONS):
            found = self.moves.get(lb_id)
            status = found["provisioning_status"] if found else "DELETED"
            if status in (wanted, "ERROR", "DELETED"):
                return status
            time.sleep(_PAUSE)
        return status


def find(parts: wiring.Runtime, lb_id: str) -> Handover:
    """Return the load balancer of amphora that has an id.

    :raises NotFound: when there is none
    :raises Refused: when it is of another provider, or cannot be moved now
    """
    old = adoption.tree(parts.listing.objects(lb_id))
    if old is None:
        raise NotFound(f"Octavia does not know load balancer {lb_id}.")
    provider, status = old.lb["provider"], old.lb["provisioning_status"]
    if provider not in AMPHORA:
        raise Refused(f"Load balancer {lb_id} is of provider {provider}, not of amphora.")
    if status not in ("ACTIVE", "ERROR"):
        raise Refused(f"Load balancer {lb_id} is {status}: wait until it is ACTIVE.")
    vip = VipHandover(parts.neutron, old.id, old.lb["vip_port_id"], old.lb["vip_address"])
    return Handover(parts, Moves(parts.listing.rest), old, vip)
