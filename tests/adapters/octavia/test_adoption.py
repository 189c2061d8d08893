# SPDX-License-Identifier: Apache-2.0
"""What of a load balancer of amphora is not the same with OVN, and its copy."""

import dataclasses

import pytest

from octavia_ovn.adapters.octavia import adoption
from octavia_ovn.adapters.octavia.adoption import Effect
from octavia_ovn.adapters.octavia.data_models import DriverDefaults
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.request import limits

KINDS = {
    "load balancer": Kind.LOAD_BALANCER,
    "listener": Kind.LISTENER,
    "pool": Kind.POOL,
    "member": Kind.MEMBER,
    "health monitor": Kind.HEALTH_MONITOR,
}
NULL = {"description": "", "tags": []}
OBJECTS = {
    Kind.LOAD_BALANCER: {
        "id": "lb",
        "name": "shop",
        "description": "",
        "project_id": "project",
        "provider": "amphora",
        "vip_address": "10.0.0.9",
        "vip_port_id": "port",
        "vip_subnet_id": "subnet",
        "vip_network_id": "network",
        "vip_qos_policy_id": None,
        "vip_vnic_type": "normal",
        "additional_vips": [],
        "admin_state_up": True,
        "availability_zone": None,
        "flavor_id": None,
        "tags": ["a"],
    },
    Kind.LISTENER: {
        "id": "listener",
        "name": "web",
        "description": None,
        "protocol": "TCP",
        "protocol_port": 80,
        "connection_limit": -1,
        "default_pool_id": "pool",
        "insert_headers": {},
        "l7policies": [],
        "sni_container_refs": [],
        "default_tls_container_ref": None,
        "allowed_cidrs": None,
        "admin_state_up": True,
        "tls_ciphers": None,
        "tags": [],
        **limits.TIMEOUTS,
    },
    Kind.POOL: {
        "id": "pool",
        "name": "servers",
        "protocol": "TCP",
        "lb_algorithm": "ROUND_ROBIN",
        "session_persistence": {
            "type": "SOURCE_IP",
            "cookie_name": None,
            "persistence_timeout": None,
            "persistence_granularity": None,
        },
        "members": [{"id": "member"}],
        "healthmonitor_id": "monitor",
        "tls_enabled": False,
        "admin_state_up": True,
        "description": "mine",
    },
    Kind.MEMBER: {
        "id": "member",
        "name": "one",
        "address": "10.0.0.4",
        "protocol_port": 8080,
        "subnet_id": None,
        "weight": 0,
        "backup": False,
        "monitor_port": None,
        "monitor_address": None,
        "vnic_type": "normal",
        "admin_state_up": False,
    },
    Kind.HEALTH_MONITOR: {
        "id": "monitor",
        "name": "",
        "type": "TCP",
        "delay": 5,
        "timeout": 3,
        "max_retries": 2,
        "max_retries_down": 3,
        "http_method": None,
        "url_path": None,
        "http_version": None,
        "admin_state_up": True,
    },
}


def tree(kind=None, **values):
    objects = {each: dict(item) for each, item in OBJECTS.items()}
    if kind:
        objects[kind].update(values)
    return adoption.tree(objects.items())


def losses(found, defaults=None):
    return [
        (each.kind, each.effect, each.reason)
        for each in adoption.losses(found, defaults or DriverDefaults())
    ]


def test_one_that_uses_nothing_of_layer_7_loses_nothing():
    assert losses(tree()) == []


def test_there_is_no_load_balancer():
    assert adoption.tree([]) is None


VALUES = {"connection_limit": 7, "http_version": 1.1, **dict.fromkeys(limits.TIMEOUTS, 7)}
"""Values of options that are no texts."""


@pytest.mark.parametrize(
    ("kind", "limit"),
    [(kind, limit) for kind, table in limits.TABLE.items() for limit in table],
    ids=lambda value: getattr(value, "option", value),
)
def test_each_option_that_the_driver_refuses_is_named(kind, limit):
    value = VALUES.get(limit.option, "other")
    found = losses(tree(KINDS[kind], **{limit.option: value}))

    effect = Effect.UNUSED if limit.strict else Effect.REFUSED
    assert found == [(kind, effect, f"{limit.option}: {limit.reason}")]


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        (Kind.LISTENER, "protocol", "TERMINATED_HTTPS"),
        (Kind.LISTENER, "protocol", "PROMETHEUS"),
        (Kind.POOL, "protocol", "PROXY"),
        (Kind.POOL, "lb_algorithm", "LEAST_CONNECTIONS"),
        (Kind.POOL, "session_persistence", {"type": "HTTP_COOKIE"}),
        (Kind.POOL, "session_persistence", {"type": "APP_COOKIE", "cookie_name": "c"}),
        (
            Kind.POOL,
            "session_persistence",
            {"type": "SOURCE_IP", "persistence_granularity": "255.255.255.0"},
        ),
        (Kind.MEMBER, "address", "nowhere"),
        (Kind.LOAD_BALANCER, "additional_vips", [{"ip_address": "10.0.0.8"}]),
    ],
)
def test_a_value_that_the_driver_refuses_is_named(kind, option, value):
    ((_, effect, reason),) = losses(tree(kind, **{option: value}))

    assert effect is Effect.REFUSED
    assert reason.startswith(f"{option}: ")


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        (Kind.LISTENER, "protocol", "HTTP"),
        (Kind.LISTENER, "protocol", "HTTPS"),
        (Kind.LOAD_BALANCER, "availability_zone", "az1"),
        (Kind.LOAD_BALANCER, "flavor_id", "flavor"),
        (Kind.LOAD_BALANCER, "vip_vnic_type", "direct"),
    ],
)
def test_what_is_different_is_named_and_refuses_nothing(kind, option, value):
    ((_, effect, reason),) = losses(tree(kind, **{option: value}))

    assert effect is Effect.CHANGED
    assert value in reason


