# SPDX-License-Identifier: Apache-2.0
"""From rows to the octavia_lib data models that a provider driver is given.

Field by field what Octavia hands over, as `tests.recordings` has it: what Octavia leaves Unset is
Unset here, and what it sends as None, or as an empty list, too.

Octavia has two ways to build an object. What it has just created, and what the get socket answers,
is complete. The old object of an update, and the object of a delete, are a row of the database
without the relations that nothing has loaded (`stored_*`); in old releases they are complete, too.
"""

import inspect

from octavia_lib.api.drivers import data_models

_LISTENER_COLUMNS = (
    "name", "description", "protocol", "protocol_port", "connection_limit", "default_pool_id",
    "insert_headers", "timeout_client_data", "timeout_member_connect", "timeout_member_data",
    "timeout_tcp_inspect", "default_tls_container_ref", "client_ca_tls_container_ref",
    "client_crl_container_ref", "client_authentication", "tls_ciphers", "tls_versions",
    "alpn_protocols", "hsts_max_age", "hsts_include_subdomains", "hsts_preload",
)  # fmt: skip
_POOL_COLUMNS = (
    "name", "description", "protocol", "lb_algorithm", "tls_container_ref", "ca_tls_container_ref",
    "crl_container_ref", "tls_enabled", "tls_ciphers", "tls_versions", "alpn_protocols",
)  # fmt: skip
_MONITOR_COLUMNS = (
    "pool_id", "name", "type", "delay", "timeout", "http_method", "url_path", "expected_codes",
    "http_version", "domain_name",
)  # fmt: skip
_POLICY_COLUMNS = (
    "listener_id", "name", "description", "action", "position", "redirect_pool_id",
    "redirect_url", "redirect_prefix", "redirect_http_code",
)  # fmt: skip
_RULE_COLUMNS = ("l7policy_id", "type", "compare_type", "key", "value", "invert")


def load_balancer(reader, row):
    """A load balancer with all that belongs to it, as the get socket has it."""
    fields = _load_balancer_fields(row)
    fields["additional_vips"] = [
        dict(vip, load_balancer_id=row["id"], load_balancer={"id": row["id"]})
        for vip in row["additional_vips"]
    ]
    fields.update(_children(reader, row["id"], pool, listener))
    return data_models.LoadBalancer.from_dict(fields)


def stored_load_balancer(reader, row):
    """A load balancer before an update or a delete."""
    fields = _load_balancer_fields(row)
    fields.update(_children(reader, row["id"], stored_pool, stored_listener))
    return data_models.LoadBalancer.from_dict(fields)


def _load_balancer_fields(row):
    fields = {
        "loadbalancer_id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "project_id": row["project_id"],
        "admin_state_up": row["enabled"],
        "availability_zone": None,
    }
    if row["flavor"] is not None:
        fields["flavor"] = row["flavor"]
    fields.update(_vip_fields(row))
    return fields


def new_load_balancer(reader, row, given, vip, release):
    """What loadbalancer_create gets: only what the user gave is set.

    :param vip: what the driver has answered to create_vip_port
    :param release: of Octavia, 15 or 19
    """
    fields = {
        "loadbalancer_id": row["id"],
        "project_id": row["project_id"],
        "admin_state_up": row["enabled"],
        "flavor": row["flavor"] or {},
        "availability_zone": {},
    }
    for name in ("name", "description"):
        if name in given:
            fields[name] = given[name]
    answered = {
        "vip_qos_policy_id": vip.get("vip_qos_policy_id"),
        "vip_sg_ids": vip.get("vip_sg_ids") or [],
    }
    fields.update(_vip_fields({**row, **answered}))
    if row["additional_vips"]:
        fields["additional_vips"] = [dict(vip) for vip in row["additional_vips"]]
    listener_model = {15: _new_child_listener, 19: _new_child_listener_without_policies}[release]
    fields.update(_children(reader, row["id"], _new_child_pool, listener_model))
    return data_models.LoadBalancer.from_dict(fields)


def _vip_fields(row):
    fields = {
        "vip_address": row["vip_address"],
        "vip_network_id": row["vip_network_id"],
        "vip_port_id": row["vip_port_id"],
        "vip_subnet_id": row["vip_subnet_id"],
        "vip_qos_policy_id": row["vip_qos_policy_id"],
        "vip_sg_ids": row["vip_sg_ids"],
    }
    # Older versions of octavia-lib do not know all of them.
    known = inspect.signature(data_models.LoadBalancer).parameters
    return {name: value for name, value in fields.items() if name in known}


def _children(reader, lb_id, pool_model, listener_model):
    children = {}
    pools = reader.find("pools", load_balancer_id=lb_id)
    if pools:
        children["pools"] = [pool_model(reader, row) for row in pools]
    listeners = reader.find("listeners", load_balancer_id=lb_id)
    if listeners:
        children["listeners"] = [listener_model(reader, row) for row in listeners]
    return children


