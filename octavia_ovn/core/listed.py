# SPDX-License-Identifier: Apache-2.0
"""Load balancers as Octavia's API lists them."""

from __future__ import annotations

from dataclasses import dataclass

from octavia_ovn.core import model


@dataclass(frozen=True, slots=True)
class Listed:
    """A load balancer in a list of Octavia's API.

    :param idle: seconds since Octavia has changed it, by the clock of Octavia's hosts
    :param children: the ids of its listeners and pools
    :param security_groups: the ids in `vip_sg_ids`
    """

    id: str
    provisioning_status: str
    project_id: str | None
    idle: float
    children: frozenset[str] = frozenset()
    security_groups: tuple[str, ...] = ()

    def has_children_of(self, lb: model.LoadBalancer) -> bool:
        """Whether it is listed with the listeners and pools of a load balancer, and no others."""
        known = {each.id for each in lb.listeners} | {each.id for each in lb.pools}
        return self.children == known
