"""Check models.py against the real Octavia; run it where octavia is installed.

    /path/to/octavia-venv/bin/python -m tests.lab.check_models

Builds one load balancer with everything the lab models, both by Octavia's
own octavia.api.drivers.utils and by tests.lab.models, and compares all fields.
"""

import sys

from octavia.api.drivers import utils
from octavia.common import data_models
from octavia_lib.api.drivers import data_models as provider_models

from tests.lab import models, store

COMMON = {
    "project_id": "project",
    "name": None,
    "description": None,
    "enabled": True,
    "provisioning_status": "ACTIVE",
    "operating_status": "ONLINE",
}
VIP = {"ip_address": "10.0.0.5", "port_id": "port", "subnet_id": "subnet", "network_id": "network"}
LISTENER = dict(
    COMMON,
    id="listener",
    load_balancer_id="lb",
    protocol="TCP",
    protocol_port=80,
    connection_limit=-1,
    default_pool_id="pool",
    allowed_cidrs=[],
    timeout_client_data=50000,
    timeout_member_connect=5000,
    timeout_member_data=50000,
    timeout_tcp_inspect=0,
    insert_headers={},
    default_tls_container_ref=None,
)
POOL = dict(
    COMMON,
    id="pool",
    load_balancer_id="lb",
    protocol="TCP",
    lb_algorithm="SOURCE_IP_PORT",
    session_persistence=None,
)
CHILD = {key: value for key, value in COMMON.items() if key != "description"}
MEMBER = dict(
    CHILD,
    id="member",
    pool_id="pool",
    ip_address="10.0.0.9",
    protocol_port=80,
    weight=1,
    backup=False,
    subnet_id=None,
    monitor_address=None,
    monitor_port=None,
)
MONITOR = dict(
    CHILD,
    id="monitor",
    pool_id="pool",
    type="TCP",
    delay=5,
    timeout=3,
    rise_threshold=3,
    fall_threshold=3,
)


def by_octavia():
    lb = data_models.LoadBalancer(id="lb", provider="ovn", **COMMON)
    lb.vip = data_models.Vip(load_balancer_id="lb", load_balancer=lb, **VIP)
    pools = [
        data_models.Pool(**dict(POOL, id=name), load_balancer=lb, tls_enabled=False)
        for name in ("pool", "idle")
    ]
    member = data_models.Member(**MEMBER, pool=pools[0], vnic_type="normal")
    monitor = data_models.HealthMonitor(**MONITOR, pool=pools[0])
    listener = data_models.Listener(
        **LISTENER,
        load_balancer=lb,
        default_pool=pools[0],
        pools=pools[:1],
        client_authentication="NONE",
        hsts_include_subdomains=False,
        hsts_preload=False,
    )
    pools[0].members, pools[0].health_monitor = [member], monitor
    pools[0].listeners = [listener]
    lb.pools, lb.listeners = pools, [listener]
    return {
        "load balancer": utils.db_loadbalancer_to_provider_loadbalancer(lb),
        "listener": utils.db_listener_to_provider_listener(listener),
        "pool": utils.db_pool_to_provider_pool(pools[0]),
        "idle pool": utils.db_pool_to_provider_pool(pools[1]),
        "member": utils.db_member_to_provider_member(member),
        "health monitor": utils.db_HM_to_provider_HM(monitor),
    }


def by_lab():
    lb = dict(
        COMMON,
        id="lb",
        additional_vips=[],
        vip_address="10.0.0.5",
        vip_port_id="port",
        vip_subnet_id="subnet",
        vip_network_id="network",
    )
    rows = store.Store()
    with rows.begin() as transaction:
        for table, row in (
            ("loadbalancers", lb),
            ("listeners", LISTENER),
            ("pools", POOL),
            ("pools", dict(POOL, id="idle")),
            ("members", MEMBER),
            ("healthmonitors", MONITOR),
        ):
            transaction.insert(table, row)
    return {
        "load balancer": models.load_balancer(rows, lb),
        "listener": models.listener(rows, LISTENER),
        "pool": models.pool(rows, POOL),
        "idle pool": models.pool(rows, rows.get("pools", "idle")),
        "member": models.member(MEMBER),
        "health monitor": models.health_monitor(MONITOR),
    }


def plain(value):
    """Show a model as nested dicts, in which Unset fields are missing."""
    if isinstance(value, provider_models.BaseDataModel):
        return {
            name: plain(field)
            for name, field in vars(value).items()
            if not isinstance(field, provider_models.UnsetType)
        }
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def main():
    ours = by_lab()
    wrong = 0
    for name, model in by_octavia().items():
        if plain(model) != plain(ours[name]):
            wrong += 1
            print(f"{name}:\n  octavia {plain(model)}\n  lab     {plain(ours[name])}")
    print(f"{wrong} of {len(ours)} models differ")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