def _new_child_pool(reader, row):
    model = pool(reader, row)
    # The listeners come after the pools.
    model.listener_id = data_models.Unset
    return model


def _new_child_listener(reader, row):
    model = listener(reader, row)
    if model.default_pool:  # may be seen as it was before its children
        model.default_pool.members, model.default_pool.healthmonitor = [], None
    return model


def _new_child_listener_without_policies(reader, row):
    model = _new_child_listener(reader, row)
    model.l7policies = []  # they come after the listener
    return model


def listener(reader, row):
    """A listener with its default pool and its policies."""
    model = stored_listener(reader, row)
    model.insert_headers = row["insert_headers"] or {}
    model.allowed_cidrs = row["allowed_cidrs"]
    model.default_pool = None
    if row["default_pool_id"]:
        model.default_pool = pool(reader, reader.get("pools", row["default_pool_id"]))
    policies = reader.find("l7policies", listener_id=row["id"])
    model.l7policies = [l7policy(reader, each) for each in policies]
    return model


def stored_listener(_, row):
    """A listener before an update or a delete: no allowed CIDRs, no default pool, no policies."""
    return data_models.Listener(
        listener_id=row["id"],
        loadbalancer_id=row["load_balancer_id"],
        **_columns(row, _LISTENER_COLUMNS),
    )


def pool(reader, row):
    """A pool with its members and its monitor."""
    model = stored_pool(reader, row)
    model.session_persistence = row["session_persistence"]
    for name, nothing in (("members", []), ("healthmonitor", None)):
        if isinstance(getattr(model, name), data_models.UnsetType):
            setattr(model, name, nothing)
    return model


def stored_pool(reader, row):
    """A pool before an update or a delete: without its persistence, without what it has none of."""
    model = data_models.Pool(
        pool_id=row["id"], loadbalancer_id=row["load_balancer_id"], **_columns(row, _POOL_COLUMNS)
    )
    if members := reader.find("members", pool_id=row["id"]):
        model.members = [member(child) for child in members]
    if monitors := reader.find("healthmonitors", pool_id=row["id"]):
        model.healthmonitor = health_monitor(monitors[0])
    if listeners := reader.find("listeners", default_pool_id=row["id"]):
        model.listener_id = listeners[0]["id"]
    return model


def member(row):
    return data_models.Member(
        member_id=row["id"],
        address=row["ip_address"],
        vnic_type="normal",
        **_columns(
            row,
            ("pool_id", "name", "protocol_port", "weight", "backup", "subnet_id",
             "monitor_address", "monitor_port"),
        ),
    )  # fmt: skip


def batch_updated_member(row, asked):
    """A member that a batch PUT updates: the request, not the row.

    Octavia hands its own request type over here, so what the request left
    out (name, subnet_id) is Unset even where the row knows better.
    """
    known = {name: row[name] for name in ("pool_id", "project_id")}
    return data_models.Member.from_dict(
        {"member_id": row["id"], "vnic_type": "normal", **known, **asked}
    )


def health_monitor(row):
    return data_models.HealthMonitor(
        healthmonitor_id=row["id"],
        max_retries=row["rise_threshold"],
        max_retries_down=row["fall_threshold"],
        **_columns(row, _MONITOR_COLUMNS),
    )


def l7policy(reader, row):
    """A policy with its rules, which Octavia does not make objects of."""
    model = stored_l7policy(reader, row)
    rules = reader.find("l7rules", l7policy_id=row["id"])
    model.rules = [l7rule(rule).to_dict() for rule in rules]
    return model


def stored_l7policy(_, row):
    """A policy before an update: no rules."""
    return data_models.L7Policy(l7policy_id=row["id"], **_columns(row, _POLICY_COLUMNS))


def l7rule(row):
    return data_models.L7Rule(l7rule_id=row["id"], **_columns(row, _RULE_COLUMNS))


def _columns(row, names):
    common = {"project_id": row["project_id"], "admin_state_up": row["enabled"]}
    return common | {name: row[name] for name in names}


_COMPLETE = {
    "loadbalancers": load_balancer,
    "listeners": listener,
    "pools": pool,
    "l7policies": l7policy,
}
_STORED = {
    "loadbalancers": stored_load_balancer,
    "listeners": stored_listener,
    "pools": stored_pool,
    "l7policies": stored_l7policy,
}
BEFORE = {15: _COMPLETE, 19: _STORED}
"""What the object before an update or a delete is made with, by release of Octavia."""
RELEASE = 19 if "vip_sg_ids" in inspect.signature(data_models.LoadBalancer).parameters else 15
"""The release that goes with this octavia-lib."""
