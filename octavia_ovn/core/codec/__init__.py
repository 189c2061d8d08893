# SPDX-License-Identifier: Apache-2.0
"""The row format: the only place that reads or writes its strings.

The keys without the prefix `octavia:` are those that the existing driver, Neutron and
ovn-bgp-agent read; the rest is JSON in keys of this
driver.
"""

from octavia_ovn.core.codec.keys import ROUTER_REF, is_drain_row, is_intent, is_ours, is_realised
from octavia_ovn.core.codec.memory import address, endpoint_weights, first_checks, is_flow
from octavia_ovn.core.codec.memory import draining as read_draining
from octavia_ovn.core.codec.memory import lost_vips as read_lost_vips
from octavia_ovn.core.codec.read import (
    Decoded,
    Undecodable,
    children,
    decode,
    listeners_by_port,
    pending,
    vip_groups,
    vips,
)
from octavia_ovn.core.codec.write import (
    bracketed,
    draining,
    dumps,
    encode,
    encode_pending,
    endpoint,
    endpoints,
    lost_vips,
    mapping_source,
    member_status,
    switch_refs,
)

__all__ = [
    "ROUTER_REF",
    "Decoded",
    "Undecodable",
    "address",
    "bracketed",
    "children",
    "decode",
    "draining",
    "dumps",
    "encode",
    "encode_pending",
    "endpoint",
    "endpoint_weights",
    "endpoints",
    "first_checks",
    "is_drain_row",
    "is_flow",
    "is_intent",
    "is_ours",
    "is_realised",
    "listeners_by_port",
    "lost_vips",
    "mapping_source",
    "member_status",
    "pending",
    "read_draining",
    "read_lost_vips",
    "switch_refs",
    "vip_groups",
    "vips",
]
