"""New rows of Octavia's tables, with the defaults of its API types."""

from tests.lab.networks import PROJECT, new_id

# API name -> column name, where they differ (the types' model maps).
COLUMNS = {
    "admin_state_up": "enabled",
    "address": "ip_address",
    "max_retries": "rise_threshold",
    "max_retries_down": "fall_threshold",
}

LISTENER_DEFAULTS = {
    "name": None,
    "description": None,
    "enabled": True,
    "connection_limit": -1,
    "default_pool_id": None,
    "allowed_cidrs": [],
    "insert_headers": {},
    "default_tls_container_ref": None,
    "timeout_client_data": 50000,
    "timeout_member_connect": 5000,
    "timeout_member_data": 50000,
    "timeout_tcp_inspect": 0,
}
POOL_DEFAULTS = {
    "name": None,
    "description": None,
    "enabled": True,
    "session_persistence": None,
    "tls_enabled": False,
}
MEMBER_DEFAULTS = {
    "name": None,
    "enabled": True,
    "weight": 1,
    "backup": False,
    "subnet_id": None,
    "monitor_address": None,
    "monitor_port": None,
}
HEALTH_MONITOR_DEFAULTS = {"name": None, "enabled": True, "fall_threshold": 3}


def columns(given):
    """Rename what the API calls differently from the tables."""
    return {COLUMNS.get(name, name): value for name, value in given.items()}


def load_balancer(vip, given):
    """:param vip: the vip_* columns that are known so far"""
    return {
        "name": None,
        "description": None,
        "enabled": True,
        **_new("OFFLINE"),
        "provider": "ovn",
        "octavia_owned": False,
        "additional_vips": [],
        "flavor": None,  # what its flavor's profile says, whose id Octavia keeps
        **vip,
        **columns(given),
    }


def listener(lb_id, given):
    return {**LISTENER_DEFAULTS, **_new("OFFLINE"), "load_balancer_id": lb_id, **columns(given)}


def pool(lb_id, given):
    return {**POOL_DEFAULTS, **_new("OFFLINE"), "load_balancer_id": lb_id, **columns(given)}


def member(pool_id, given, monitored):
    return {
        **MEMBER_DEFAULTS,
        **_new("OFFLINE" if monitored else "NO_MONITOR"),
        "pool_id": pool_id,
        **columns(given),
    }


def health_monitor(pool_id, given):
    return {**HEALTH_MONITOR_DEFAULTS, **_new("OFFLINE"), "pool_id": pool_id, **columns(given)}


def _new(operating_status):
    return {
        "id": new_id(),
        "project_id": PROJECT,
        "provisioning_status": "PENDING_CREATE",
        "operating_status": operating_status,
    }
