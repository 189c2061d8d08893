# SPDX-License-Identifier: Apache-2.0
"""Names of pending requests: the kind and a unique part.

The name is the identity of a request. The kind is for people and metrics; it decides nothing but
when to compare with Octavia.
"""

from __future__ import annotations

from octavia_ovn.core.request import changes, patches

KINDS: dict[type, str] = {
    changes.CreateLoadBalancer: "load_balancer_create",
    changes.UpdateLoadBalancer: "load_balancer_update",
    changes.DeleteLoadBalancer: "load_balancer_delete",
    changes.PutListener: "listener_put",
    patches.UpdateListener: "listener_put",
    changes.DeleteListener: "listener_delete",
    changes.PutPool: "pool_put",
    patches.UpdatePool: "pool_put",
    changes.DeletePool: "pool_delete",
    changes.PutMember: "member_put",
    patches.UpdateMember: "member_put",
    changes.DeleteMember: "member_delete",
    changes.ReplaceMembers: "members_replace",
    patches.UpdateMembers: "members_replace",
    changes.PutMonitor: "health_monitor_put",
    patches.UpdateMonitor: "health_monitor_put",
    changes.DeleteMonitor: "health_monitor_delete",
    changes.Resync: "load_balancer_failover",
    changes.Release: "l7_delete",
    changes.Restore: "repair_restore",
    changes.Abandon: "repair_abandon",
}
"""The kind of each request; `put` is create or update."""
UNKNOWN = "unknown"


def name(request: patches.Request, unique: str) -> str:
    """Return the name of a request.

    :param unique: what distinguishes it from others of the kind
    """
    return f"{KINDS[type(request)]}:{unique}"


def kind(request: str) -> str:
    """Return the kind of a request; `unknown` for names without one."""
    found, _, _ = request.partition(":")
    return found if found in _KNOWN else UNKNOWN


def creates(request: str) -> bool:
    """Whether a request made the load balancer itself."""
    return kind(request) == KINDS[changes.CreateLoadBalancer]


_KNOWN = frozenset(KINDS.values())
