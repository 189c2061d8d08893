# SPDX-License-Identifier: Apache-2.0
"""The requests that are recorded: every verb for every kind of object, each field alone.

Needs nothing but the standard library.
"""

from tests.recordings.bodies import (
    BALANCER_FIELDS,
    DESCRIBED,
    FULL_LISTENER,
    FULL_MEMBER,
    FULL_POOL,
    HEADERS,
    HTTP_MONITOR_FIELDS,
    LISTENER_FIELDS,
    MEMBER_FIELDS,
    MONITOR_FIELDS,
    POOL_FIELDS,
    POPULATED,
    WITH_POLICIES,
)
from tests.recordings.steps import (
    MEMBER_SUBNET,
    NETWORK,
    PORT,
    PROJECT,
    QOS_POLICY,
    SECURITY_GROUP,
    SUBNET6,
    Scenario,
    Step,
    ask,
    balancer,
    delete,
    each,
    listener,
    member,
    monitor,
    policy,
    pool,
    post,
    put,
    rule,
    verbs,
)

SUPPORT = (pool(), member(), member("second", host=11, name="second"), monitor())

SCENARIOS = (
    Scenario(
        "load balancer",
        (
            balancer(),
            ask("loadbalancers", "lb"),
            *each("loadbalancers/{lb}", BALANCER_FIELDS),
            Step("PUT", "loadbalancers/{lb}/failover"),
            delete("loadbalancers/{lb}"),
        ),
    ),
    Scenario(
        "load balancer with all fields",
        (
            balancer(
                name="lb", description="all of it", admin_state_up=False, tags=["t"],
                vip_address="10.0.0.50", vip_network_id=NETWORK, vip_qos_policy_id=QOS_POLICY,
                additional_vips=[{"subnet_id": SUBNET6, "ip_address": "2001:db8::50"}],
            ),
            ask("loadbalancers", "lb"),
            put("loadbalancers/{lb}", {"admin_state_up": True}),
            delete("loadbalancers/{lb}?cascade=true"),
        ),
    ),
    Scenario(
        "VIP on a network, on a port, with security groups, on two subnets",
        (
            post("loadbalancers", {"project_id": PROJECT, "vip_network_id": NETWORK}, "by-net"),
            post("loadbalancers", {"project_id": PROJECT, "vip_port_id": PORT}, "by-port"),
            balancer("grouped", vip_sg_ids=[SECURITY_GROUP]),
            put("loadbalancers/{grouped}", {"vip_sg_ids": []}),
            balancer("two", additional_vips=[{"subnet_id": SUBNET6}]),
            put("loadbalancers/{two}", {"name": "two"}),
        ),
    ),
    Scenario(
        "load balancer with children",
        (
            balancer("populated", **POPULATED),
            ask("loadbalancers", "populated"),
            ask("listeners", "web"),
            ask("pools", "web-pool"),
            put("loadbalancers/{populated}", {"admin_state_up": False}),
            put("listeners/{web}", {"name": "x"}),
            put("pools/{web-pool}", {"name": "x"}),
            put("pools/{web-pool}/members/{one}", {"name": "x"}),
            put("healthmonitors/{web-monitor}", {"name": "x"}),
            Step("PUT", "loadbalancers/{populated}/failover"),
            delete("loadbalancers/{populated}"),
            delete("loadbalancers/{populated}?cascade=true"),
        ),
    ),
    Scenario(
        "listener",
        (
            balancer(),
            pool(),
            pool("other-pool"),
            listener(),
            ask("listeners", "listener"),
            *verbs("listeners/{listener}", LISTENER_FIELDS),
        ),
    ),
    Scenario(
        "listener with a pool and allowed clients",
        (
            balancer(),
            *SUPPORT,
            pool("other-pool"),
            listener(**FULL_LISTENER),
            ask("listeners", "listener"),
            *verbs("listeners/{listener}", LISTENER_FIELDS),
        ),
    ),
    Scenario(
        "listener for HTTP",
        (
            balancer(),
            listener(protocol="HTTP", insert_headers=HEADERS, connection_limit=100),
            listener("plain", protocol="HTTP", protocol_port=8080),
            put("listeners/{plain}", {"name": "x"}),
            put("listeners/{listener}", {"insert_headers": {"X-Forwarded-Port": "true"}}),
            put("listeners/{listener}", {"name": "x"}),
            delete("listeners/{listener}"),
        ),
    ),
    Scenario(
        "pool",
        (
            balancer(),
            pool("encrypted", tls_enabled=True),
            pool(),
            ask("pools", "pool"),
            *verbs("pools/{pool}", POOL_FIELDS),
        ),
    ),
    Scenario(
        "pool with a listener, persistence, members and a monitor",
        (
            balancer(),
            listener(),
            pool(listener_id="{listener}", **FULL_POOL),
            *SUPPORT[1:],
            ask("pools", "pool"),
            *verbs("pools/{pool}", POOL_FIELDS),
        ),
    ),
    Scenario(
        "pool of UDP with persistence",
        (
            balancer(),
            pool(
                protocol="UDP",
                session_persistence={"type": "SOURCE_IP", "persistence_timeout": 60},
            ),
            put("pools/{pool}", {"session_persistence": {"persistence_timeout": 90}}),
            put("pools/{pool}", {"name": "x"}),
            delete("pools/{pool}"),
        ),
    ),
    Scenario(
        "member",
        (
            balancer(),
            pool(),
            member(),
            ask("members", "member"),
            *verbs("pools/{pool}/members/{member}", MEMBER_FIELDS),
            member("watched", host=12, monitor_address="10.0.1.200", monitor_port=1234),
            put("pools/{pool}/members/{watched}", {"name": "x"}),
        ),
    ),
    Scenario(
        "member with all fields, in a monitored pool with a listener",
        (
            balancer(),
            listener(),
            pool(listener_id="{listener}"),
            monitor(),
            member(**FULL_MEMBER),
            ask("members", "member"),
            *verbs("pools/{pool}/members/{member}", MEMBER_FIELDS),
        ),
    ),
    Scenario(
        "members at once",
        (
            balancer(),
            listener(),
            pool(listener_id="{listener}"),
            member(**FULL_MEMBER),
            member("kept", host=11, name="kept", weight=4),
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
            Step("PUT", "pools/{pool}/members", {"members": [
                {"address": "10.0.1.13", "protocol_port": 8080},
            ]}),
            Step("PUT", "pools/{pool}/members", {"members": []}),
            Step("PUT", "pools/{pool}/members", {"members": []}),
        ),
    ),
    Scenario(
        "health monitor",
        (
            balancer(),
            pool(),
            monitor(),
            ask("healthmonitors", "monitor"),
            *verbs("healthmonitors/{monitor}", MONITOR_FIELDS),
        ),
    ),
    Scenario(
        "health monitor with all fields, beside members and a listener",
        (
            balancer(),
            listener(),
            pool(listener_id="{listener}"),
            member(),
            monitor(name="full", admin_state_up=False, max_retries_down=4, tags=["t"]),
            ask("healthmonitors", "monitor"),
            *verbs("healthmonitors/{monitor}", MONITOR_FIELDS),
        ),
    ),
    Scenario(
        "health monitor for HTTP",
        (
            balancer(),
            pool(),
            monitor(type="HTTP"),
            delete("healthmonitors/{monitor}"),
            monitor(
                "monitor of all", type="HTTP", http_method="HEAD", url_path="/up",
                expected_codes="200-204", http_version=1.1, domain_name="example.org",
            ),
            ask("healthmonitors", "monitor of all"),
            *verbs("healthmonitors/{monitor of all}", HTTP_MONITOR_FIELDS),
        ),
    ),
    Scenario(
        "layer 7",
        (
            balancer(),
            listener(protocol="HTTP"),
            policy(),
            rule(),
            ask("l7policies", "policy"),
            ask("l7rules", "rule"),
            put("listeners/{listener}", {"name": "x"}),
            # Octavia refuses an update of nothing here.
            *each("l7policies/{policy}", (*DESCRIBED, ("position", 1)))[1:],
            *each(
                "l7policies/{policy}/rules/{rule}",
                (("value", "/y"), ("invert", True), ("admin_state_up", False)),
            ),
            delete("l7policies/{policy}/rules/{rule}"),
            delete("l7policies/{policy}"),
        ),
    ),
    Scenario(
        "layer 7 in a load balancer with children",
        (
            balancer("layer 7", **WITH_POLICIES),
            ask("listeners", "http"),
            put("listeners/{http}", {"name": "x"}),
            put("l7policies/{by-path}", {"name": "x"}),
            delete("l7policies/{by-path}"),
            delete("loadbalancers/{layer 7}?cascade=true"),
        ),
    ),
    Scenario(
        "flavor",
        (
            Step("GET", "providers/recorder/flavor_capabilities"),
            post("flavorprofiles", {
                "name": "profile", "provider_name": "recorder", "flavor_data": '{"key": "value"}',
            }, "profile"),
            post("flavors", {"name": "flavor", "flavor_profile_id": "{profile}"}, "flavor"),
            balancer(flavor_id="{flavor}"),
            put("loadbalancers/{lb}", {"name": "x"}),
            ask("loadbalancers", "lb"),
            delete("loadbalancers/{lb}"),
        ),
    ),
    Scenario(
        "availability zone",
        (
            Step("GET", "providers/recorder/availability_zone_capabilities"),
            post("availabilityzoneprofiles", {
                "name": "zone-profile", "provider_name": "recorder",
                "availability_zone_data": '{"key": "value"}',
            }, "zone-profile"),
            post("availabilityzones", {
                "name": "zone", "availability_zone_profile_id": "{zone-profile}",
            }, ""),
            balancer(availability_zone="zone"),
            put("loadbalancers/{lb}", {"name": "x"}),
            ask("loadbalancers", "lb"),
            delete("loadbalancers/{lb}"),
        ),
    ),
    Scenario(
        "defaults of the operator",
        (
            balancer(),
            pool(),
            pool("encrypted", tls_enabled=True),
            listener(),
            put("listeners/{listener}", {"name": "x"}),
            put("listeners/{listener}", {"timeout_client_data": None}),
            put("listeners/{listener}", {"tls_ciphers": None}),
            put("listeners/{listener}", {"tls_versions": None}),
            put("listeners/{listener}", {"alpn_protocols": None}),
            put("pools/{pool}", {"tls_ciphers": None}),
            put("pools/{pool}", {"tls_versions": None}),
            put("pools/{pool}", {"alpn_protocols": None}),
            balancer("populated", **POPULATED),
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
