# SPDX-License-Identifier: Apache-2.0
"""What the script asks for: each field of an update alone, and whole objects."""

from tests.recordings.steps import (
    MEMBER_SUBNET,
    OTHER_QOS_POLICY,
    QOS_POLICY,
    SECURITY_GROUP,
)

ALLOWED = ["192.0.2.0/24", "198.51.100.7/32"]
HEADERS = {"X-Forwarded-For": "true"}

NAMES = (
    ("name", "renamed"), ("name", None),
    ("admin_state_up", False), ("admin_state_up", True),
    ("tags", ["a", "b"]), ("tags", []),
)  # fmt: skip
DESCRIBED = (*NAMES, ("description", "words"), ("description", None))

LISTENER_FIELDS = (
    *DESCRIBED,
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
POOL_FIELDS = (
    *DESCRIBED,
    ("lb_algorithm", "ROUND_ROBIN"),
    ("session_persistence", {"type": "SOURCE_IP"}), ("session_persistence", None),
    ("tls_enabled", True), ("tls_enabled", False),
    ("tls_container_ref", None), ("ca_tls_container_ref", None), ("crl_container_ref", None),
    ("tls_ciphers", "TLS_AES_256_GCM_SHA384"), ("tls_ciphers", None),
    ("tls_versions", ["TLSv1.3"]), ("tls_versions", None),
    ("alpn_protocols", ["h2"]), ("alpn_protocols", None),
)  # fmt: skip
MEMBER_FIELDS = (
    *NAMES,
    ("weight", 5), ("weight", 0), ("weight", None),
    ("backup", True), ("backup", None),
    ("monitor_address", "10.0.1.99"), ("monitor_address", None),
    ("monitor_port", 9000), ("monitor_port", None),
)  # fmt: skip
MONITOR_FIELDS = (
    *NAMES,
    ("delay", 30), ("timeout", 2), ("max_retries", 4), ("max_retries_down", 5),
    ("max_retries_down", None),
)  # fmt: skip
HTTP_MONITOR_FIELDS = (
    *MONITOR_FIELDS,
    ("http_method", "HEAD"), ("http_method", None), ("url_path", "/up"), ("url_path", None),
    ("expected_codes", "200-204"), ("expected_codes", None),
    ("domain_name", None), ("http_version", None), ("http_version", 1.1),
    ("domain_name", "example.org"),
)  # fmt: skip
BALANCER_FIELDS = (
    *DESCRIBED,
    ("vip_qos_policy_id", QOS_POLICY), ("vip_qos_policy_id", OTHER_QOS_POLICY),
    ("vip_qos_policy_id", None),
    ("vip_sg_ids", [SECURITY_GROUP]), ("vip_sg_ids", None),
)  # fmt: skip

POPULATED = {
    "name": "populated",
    "listeners": [
        {
            "name": "web",
            "protocol": "TCP",
            "protocol_port": 80,
            "allowed_cidrs": ALLOWED,
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
                    "subnet_id": MEMBER_SUBNET, "backup": True,
                },
            ],
        },
        {"name": "idle-pool", "protocol": "UDP", "lb_algorithm": "ROUND_ROBIN"},
    ],
}  # fmt: skip
WITH_POLICIES = {
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

FULL_LISTENER = {
    "name": "full", "description": "all of it", "admin_state_up": False,
    "default_pool_id": "{pool}", "allowed_cidrs": ALLOWED, "timeout_client_data": 1,
    "timeout_member_connect": 2, "timeout_member_data": 3, "timeout_tcp_inspect": 4,
    "tags": ["t"],
}  # fmt: skip
FULL_POOL = {
    "name": "full", "description": "all of it", "admin_state_up": False, "tags": ["t"],
    "session_persistence": {"type": "SOURCE_IP"},
}  # fmt: skip
FULL_MEMBER = {
    "name": "full", "admin_state_up": False, "weight": 9, "backup": True, "tags": ["t"],
    "subnet_id": MEMBER_SUBNET,
}  # fmt: skip
