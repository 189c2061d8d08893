# SPDX-License-Identifier: Apache-2.0
"""Operating statuses that must have been reported to Octavia."""

from tests.lab.invariants.notation import layer4


def complaints(seen):
    """Say which operating statuses are not what members' health makes them."""
    pools = {}
    for pool in seen.tree.pools:
        members = seen.tree.members[pool["id"]]
        for member in members:
            allowed = member_status(seen, member, pool)
            if member["operating_status"] not in allowed:
                yield (
                    f"member {member['ip_address']} is {member['operating_status']}, not {allowed}"
                )
        states = [member["operating_status"] for member in members if member["enabled"]]
        pools[pool["id"]] = wanted = pool_status(pool["enabled"], states)
        is_idle = not any(
            listener["default_pool_id"] == pool["id"] for listener in seen.tree.listeners
        )
        if pool["operating_status"] not in {wanted} | ({"OFFLINE"} if is_idle else set()):
            yield f"the pool of {states} is {pool['operating_status']}, not {wanted}"
    if seen.tree.lb["enabled"]:
        yield from _listener_complaints(seen, pools)
    yield from _lb_complaints(seen, pools)


def member_status(seen, member, pool):
    """Return the operating statuses that a member may have."""
    if not member["enabled"]:
        return {"OFFLINE"}
    if seen.is_unreachable(member, pool):
        return {"ERROR"}
    if not seen.tree.active_monitor(pool["id"]):
        return {"NO_MONITOR", "DRAINING"} if member["weight"] == 0 else {"NO_MONITOR"}
    port = seen.port_of(member)
    return _checked_status(seen, member, pool, port) if port else {"NO_MONITOR"}


def _checked_status(seen, member, pool, port):
    states = {
        row["status"]
        for row in seen.health
        if row["ip"] == member["ip_address"]
        and row["port"] == member["protocol_port"]
        and row["protocol"] == layer4(pool["protocol"])
        and row["logical_port"] == port["id"]
        and isinstance(row["status"], str)
    }
    if states & {"offline", "error"}:
        return {"ERROR"}
    if not states:
        # Octavia gets what a check said before as long as northd has not dropped that.
        return {"OFFLINE", "ONLINE", "ERROR"} if seen.at_once else {"OFFLINE"}
    return {"ONLINE", "DRAINING"} if member["weight"] == 0 else {"ONLINE"}


def pool_status(enabled, member_states):
    """What a pool's operating status is, given those of its enabled members."""
    if not enabled:
        return "OFFLINE"
    if len(set(member_states)) == 1 and set(member_states) <= {"ERROR", "OFFLINE"}:
        return member_states[0]
    return "DEGRADED" if "ERROR" in member_states else "ONLINE"


def _listener_complaints(seen, pools):
    enabled = {pool["id"] for pool in seen.tree.pools if pool["enabled"]}
    for listener in seen.tree.listeners:
        wanted = _listener_status(listener, pools, enabled)
        if listener["operating_status"] != wanted:
            yield f"a listener is {listener['operating_status']}, not {wanted}"


def _listener_status(listener, pools, enabled):
    if not listener["enabled"]:
        return "OFFLINE"
    pool_id = listener["default_pool_id"]
    return pools[pool_id] if pool_id in enabled else "ONLINE"


def _lb_complaints(seen, pools):
    found = seen.tree.lb["operating_status"]
    enabled = {pool["id"] for pool in seen.tree.pools if pool["enabled"]}
    below = {
        _listener_status(listener, pools, enabled)
        for listener in seen.tree.listeners
        if listener["enabled"]
    }
    if not seen.tree.lb["enabled"]:
        wanted = "OFFLINE"
    elif below in ({"OFFLINE"}, {"ERROR"}):
        wanted = below.pop()
    else:
        wanted = "DEGRADED" if below & {"DEGRADED", "ERROR"} else "ONLINE"
    if found != wanted:
        yield f"the load balancer is {found}, not {wanted}"
