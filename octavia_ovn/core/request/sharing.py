# SPDX-License-Identifier: Apache-2.0
"""Load balancers that share a VIP: on a user-provided port, there may be several.

OVN keeps one entry for an address, a protocol and a port: of two load balancers that both have one,
either wins, silently. Octavia does not refuse the second, because such a port does not show that it
is in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from octavia_ovn.core import codec, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.request import changes
from octavia_ovn.core.rows import Row

SERVING = (changes.CreateLoadBalancer, changes.PutListener)
"""Requests that may begin to serve something."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The listeners that a request would serve on a port that others may use too.

    :param address: the VIP: a port may have several addresses
    :param ports: pairs of a protocol, as in rows, and a port number
    """

    lb_id: str
    port_id: str
    address: str
    ports: frozenset[tuple[str, int]]

    def clash(self, row: Row) -> str | None:
        """Return a sentence about a listener that a row serves already; None without a clash."""
        if row.name == self.lb_id or row.external_ids.get(k.VIP) != self.address:
            return None
        served = {(row.protocol, port) for port in codec.listeners_by_port(row.external_ids)}
        both = sorted(served & self.ports)
        if not both:
            return None
        protocol, number = both[0]
        return (
            f"Another load balancer that uses VIP port {self.port_id} has a listener on"
            f" {protocol.upper()} port {number}; choose another port, or another VIP."
        )


@dataclass(frozen=True, slots=True)
class PortUsers:
    """The rows on a VIP port, as far as they say what is served there."""

    port_id: str
    rows: Sequence[Row]


def asked(request: object, lb: model.LoadBalancer | None) -> Asked | None:
    """Return the listeners that a request adds on a port that others may use too; None for none.

    :param lb: the load balancer before the request
    """
    if isinstance(request, changes.CreateLoadBalancer):
        lb, listeners = request.lb, request.lb.listeners
    elif isinstance(request, changes.PutListener) and lb and not lb.listener(request.listener.id):
        listeners = (request.listener,)
    else:
        return None
    vip = lb.vips[0]
    # Rows of another driver do not record who made the port.
    if vip.user_port is False or vip.port_id is None or not listeners:
        return None
    ports = frozenset((each.protocol.value, each.port) for each in listeners)
    return Asked(lb.id, vip.port_id, vip.address, ports)
