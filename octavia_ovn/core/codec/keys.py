# SPDX-License-Identifier: Apache-2.0
"""The keys of Load_Balancer.external_ids and Load_Balancer_Health_Check.external_ids."""

from __future__ import annotations

from collections.abc import Collection, Iterable

LISTENER = "listener_"
POOL = "pool_"
MEMBER = "member_"
DISABLED = ":D"
ENABLED = "enabled"
VIP = "neutron:vip"
VIP_PORT = "neutron:vip_port_id"
VIP_FIP = "neutron:vip_fip"
ADDITIONAL_VIPS = "neutron:additional_vips"
ADDITIONAL_PORTS = "neutron:additional_vip_port_ids"
ADDITIONAL_FIPS = "neutron:additional_vip_fips"
SWITCH_REFS = "ls_refs"
ROUTER_REF = "lr_ref"
MEMBER_STATUS = "neutron:member_status"
MONITORS = "octavia:healthmonitors"
LOAD_BALANCER = "octavia:loadbalancer"
FLAVOR = "octavia:flavor"
FLAVOR_MORE = "octavia:flavor_more"
"""JSON: the keys of the flavor that the first version did not know: it would take them for damage
in FLAVOR. What a reader does not know here, it ignores."""
VIP_GROUPS = "octavia:vip_sg_ids"
"""The ids of security groups, joined by commas; only if there are any."""
POOL_ATTRIBUTES = "octavia:attributes_"
# With a colon: ovn-octavia-provider takes every key that contains `listener_` or `pool_` for one of
# its own, and after a rollback its requests would not finish.
LISTENER_ATTRIBUTES = "octavia:listener:"
POOL_MARK = "octavia:pool:"
"""Always has the value MARKED, so that the row of a pool can be selected by the server."""
MARKED = "True"
PENDING = "octavia:pending"
LOST_VIPS = "octavia:lost_vips"
"""JSON: VIP → why it is not served; an empty object until it is reported to Octavia that
all are served again."""
DRAINING = "octavia:draining"
"""JSON: protocol → key in `vips` → backend that has left it → deadline in seconds since 1970."""
DRAIN_ROW = "octavia:drain_row"
"""Marks a row that serves no new connections: KEEP or FLUSH. See
:mod:`octavia_ovn.core.desired.draining`."""
KEEP, FLUSH = "keep", "flush"
FIRST_CHECKS = "octavia:first_checks"
"""JSON: ids of members that serve until the first result of their check."""
ENDPOINT_WEIGHTS = "octavia:endpoint_weights"
"""JSON: member id → weight that the member itself has said."""
CHECK_MONITOR = "octavia:healthmonitor"
CHECK_POOL = "octavia:pool_id"
CHECK_VIP = "octavia:vip"
ACCESS_MARK = "octavia:allowed_cidrs"
"""In access-control rows of other tables; always MARKED, so that the server can select them."""
GROUPS_MARK = "octavia:security_groups"
"""The same in the rows for security groups of VIPs: a version that does not know these rows does
not see them, and leaves them."""
ACCESS_LB = "octavia:loadbalancer_id"
ACCESS_LISTENER = "octavia:listener_id"
ACCESS_LIMIT = "octavia:connection_limit"
"""In ACLs that let no new connections in, because the listener has as many as it may."""
LIMITED = "octavia_connection_limit"
"""In the options of a load balancer, which northd copies to the Southbound database: chassis count
the connections of its listeners often."""
LIMITED_VALUE = "true"
RECORDED, RECORDED_VALUE = "octavia_flow_records", "true"
"""The same: chassis that record connections do so for this load balancer."""
PROJECT = "octavia_project"
"""The same: its project, if its connections are recorded."""
PROBES_MARK = "octavia-ovn-probes"
"""In NB_Global: chassis probe members, so monitors that OVN cannot check are possible."""
COUNTS_MARK = "octavia-ovn-statistics"
"""In NB_Global: chassis count connections often enough, so limits of connections are possible."""
ANNOUNCED = "true"

_INTENT_KEYS = frozenset(
    {
        ENABLED,
        VIP,
        VIP_PORT,
        VIP_GROUPS,
        ADDITIONAL_VIPS,
        ADDITIONAL_PORTS,
        MONITORS,
        LOAD_BALANCER,
        FLAVOR,
        FLAVOR_MORE,
    }
)

_INTENT_PREFIXES = (LISTENER, LISTENER_ATTRIBUTES, POOL, POOL_ATTRIBUTES, POOL_MARK)
_REALISED_KEYS = frozenset(
    {
        VIP_FIP,
        ADDITIONAL_FIPS,
        SWITCH_REFS,
        ROUTER_REF,
        MEMBER_STATUS,
        LOST_VIPS,
        DRAINING,
        DRAIN_ROW,
        FIRST_CHECKS,
        ENDPOINT_WEIGHTS,
    }
)


def is_intent(key: str) -> bool:
    """Whether a key of external_ids belongs to the intent of the tenant."""
    return key in _INTENT_KEYS or key.startswith(_INTENT_PREFIXES)


def is_ours(keys: Iterable[str]) -> bool:
    """Whether a row with those keys in external_ids belongs to a load balancer, complete or not."""
    return any(key == PENDING or (is_intent(key) and key != ENABLED) for key in keys)


def is_drain_row(keys: Collection[str]) -> bool:
    """Whether a row with those keys is only there for connections of members that drain.

    An older version may have made it the row of a pool, or the holder of pending objects.
    """
    return DRAIN_ROW in keys and not any(
        key == PENDING or key.startswith((LISTENER, POOL)) for key in keys
    )


def is_realised(key: str) -> bool:
    """Whether a key of external_ids is state that the agent maintains."""
    return key in _REALISED_KEYS
