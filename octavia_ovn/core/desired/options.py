# SPDX-License-Identifier: Apache-2.0
"""The options of a load balancer's rows."""

from __future__ import annotations

from octavia_ovn.core import model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import connection_limit
from octavia_ovn.core.desired.draining import CT_FLUSH, HAIRPIN
from octavia_ovn.core.placement import RowGroup
from octavia_ovn.core.rows import Row

REJECT = "reject"
AFFINITY = "affinity_timeout"


def options(row: Row, group: RowGroup, lb: model.LoadBalancer, *, recorded: bool) -> dict[str, str]:
    """Return the row's options: ours as they should be, others as they are.

    The hairpin address is ours where the flavor sets one. The flow of a UDP client that keeps
    sending never ends, so the client would stay with a member that has left. OVN flushes the flow
    if the option was set before: every UDP row has it from the start, and a row that is no longer
    UDP loses it.
    """
    flavor = lb.flavor
    affinity = group.profile.affinity if group.profile else None
    limited = any(each in group.listeners for each in connection_limit.limited(lb))
    ours = {
        k.LIMITED: k.LIMITED_VALUE if limited else None,
        k.RECORDED: k.RECORDED_VALUE if recorded else None,
        k.PROJECT: lb.project_id if recorded else None,
        REJECT: None if flavor.reject is False else "true",
        AFFINITY: str(affinity) if affinity else None,
    }
    udp = group.protocol is model.Protocol.UDP
    flush = udp and flavor.drain_timeout is None if flavor.ct_flush is None else flavor.ct_flush
    ours[CT_FLUSH] = "true" if flush else None
    if flavor.hairpin_snat_ip:
        ours[HAIRPIN] = " ".join(flavor.hairpin_snat_ip)
    merged = {**row.options, **ours}
    return {key: value for key, value in merged.items() if value is not None}
