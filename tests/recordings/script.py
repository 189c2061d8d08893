"""The requests that are recorded: every verb for every kind of object, each field alone.

Paths and bodies name objects by what the script calls them: `{listener}` is the id of the object
that a request with this name has made. Needs nothing but the standard library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

Body = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Step:
    """One request to Octavia's API, or a question on the get socket (verb `ASK`)."""

    verb: str
    path: str
    body: Body | None = None
    name: str = ""
    """What the script calls the object that it makes. Children are called by their names."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Requests one after the other, under settings of octavia.conf (`section.option`)."""

    name: str
    steps: tuple[Step, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-00000000beef"


PROJECT = "0f8fad5b-d9cb-469f-a165-70867728950e"  # that of the laboratory
NETWORK, SUBNET, SUBNET6, MEMBER_SUBNET = _id(2), _id(3), _id(4), _id(5)
PORT, QOS_POLICY, OTHER_QOS_POLICY, SECURITY_GROUP = _id(6), _id(7), _id(8), _id(9)
LABELS = {
    PROJECT: "project",
    NETWORK: "network",
    SUBNET: "subnet",
    SUBNET6: "subnet6",
    MEMBER_SUBNET: "member-subnet",
    PORT: "user-port",
    QOS_POLICY: "qos-policy",
    OTHER_QOS_POLICY: "other-qos-policy",
    SECURITY_GROUP: "security-group",
}
CIDRS = {SUBNET: "10.0.0.0/24", SUBNET6: "2001:db8::/64", MEMBER_SUBNET: "10.0.1.0/24"}
PORT_ADDRESS = "10.0.0.77"

_ROOTS = {
    "loadbalancers": "loadbalancer",
    "listeners": "listener",
    "pools": "pool",
    "members": "member",
    "healthmonitors": "healthmonitor",
    "l7policies": "l7policy",
    "rules": "rule",
    "flavorprofiles": "flavorprofile",
    "flavors": "flavor",
    "availabilityzoneprofiles": "availability_zone_profile",
    "availabilityzones": "availability_zone",
}
_CIDRS = ["192.0.2.0/24", "198.51.100.7/32"]
_HEADERS = {"X-Forwarded-For": "true"}


def _post(path: str, body: Body, name: str) -> Step:
    return Step("POST", path, {_ROOTS[path.rsplit("/", 1)[-1]]: body}, name)


def _put(path: str, body: Body) -> Step:
    return Step("PUT", path, {_ROOTS[path.split("/")[-2]]: body})


def _delete(path: str) -> Step:
    return Step("DELETE", path)


def _ask(kind: str, name: str) -> Step:
    return Step("ASK", f"{kind}/{{{name}}}")


def _balancer(name: str = "lb", /, **more: Any) -> Step:
    body = {"vip_subnet_id": SUBNET, "project_id": PROJECT, **more}
    return _post("loadbalancers", body, name)


def _listener(name: str = "listener", /, **more: Any) -> Step:
    body = {"loadbalancer_id": "{lb}", "protocol": "TCP", "protocol_port": 80, **more}
    return _post("listeners", body, name)


def _pool(name: str = "pool", /, **more: Any) -> Step:
    body = {"protocol": "TCP", "lb_algorithm": "SOURCE_IP_PORT", **more}
    if "listener_id" not in body:
        body["loadbalancer_id"] = "{lb}"
    return _post("pools", body, name)


def _member(name: str = "member", /, host: int = 10, **more: Any) -> Step:
    body = {"address": f"10.0.1.{host}", "protocol_port": 8080, **more}
    return _post("pools/{pool}/members", body, name)


def _monitor(name: str = "monitor", /, **more: Any) -> Step:
    body = {"pool_id": "{pool}", "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2}
    return _post("healthmonitors", {**body, **more}, name)


def _policy(name: str = "policy", /, **more: Any) -> Step:
    return _post("l7policies", {"listener_id": "{listener}", "action": "REJECT", **more}, name)


def _rule(name: str = "rule", /, **more: Any) -> Step:
    body = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/x", **more}
    return _post("l7policies/{policy}/rules", body, name)


def _each(path: str, values: Iterable[tuple[str, Any]]) -> tuple[Step, ...]:
    """Return an update of nothing, then one of each field alone."""
    return (_put(path, {}), *(_put(path, {field: value}) for field, value in values))


_NAMES = (
    ("name", "renamed"), ("name", None),
    ("admin_state_up", False), ("admin_state_up", True),
    ("tags", ["a", "b"]), ("tags", []),
)  # fmt: skip
_DESCRIBED = (*_NAMES, ("description", "words"), ("description", None))

_LISTENER_FIELDS = (
    *_DESCRIBED,
    ("connection_limit", 7), ("connection_limit", None),
    ("default_pool_id", "{other-pool}"), ("default_pool_id", None),
    ("insert_headers", {}), ("insert_headers", None),
    ("timeout_client_data", 1000), ("timeout_client_data", None),
    ("timeout_member_connect", 1000), ("timeout_member_connect", None),
    ("timeout_member_data", 1000), ("timeout_member_data", None),
    ("timeout_tcp_inspect", 1000), ("timeout_tcp_inspect", None),
    ("allowed_cidrs", ["203.0.113.0/24"]), ("allowed_cidrs", []), ("allowed_cidrs", None),
    ("tls_ciphers", "TLS_AES_256_GCM_SHA384"), ("tls_ciphers", None),
    ("tls_versions", ["TLSv1.3"]), ("tls_versions", None),
    ("alpn_protocols", ["h2"]), ("alpn_protocols", None),
    ("default_tls_container_ref", None), ("sni_container_refs", []),
    ("client_ca_tls_container_ref", None), ("client_crl_container_ref", None),
    ("hsts_include_subdomains", None), ("hsts_preload", None), ("hsts_max_age", None),
)  # fmt: skip
_POOL_FIELDS = (
    *_DESCRIBED,
    ("lb_algorithm", "ROUND_ROBIN"),
    ("session_persistence", {"type": "SOURCE_IP"}), ("session_persistence", None),
    ("tls_enabled", True), ("tls_enabled", False),
    ("tls_container_ref", None), ("ca_tls_container_ref", None), ("crl_container_ref", None),
    ("tls_ciphers", "TLS_AES_256_GCM_SHA384"), ("tls_ciphers", None),
    ("tls_versions", ["TLSv1.3"]), ("tls_versions", None),
    ("alpn_protocols", ["h2"]), ("alpn_protocols", None),
)  # fmt: skip
_MEMBER_FIELDS = (
    *_NAMES,
    ("weight", 5), ("weight", 0), ("weight", None),
    ("backup", True), ("backup", None),
    ("monitor_address", "10.0.1.99"), ("monitor_address", None),
    ("monitor_port", 9000), ("monitor_port", None),
)  # fmt: skip
_MONITOR_FIELDS = (
    *_NAMES,
    ("delay", 30), ("timeout", 2), ("max_retries", 4), ("max_retries_down", 5),
    ("max_retries_down", None),
)  # fmt: skip
_HTTP_MONITOR_FIELDS = (
    *_MONITOR_FIELDS,
    ("http_method", "HEAD"), ("http_method", None), ("url_path", "/up"), ("url_path", None),
    ("expected_codes", "200-204"), ("expected_codes", None),
    ("domain_name", None), ("http_version", None), ("http_version", 1.1),
    ("domain_name", "example.org"),
)  # fmt: skip
_BALANCER_FIELDS = (
    *_DESCRIBED,
    ("vip_qos_policy_id", QOS_POLICY), ("vip_qos_policy_id", OTHER_QOS_POLICY),
    ("vip_qos_policy_id", None),
    ("vip_sg_ids", [SECURITY_GROUP]), ("vip_sg_ids", None),
)  # fmt: skip

_POPULATED = {
    "name": "populated",
    "listeners": [
        {
            "name": "web",
            "protocol": "TCP",
            "protocol_port": 80,
            "allowed_cidrs": _CIDRS,
            "default_pool": {"name": "web-pool"},
        },
        {
            "name": "inline",
            "protocol": "TCP",
            "protocol_port": 81,
            "default_pool": {
                "name": "inline-pool",
                "protocol": "TCP",
                "lb_algorithm": "ROUND_ROBIN",
                "members": [
                    {"name": "inline-member", "address": "10.0.1.20", "protocol_port": 1},
                ],
            },
        },
        {"name": "bare", "protocol": "UDP", "protocol_port": 80},
    ],
    "pools": [
        {
            "name": "web-pool",
            "protocol": "TCP",
            "lb_algorithm": "SOURCE_IP_PORT",
            "session_persistence": {"type": "SOURCE_IP"},
            "healthmonitor": {
                "name": "web-monitor", "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2,
            },
            "members": [
                {"name": "one", "address": "10.0.1.11", "protocol_port": 80},
                {
                    "name": "two", "address": "10.0.1.12", "protocol_port": 80, "weight": 3,
                    "subnet_id": MEMBER_SUBNET, "backup": True, "monitor_port": 81,
                },
            ],
        },
        {"name": "idle-pool", "protocol": "UDP", "lb_algorithm": "ROUND_ROBIN"},
    ],
}  # fmt: skip
_WITH_POLICIES = {
    "name": "layer 7",
    "listeners": [
        {
            "name": "http",
            "protocol": "HTTP",
            "protocol_port": 80,
            "l7policies": [
                {
                    "name": "by-path",
                    "action": "REDIRECT_TO_POOL",
                    "redirect_pool": {"name": "http-pool"},
                    "rules": [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/x"}],
                },
            ],
        },
    ],
    "pools": [{"name": "http-pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}],
}

_FULL_LISTENER = {
    "name": "full", "description": "all of it", "admin_state_up": False, "connection_limit": 100,
    "default_pool_id": "{pool}", "allowed_cidrs": _CIDRS, "timeout_client_data": 1,
    "timeout_member_connect": 2, "timeout_member_data": 3, "timeout_tcp_inspect": 4,
    "tags": ["t"],
}  # fmt: skip
_FULL_POOL = {
    "name": "full", "description": "all of it", "admin_state_up": False, "tags": ["t"],
    "session_persistence": {"type": "SOURCE_IP"},
}  # fmt: skip
_FULL_MEMBER = {
    "name": "full", "admin_state_up": False, "weight": 9, "backup": True, "tags": ["t"],
    "subnet_id": MEMBER_SUBNET, "monitor_address": "10.0.1.200", "monitor_port": 1234,
}  # fmt: skip

_SUPPORT = (_pool(), _member(), _member("second", host=11, name="second"), _monitor())


def _verbs(path: str, fields: Iterable[tuple[str, Any]]) -> tuple[Step, ...]:
    return (*_each(path, fields), _delete(path))


SCENARIOS = (
    Scenario(
        "load balancer",
        (
            _balancer(),
            _ask("loadbalancers", "lb"),
            *_each("loadbalancers/{lb}", _BALANCER_FIELDS),
            Step("PUT", "loadbalancers/{lb}/failover"),
            _delete("loadbalancers/{lb}"),
        ),
    ),
    Scenario(
        "load balancer with all fields",
        (
            _balancer(
                name="lb", description="all of it", admin_state_up=False, tags=["t"],
                vip_address="10.0.0.50", vip_network_id=NETWORK, vip_qos_policy_id=QOS_POLICY,
                additional_vips=[{"subnet_id": SUBNET6, "ip_address": "2001:db8::50"}],
            ),
            _ask("loadbalancers", "lb"),
            _put("loadbalancers/{lb}", {"admin_state_up": True}),
            _delete("loadbalancers/{lb}?cascade=true"),
        ),
    ),
    Scenario(
        "VIP on a network, on a port, with security groups, on two subnets",
        (
            _post("loadbalancers", {"project_id": PROJECT, "vip_network_id": NETWORK}, "by-net"),
            _post("loadbalancers", {"project_id": PROJECT, "vip_port_id": PORT}, "by-port"),
            _balancer("grouped", vip_sg_ids=[SECURITY_GROUP]),
            _put("loadbalancers/{grouped}", {"vip_sg_ids": []}),
            _balancer("two", additional_vips=[{"subnet_id": SUBNET6}]),
            _put("loadbalancers/{two}", {"name": "two"}),
        ),
    ),
    Scenario(
        "load balancer with children",
        (
            _balancer("populated", **_POPULATED),
            _ask("loadbalancers", "populated"),
            _ask("listeners", "web"),
            _ask("pools", "web-pool"),
            _put("loadbalancers/{populated}", {"admin_state_up": False}),
            _put("listeners/{web}", {"name": "x"}),
            _put("pools/{web-pool}", {"name": "x"}),
            _put("pools/{web-pool}/members/{one}", {"name": "x"}),
            _put("healthmonitors/{web-monitor}", {"name": "x"}),
            Step("PUT", "loadbalancers/{populated}/failover"),
            _delete("loadbalancers/{populated}"),
            _delete("loadbalancers/{populated}?cascade=true"),
        ),
    ),
    Scenario(
        "listener",
        (
            _balancer(),
            _pool(),
            _pool("other-pool"),
            _listener(),
            _ask("listeners", "listener"),
            *_verbs("listeners/{listener}", _LISTENER_FIELDS),
        ),
    ),
    Scenario(
        "listener with a pool and allowed clients",
        (
            _balancer(),
            *_SUPPORT,
            _pool("other-pool"),
            _listener(**_FULL_LISTENER),
            _ask("listeners", "listener"),
            *_verbs("listeners/{listener}", _LISTENER_FIELDS),
        ),
    ),
    Scenario(
        "listener for HTTP",
        (
            _balancer(),
            _listener(protocol="HTTP", insert_headers=_HEADERS),
            _put("listeners/{listener}", {"insert_headers": {"X-Forwarded-Port": "true"}}),
            _put("listeners/{listener}", {"name": "x"}),
            _delete("listeners/{listener}"),
        ),
    ),
    Scenario(
        "pool",
        (_balancer(), _pool(), _ask("pools", "pool"), *_verbs("pools/{pool}", _POOL_FIELDS)),
    ),
    Scenario(
        "pool with a listener, persistence, members and a monitor",
        (
            _balancer(),
            _listener(),
            _pool(listener_id="{listener}", **_FULL_POOL),
            *_SUPPORT[1:],
            _ask("pools", "pool"),
            *_verbs("pools/{pool}", _POOL_FIELDS),
        ),
    ),
    Scenario(
        "pool of UDP with persistence",
        (
            _balancer(),
            _pool(
                protocol="UDP",
                session_persistence={"type": "SOURCE_IP", "persistence_timeout": 60},
            ),
            _put("pools/{pool}", {"session_persistence": {"persistence_timeout": 90}}),
            _put("pools/{pool}", {"name": "x"}),
            _delete("pools/{pool}"),
        ),
    ),
    Scenario(
        "member",
        (
            _balancer(),
            _pool(),
            _member(),
            _ask("members", "member"),
            *_verbs("pools/{pool}/members/{member}", _MEMBER_FIELDS),
        ),
    ),
    Scenario(
        "member with all fields, in a monitored pool with a listener",
        (
            _balancer(),
            _listener(),
            _pool(listener_id="{listener}"),
            _monitor(),
            _member(**_FULL_MEMBER),
            _ask("members", "member"),
            *_verbs("pools/{pool}/members/{member}", _MEMBER_FIELDS),
        ),
    ),
    Scenario(
        "members at once",
        (
            _balancer(),
            _listener(),
            _pool(listener_id="{listener}"),
            _member(**_FULL_MEMBER),
            _member("kept", host=11, name="kept", weight=4),
            Step("PUT", "pools/{pool}/members", {"members": [
                {"address": "10.0.1.10", "protocol_port": 8080},
                {"address": "10.0.1.11", "protocol_port": 8080, "weight": 2, "name": "again"},
                {"address": "10.0.1.12", "protocol_port": 8080, "name": "new"},
            ]}),
            Step("PUT", "pools/{pool}/members?additive_only=true", {"members": [
                {"address": "10.0.1.13", "protocol_port": 8080, "subnet_id": MEMBER_SUBNET},
                {"address": "10.0.1.12", "protocol_port": 8080, "admin_state_up": False},
            ]}),
            Step("PUT", "pools/{pool}/members", {"members": [
                {"address": "10.0.1.13", "protocol_port": 8080, "monitor_port": 1},
            ]}),
            Step("PUT", "pools/{pool}/members", {"members": []}),
            Step("PUT", "pools/{pool}/members", {"members": []}),
        ),
    ),
    Scenario(
        "health monitor",
        (
            _balancer(),
            _pool(),
            _monitor(),
            _ask("healthmonitors", "monitor"),
            *_verbs("healthmonitors/{monitor}", _MONITOR_FIELDS),
        ),
    ),
    Scenario(
        "health monitor with all fields, beside members and a listener",
        (
            _balancer(),
            _listener(),
            _pool(listener_id="{listener}"),
            _member(),
            _monitor(
                type="HTTP", name="full", admin_state_up=False, max_retries_down=4, tags=["t"],
                http_method="HEAD", url_path="/up", expected_codes="200-204", http_version=1.1,
                domain_name="example.org",
            ),
            _ask("healthmonitors", "monitor"),
            *_verbs("healthmonitors/{monitor}", _HTTP_MONITOR_FIELDS),
        ),
    ),
    Scenario(
        "layer 7",
        (
            _balancer(),
            _listener(protocol="HTTP"),
            _policy(),
            _rule(),
            _ask("l7policies", "policy"),
            _ask("l7rules", "rule"),
            _put("listeners/{listener}", {"name": "x"}),
            # Octavia refuses an update of nothing here.
            *_each("l7policies/{policy}", (*_DESCRIBED, ("position", 1)))[1:],
            *_each(
                "l7policies/{policy}/rules/{rule}",
                (("value", "/y"), ("invert", True), ("admin_state_up", False)),
            ),
            _delete("l7policies/{policy}/rules/{rule}"),
            _delete("l7policies/{policy}"),
        ),
    ),
    Scenario(
        "layer 7 in a load balancer with children",
        (
            _balancer("layer 7", **_WITH_POLICIES),
            _ask("listeners", "http"),
            _put("listeners/{http}", {"name": "x"}),
            _put("l7policies/{by-path}", {"name": "x"}),
            _delete("l7policies/{by-path}"),
            _delete("loadbalancers/{layer 7}?cascade=true"),
        ),
    ),
    Scenario(
        "flavor",
        (
            Step("GET", "providers/recorder/flavor_capabilities"),
            _post("flavorprofiles", {
                "name": "profile", "provider_name": "recorder", "flavor_data": '{"key": "value"}',
            }, "profile"),
            _post("flavors", {"name": "flavor", "flavor_profile_id": "{profile}"}, "flavor"),
            _balancer(flavor_id="{flavor}"),
            _put("loadbalancers/{lb}", {"name": "x"}),
            _ask("loadbalancers", "lb"),
            _delete("loadbalancers/{lb}"),
        ),
    ),
    Scenario(
        "availability zone",
        (
            Step("GET", "providers/recorder/availability_zone_capabilities"),
            _post("availabilityzoneprofiles", {
                "name": "zone-profile", "provider_name": "recorder",
                "availability_zone_data": '{"key": "value"}',
            }, "zone-profile"),
            _post("availabilityzones", {
                "name": "zone", "availability_zone_profile_id": "{zone-profile}",
            }, ""),
            _balancer(availability_zone="zone"),
            _put("loadbalancers/{lb}", {"name": "x"}),
            _ask("loadbalancers", "lb"),
            _delete("loadbalancers/{lb}"),
        ),
    ),
    Scenario(
        "defaults of the operator",
        (
            _balancer(),
            _pool(),
            _listener(),
            _put("listeners/{listener}", {"name": "x"}),
            _put("listeners/{listener}", {"timeout_client_data": None}),
            _put("listeners/{listener}", {"tls_ciphers": None}),
            _put("listeners/{listener}", {"tls_versions": None}),
            _put("listeners/{listener}", {"alpn_protocols": None}),
            _put("pools/{pool}", {"tls_ciphers": None}),
            _put("pools/{pool}", {"tls_versions": None}),
            _put("pools/{pool}", {"alpn_protocols": None}),
            _balancer("populated", **_POPULATED),
        ),
        {
            "haproxy_amphora.timeout_client_data": 600000,
            "haproxy_amphora.timeout_member_connect": 7000,
            "haproxy_amphora.timeout_member_data": 600001,
            "haproxy_amphora.timeout_tcp_inspect": 5,
            "api_settings.default_listener_ciphers": "TLS_AES_128_GCM_SHA256",
            "api_settings.default_pool_ciphers": "TLS_AES_256_GCM_SHA384",
            "api_settings.default_listener_tls_versions": ["TLSv1.3"],
            "api_settings.default_pool_tls_versions": ["TLSv1.2"],
            "api_settings.default_listener_alpn_protocols": ["http/1.1"],
            "api_settings.default_pool_alpn_protocols": ["h2"],
        },
    ),
)  # fmt: skip
