# SPDX-License-Identifier: Apache-2.0
"""New rows of Octavia's tables, with the defaults of its API types."""

from tests.lab.networks import PROJECT, new_id
from tests.lab.octavia_settings import TIMEOUTS

# API name -> column name, where they differ (the types' model maps).
COLUMNS = {
    "admin_state_up": "enabled",
    "address": "ip_address",
    "max_retries": "rise_threshold",
    "max_retries_down": "fall_threshold",
}

NOT_IN_ROWS = ("tags", "sni_container_refs")

LISTENER_DEFAULTS = {
    "name": None,
    "description": None,
    "enabled": True,
    "connection_limit": -1,
    "default_pool_id": None,
    "allowed_cidrs": [],
    "insert_headers": None,
    "default_tls_container_ref": None,
    "client_ca_tls_container_ref": None,
    "client_crl_container_ref": None,
    "client_authentication": "NONE",
    "tls_ciphers": None,
    "tls_versions": None,
    "alpn_protocols": None,
    "hsts_max_age": None,
    "hsts_include_subdomains": False,
    "hsts_preload": False,
    **TIMEOUTS,
}
POOL_DEFAULTS = {
    "name": None,
    "description": None,
    "enabled": True,
    "session_persistence": None,
    "tls_enabled": False,
    "tls_container_ref": None,
    "ca_tls_container_ref": None,
    "crl_container_ref": None,
    "tls_ciphers": None,
    "tls_versions": None,
    "alpn_protocols": None,
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
HEALTH_MONITOR_DEFAULTS = {
    "name": None,
    "enabled": True,
    "fall_threshold": 3,
    "http_method": None,
    "url_path": None,
    "expected_codes": None,
    "http_version": None,
    "domain_name": None,
}
HTTP_DEFAULTS = {"http_method": "GET", "url_path": "/", "expected_codes": "200"}
POLICY_DEFAULTS = {
    "name": None,
    "description": None,
    "enabled": True,
    "position": 1,
    "redirect_pool_id": None,
    "redirect_url": None,
    "redirect_prefix": None,
    "redirect_http_code": None,
}
RULE_DEFAULTS = {"enabled": True, "key": None, "invert": False}
_PERSISTENCE = {"cookie_name": None, "persistence_granularity": None, "persistence_timeout": None}


def columns(given):
    """Rename what the API calls differently from the tables."""
    return {
        COLUMNS.get(name, name): [] if value is None and name == "allowed_cidrs" else value
        for name, value in given.items()
        if name not in NOT_IN_ROWS
    }


def persistence(given, kind=None):
    """Return all fields of a session persistence; the kind is the old one if none is given."""
    return given and {**_PERSISTENCE, "type": kind, **given}


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


def listener(lb_id, given, timeouts=TIMEOUTS):
    """:param timeouts: what Octavia is configured with"""
    defaults = {**LISTENER_DEFAULTS, **timeouts, **_new("OFFLINE")}
    return {**defaults, "load_balancer_id": lb_id, **columns(given)}


def pool(lb_id, given, tls):
    """:param tls: what Octavia fills in where it speaks TLS to members"""
    defaults = {**POOL_DEFAULTS, **(tls if given.get("tls_enabled") else {}), **_new("OFFLINE")}
    row = {**defaults, "load_balancer_id": lb_id, **columns(given)}
    row["session_persistence"] = persistence(row["session_persistence"])
    return row


def member(pool_id, given, monitored):
    return {
        **MEMBER_DEFAULTS,
        **_new("OFFLINE" if monitored else "NO_MONITOR"),
        "pool_id": pool_id,
        **columns(given),
    }


def health_monitor(pool_id, given):
    http = HTTP_DEFAULTS if given["type"].startswith("HTTP") else {}
    defaults = {**HEALTH_MONITOR_DEFAULTS, **http, **_new("OFFLINE")}
    return {**defaults, "pool_id": pool_id, **columns(given)}


def l7policy(listener_id, given):
    return {**POLICY_DEFAULTS, **_new("OFFLINE"), "listener_id": listener_id, **columns(given)}


def l7rule(policy_id, given):
    return {**RULE_DEFAULTS, **_new("OFFLINE"), "l7policy_id": policy_id, **columns(given)}


def _new(operating_status):
    return {
        "id": new_id(),
        "project_id": PROJECT,
        "provisioning_status": "PENDING_CREATE",
        "operating_status": operating_status,
    }
