# SPDX-License-Identifier: Apache-2.0
"""Load balancers as Octavia's API lists them."""

from __future__ import annotations

from dataclasses import dataclass


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
