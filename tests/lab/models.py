"""From rows to the octavia_lib data models that a provider driver is given.

Follows octavia/api/drivers/utils.py field by field: what Octavia leaves
Unset is Unset here, and what it sends as None, or as an empty list, too.
"""

import inspect

from octavia_lib.api.drivers import data_models


def load_balancer(reader, row):
    """As db_loadbalancer_to_provider_loadbalancer, children included."""
    fields = {
        "loadbalancer_id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "project_id": row["project_id"],
        "admin_state_up": row["enabled"],
        "availability_zone": None,
        "additional_vips": [
            dict(vip, load_balancer_id=row["id"], load_balancer=None)
            for vip in row["additional_vips"]
        ],
    }
    if row["flavor"] is not None:
        fields["flavor"] = row["flavor"]
    fields.update(_vip_fields(row))
    fields.update(_children(reader, row["id"]))
    return data_models.LoadBalancer.from_dict(fields)


def new_load_balancer(reader, row, given):
    """What loadbalancer_create gets: only what the user gave is set."""
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
    fields.update(_vip_fields(row))
    if row["additional_vips"]:
        fields["additional_vips"] = [dict(vip) for vip in row["additional_vips"]]
    fields.update(_children(reader, row["id"]))
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


def _children(reader, lb_id):
    children = {}
    pools = reader.find("pools", load_balancer_id=lb_id)
    if pools:
        children["pools"] = [pool(reader, row) for row in pools]
    listeners = reader.find("listeners", load_balancer_id=lb_id)
    if listeners:
        children["listeners"] = [listener(reader, row) for row in listeners]
    return children


def listener(reader, row):
    fields = {
        "listener_id": row["id"],
        "loadbalancer_id": row["load_balancer_id"],
        "project_id": row["project_id"],
        "name": row["name"],
        "description": row["description"],
        "admin_state_up": row["enabled"],
        "protocol": row["protocol"],
        "protocol_port": row["protocol_port"],
        "connection_limit": row["connection_limit"],
        "default_pool": None,
        "default_pool_id": row["default_pool_id"],
        "default_tls_container_ref": row["default_tls_container_ref"],
        "client_ca_tls_container_ref": None,
        "client_crl_container_ref": None,
        "client_authentication": "NONE",
        "insert_headers": row["insert_headers"],
        "l7policies": [],
        "allowed_cidrs": row["allowed_cidrs"],
        "timeout_client_data": row["timeout_client_data"],
        "timeout_member_connect": row["timeout_member_connect"],
        "timeout_member_data": row["timeout_member_data"],
        "timeout_tcp_inspect": row["timeout_tcp_inspect"],
        "tls_ciphers": None,
        "tls_versions": None,
        "alpn_protocols": None,
        "hsts_max_age": None,
        "hsts_include_subdomains": False,
        "hsts_preload": False,
    }
    if row["default_pool_id"]:
        fields["default_pool"] = pool(reader, reader.get("pools", row["default_pool_id"]))
    return data_models.Listener.from_dict(fields)


def pool(reader, row):
    fields = {
        "pool_id": row["id"],
        "loadbalancer_id": row["load_balancer_id"],
        "project_id": row["project_id"],
        "name": row["name"],
        "description": row["description"],
        "admin_state_up": row["enabled"],
        "protocol": row["protocol"],
        "lb_algorithm": row["lb_algorithm"],
        "session_persistence": row["session_persistence"],
        "members": [member(child) for child in reader.find("members", pool_id=row["id"])],
        "healthmonitor": None,
        "tls_container_ref": None,
        "ca_tls_container_ref": None,
        "crl_container_ref": None,
        "tls_enabled": row["tls_enabled"],
        "tls_ciphers": None,
        "tls_versions": None,
        "alpn_protocols": None,
    }
    monitors = reader.find("healthmonitors", pool_id=row["id"])
    if monitors:
        fields["healthmonitor"] = health_monitor(monitors[0])
    listeners = reader.find("listeners", default_pool_id=row["id"])
    if listeners:
        fields["listener_id"] = listeners[0]["id"]
    return data_models.Pool.from_dict(fields)


def member(row):
    return data_models.Member.from_dict(
        {
            "member_id": row["id"],
            "pool_id": row["pool_id"],
            "project_id": row["project_id"],
            "name": row["name"],
            "address": row["ip_address"],
            "protocol_port": row["protocol_port"],
            "weight": row["weight"],
            "backup": row["backup"],
            "admin_state_up": row["enabled"],
            "subnet_id": row["subnet_id"],
            "monitor_address": row["monitor_address"],
            "monitor_port": row["monitor_port"],
            "vnic_type": "normal",
        }
    )


def batch_updated_member(row, given):
    """A member that a batch PUT updates: the request, not the row.

    Octavia hands its own request type over here, so what the request left
    out (name, subnet_id) is Unset even where the row knows better.
    """
    fields = {
        "member_id": row["id"],
        "pool_id": row["pool_id"],
        "project_id": row["project_id"],
        "weight": 1,
        "backup": False,
        "admin_state_up": True,
        "monitor_address": None,
        "monitor_port": None,
        "vnic_type": "normal",
    }
    fields.update(given)
    return data_models.Member.from_dict(fields)


def health_monitor(row):
    return data_models.HealthMonitor.from_dict(
        {
            "healthmonitor_id": row["id"],
            "pool_id": row["pool_id"],
            "project_id": row["project_id"],
            "name": row["name"],
            "admin_state_up": row["enabled"],
            "type": row["type"],
            "delay": row["delay"],
            "timeout": row["timeout"],
            "max_retries": row["rise_threshold"],
            "max_retries_down": row["fall_threshold"],
            "http_method": None,
            "url_path": None,
            "expected_codes": None,
            "http_version": None,
            "domain_name": None,
        }
    )
