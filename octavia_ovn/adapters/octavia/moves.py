# SPDX-License-Identifier: Apache-2.0
"""Octavia's HTTP API, as far as moving a load balancer to another provider needs it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from octavia_ovn.adapters.octavia.fields import Fields
from octavia_ovn.adapters.rest import Rest
from octavia_ovn.core.pending import Final
from octavia_ovn.errors import NotFound

_LB = "/lbaas/loadbalancers"


class Moves:
    """Creates, finds and deletes load balancers; the account needs Octavia's right to do so.

    Every call may raise :class:`Unavailable` when Octavia or Keystone does not answer, and
    :class:`Refused` when Octavia will not do it.

    :param rest: Octavia's API
    """

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def get(self, lb_id: str) -> Fields | None:
        """Return a load balancer; None when there is none, or it is DELETED."""
        with contextlib.suppress(NotFound):
            item: Fields = self._rest.get(f"{_LB}/{lb_id}")["loadbalancer"]
            if item["provisioning_status"] != Final.DELETED.value:
                return item
        return None

    def create(self, values: Mapping[str, object]) -> str:
        """Create a load balancer with all that belongs to it, and return its id."""
        return str(self._rest.post(_LB, {"loadbalancer": values})["loadbalancer"]["id"])

    def delete(self, lb_id: str) -> None:
        """Delete a load balancer with all that belongs to it; its VIP port stays if a user's."""
        self._rest.delete(f"{_LB}/{lb_id}?cascade=true")

    def on_port(self, port_id: str, provider: str) -> tuple[Fields, ...]:
        """Return the load balancers of a provider whose VIP is on a port."""
        query = {"vip_port_id": port_id, "provider": provider}
        found = self._rest.list(_LB, "loadbalancers", query)
        # Octavia can be configured to ignore filters.
        return tuple(
            each
            for each in found
            if (each["vip_port_id"], each["provider"]) == (port_id, provider)
            and each["provisioning_status"] != Final.DELETED.value
        )

    def amphora_ports(self, lb_id: str) -> tuple[str, ...]:
        """Return the ids of the ports that the amphorae of a load balancer have beside its VIP."""
        query = {"loadbalancer_id": lb_id}
        found = self._rest.list("/octavia/amphorae", "amphorae", query)
        return tuple(
            sorted(
                each["vrrp_port_id"]
                for each in found
                if each["loadbalancer_id"] == lb_id and each.get("vrrp_port_id")
            )
        )
