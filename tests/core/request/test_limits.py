# SPDX-License-Identifier: Apache-2.0
"""What OVN cannot do is refused with a sentence; what asks for nothing is accepted."""

import pytest

from octavia_ovn.core.request import limits

# Defaults that Octavia always sends, and other ways to ask for nothing.
HARMLESS = {
    "nothing": ("listener", {}),
    "defaults of a listener": (
        "listener",
        {
            "timeout_client_data": 50000,
            "timeout_member_connect": 5000,
            "timeout_member_data": 50000,
            "timeout_tcp_inspect": 0,
            "insert_headers": {},
            "allowed_cidrs": ["10.0.0.0/8"],
            "client_authentication": "NONE",
            "l7policies": [],
            "tls_versions": ["TLSv1.3"],
            "tls_ciphers": "TLS_AES_256_GCM_SHA384",
            "alpn_protocols": ["h2"],
        },
    ),
    "nulls": ("listener", {"timeout_client_data": None}),
    "time-outs": ("listener", {"timeout_client_data": 1, "timeout_tcp_inspect": 1}),
    "pool": ("pool", {"tls_enabled": False, "name": "x", "tls_ciphers": "ECDHE"}),
    "member": ("member", {"monitor_port": None, "monitor_address": None, "weight": 5}),
    "usual member": ("member", {"vnic_type": "normal"}),
    "load balancer": ("load balancer", {"vip_sg_ids": [], "vip_qos_policy_id": "q"}),
}


@pytest.mark.parametrize(("kind", "fields"), HARMLESS.values(), ids=HARMLESS)
def test_accepts(kind, fields):
    limits.check(kind, fields)


def test_what_the_operator_permits_is_not_refused():
    permitted = limits.Usual(permitted=frozenset({limits.VIP_GROUPS}))
    limits.check("load balancer", {"vip_sg_ids": ["sg"]}, permitted)


ASKING = [
    ("listener", "insert_headers", {"X-Forwarded-For": "true"}),
    ("listener", "l7policies", [object()]),
    ("listener", "default_tls_container_ref", "ref"),
    ("listener", "client_authentication", "MANDATORY"),
    ("listener", "hsts_max_age", 5),
    ("pool", "tls_enabled", True),
    ("member", "vnic_type", "direct"),
    ("load balancer", "vip_sg_ids", ["sg"]),
]


@pytest.mark.parametrize(("kind", "option", "value"), ASKING)
def test_refuses_and_names_the_option(kind, option, value):
    with pytest.raises(limits.Unsupported, match=rf"^{option}: .*\.$"):
        limits.check(kind, {"name": "x", option: value})


EVERY = [(kind, each) for kind, table in limits.TABLE.items() for each in table]
IDS = [f"{kind}-{each.option}" for kind, each in EVERY]
STRICT = limits.Usual(strict=True)


@pytest.mark.parametrize(("kind", "limit"), EVERY, ids=IDS)
def test_refuses_every_option_of_the_table(kind, limit):
    with pytest.raises(limits.Unsupported, match=f"^{limit.option}: "):
        limits.check(kind, {limit.option: "something"}, STRICT)


@pytest.mark.parametrize(("kind", "limit"), EVERY, ids=IDS)
def test_what_octavia_fills_in_asks_for_nothing(kind, limit):
    for value in ("something", ["something"], 600000):
        usual = limits.Usual({kind: {limit.option: value}}, strict=True)

        limits.check(kind, {limit.option: value}, usual)


def test_the_built_in_default_asks_for_something_where_octavia_has_another():
    usual = limits.Usual({"listener": {"timeout_client_data": 600000}}, strict=True)

    with pytest.raises(limits.Unsupported, match="strict_options"):
        limits.check("listener", {"timeout_client_data": 50000}, usual)


def test_sentences_name_the_value():
    error = limits.refuse(limits.MONITOR_PROTOCOL, protocol="UDP", value="TCP")

    assert str(error) == "OVN cannot check the members of a UDP pool by TCP."


HTTP_OPTIONS = {
    "http_version": 1.1,
    "domain_name": "example.org",
    "url_path": "/status",
    "http_method": "HEAD",
    "expected_codes": "200-204",
}


@pytest.mark.parametrize(("option", "value"), HTTP_OPTIONS.items())
def test_http_options_of_a_monitor_are_refused_only_if_the_operator_wants_that(option, value):
    limits.check("health monitor", {option: value})
    with pytest.raises(limits.Unsupported, match=f"^{option}: .*strict_options"):
        limits.check("health monitor", {option: value}, STRICT)


@pytest.mark.parametrize("kind", ["HTTP", "HTTPS", "TLS-HELLO", "PING", "TCP"])
def test_but_never_of_a_monitor_that_acts_on_them(kind):
    used = {"HTTP": HTTP_OPTIONS, "HTTPS": HTTP_OPTIONS}
    used["TLS-HELLO"] = {"http_version", "domain_name"}
    for option, value in HTTP_OPTIONS.items():
        for asked, known in (
            ({option: value, "type": kind}, {}),
            ({option: value}, {"type": kind}),
        ):
            if option in used.get(kind, ()):
                limits.check("health monitor", asked, STRICT, known)
            else:
                with pytest.raises(limits.Unsupported, match=f"^{option}: .*strict_options"):
                    limits.check("health monitor", asked, STRICT, known)