def test_what_the_operator_refuses_is_refused_once():
    strict = DriverDefaults(usual=limits.Usual(strict=True))

    ((_, effect, reason),) = losses(tree(Kind.LISTENER, timeout_client_data=1), strict)

    assert effect is Effect.REFUSED
    assert reason.endswith("and [ovn] strict_options is set")


def test_security_groups_go_along_where_the_operator_permits_them():
    permitting = DriverDefaults(usual=limits.Usual(permitted=frozenset({limits.VIP_GROUPS})))
    found = tree(Kind.LOAD_BALANCER, vip_sg_ids=["group"])

    assert losses(found, permitting) == []
    assert adoption.copy(found)["vip_sg_ids"] == ["group"]
    assert adoption.provider_values(found)["vip_sg_ids"] == ["group"]


def test_the_copy_has_all_that_a_user_has_set():
    assert adoption.copy(tree()) == {
        "provider": "ovn",
        "name": "shop",
        "project_id": "project",
        "vip_address": "10.0.0.9",
        "vip_port_id": "port",
        "admin_state_up": True,
        "tags": ["a"],
        "listeners": [
            {
                "name": "web",
                "protocol": "TCP",
                "protocol_port": 80,
                "connection_limit": -1,
                "admin_state_up": True,
                "default_pool": {"name": "servers"},
                **limits.TIMEOUTS,
            }
        ],
        "pools": [
            {
                "name": "servers",
                "description": "mine",
                "protocol": "TCP",
                "lb_algorithm": "ROUND_ROBIN",
                "session_persistence": {"type": "SOURCE_IP"},
                "admin_state_up": True,
                "members": [
                    {
                        "name": "one",
                        "address": "10.0.0.4",
                        "protocol_port": 8080,
                        "weight": 0,
                        "backup": False,
                        "admin_state_up": False,
                    }
                ],
                "healthmonitor": {
                    "type": "TCP",
                    "delay": 5,
                    "timeout": 3,
                    "max_retries": 2,
                    "max_retries_down": 3,
                    "admin_state_up": True,
                },
            }
        ],
    }


def test_a_flavor_and_a_listener_without_a_pool():
    found = tree()
    bare = {key: value for key, value in found.listeners[0].items() if key != "default_pool_id"}
    body = adoption.copy(dataclasses.replace(found, listeners=(bare,), pools=()), "fast")

    assert body["flavor_id"] == "fast"
    assert "default_pool" not in body["listeners"][0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a", "b"), ("a", "b")),
        (("a", "a"), ("p0", "p1")),
        (("", None), ("p0", "p1")),
        (("a", ""), ("a", "p1")),
    ],
)
def test_the_names_of_pools_differ(names, expected):
    pools = [adoption.Pool({"id": f"p{at}", "name": name}) for at, name in enumerate(names)]

    assert tuple(adoption.pool_names(pools).values()) == expected


def _fields(module, name):
    types = pytest.importorskip(f"octavia.api.v2.types.{module}")
    return {each.name for each in getattr(types, name)._wsme_attributes}


ELSEWHERE = {
    # The port shows subnet and network; the others are named by `losses`, or chosen anew.
    Kind.LOAD_BALANCER: {
        *("vip_subnet_id", "vip_network_id", "additional_vips"),
        *("availability_zone", "flavor_id", "provider", "listeners", "pools", "tenant_id"),
    },
    Kind.LISTENER: {"default_pool", "default_pool_id", "loadbalancer", "tenant_id"},
    Kind.POOL: {"members", "healthmonitor"},
    Kind.MEMBER: {"request_sriov"},  # shown as vnic_type
    Kind.HEALTH_MONITOR: {"pool_id"},
}


@pytest.mark.parametrize(
    ("kind", "module", "name"),
    [
        ("load balancer", "load_balancer", "LoadBalancerPOST"),
        ("listener", "listener", "ListenerSingleCreate"),
        ("pool", "pool", "PoolSingleCreate"),
        ("member", "member", "MemberSingleCreate"),
        ("health monitor", "health_monitor", "HealthMonitorSingleCreate"),
    ],
)
def test_each_field_of_a_request_is_copied_or_refused(kind, module, name):
    refused = {each.option for each in limits.TABLE[kind] if not each.strict}
    unused = {each.option for each in limits.TABLE[kind] if each.strict}
    copied = set(adoption.COPIED[KINDS[kind]])

    assert _fields(module, name) - copied - refused - unused - ELSEWHERE[KINDS[kind]] == set()
