"""Operating statuses that Octavia must have heard."""

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
        states = [member["operating_status"] for member in members]
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
    if not seen.tree.active_monitor(pool["id"]):
        return {"NO_MONITOR", "DRAINING"} if member["weight"] == 0 else {"NO_MONITOR"}
    port = seen.port_of(member)
    if not port:
        return {"ERROR"}
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
        return {"ONLINE", "NO_MONITOR", "DRAINING"}
    return {"ONLINE", "DRAINING"} if member["weight"] == 0 else {"ONLINE"}


def pool_status(enabled, member_states):
    """What a pool's operating status is, given those of its members."""
    if not enabled:
        return "OFFLINE"
    relevant = [state for state in member_states if state != "OFFLINE"]
    if relevant and all(state == "ERROR" for state in relevant):
        return "ERROR"
    return "DEGRADED" if "ERROR" in relevant else "ONLINE"


def _listener_complaints(seen, pools):
    for listener in seen.tree.listeners:
        wanted = pools.get(listener["default_pool_id"], "ONLINE")
        if not listener["enabled"]:
            wanted = "OFFLINE"
        elif wanted == "OFFLINE":
            continue  # of an enabled listener whose pool is disabled: not laid down
        if listener["operating_status"] != wanted:
            yield f"a listener is {listener['operating_status']}, not {wanted}"


def _lb_complaints(seen, pools):
    found = seen.tree.lb["operating_status"]
    if not seen.tree.lb["enabled"]:
        wanted = {"OFFLINE"}
    elif set(pools.values()) <= {"ONLINE", "OFFLINE"}:
        wanted = {"ONLINE"}
    elif set(pools.values()) == {"ERROR"}:
        wanted = {"ERROR"}
    else:
        wanted = {"DEGRADED", "ERROR"}
    if found not in wanted:
        yield f"the load balancer is {found}, not {wanted}"
