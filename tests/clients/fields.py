# SPDX-License-Identifier: Apache-2.0
"""What each field does that Octavia lets a user update: the table of test_openstacksdk.

Octavia takes null for admin_state_up as false, and for most others as its default.

An answer is SAME when Octavia accepts the value and no row of the Northbound database changes,
CHANGED when some do, and otherwise the beginning of a sentence that the user reads, in words that
must be in it.
"""

from __future__ import annotations

import dataclasses

SAME, CHANGED = "same", "changed"
OCTAVIA_FAILS = "cannot be null"
"""Octavia itself fails, with HTTP status 500."""


@dataclasses.dataclass(frozen=True)
class Field:
    """A field with a value that it does not have yet, and what becomes of requests.

    :param value: {spare} stands for the id of a second pool, {qos} for that of a QoS policy
    :param answer: to the value alone
    :param null: to null alone
    :param restores: whether the former value restores the former rows
    """

    value: object
    answer: str
    null: str
    restores: bool = True


_TLS = "TLS; terminate it in the members"
_NOT_HTTP = "not allowed on HTTP protocol listeners"
_NO_CA = "requires a client CA"

LOAD_BALANCER = {
    "name": Field("other", SAME, SAME),
    "description": Field("other", SAME, SAME),
    "admin_state_up": Field(False, CHANGED, CHANGED),
    "tags": Field(["a", "b"], SAME, SAME),
    "vip_qos_policy_id": Field("{qos}", "vip_qos_policy_id: OVN limits bandwidth", SAME),
    # Octavia keeps them to itself: in an update it does not tell the driver.
    "vip_sg_ids": Field([], SAME, SAME),
}
LISTENER = {
    "name": Field("other", SAME, SAME),
    "description": Field("other", SAME, SAME),
    "admin_state_up": Field(False, CHANGED, CHANGED),
    "tags": Field(["a", "b"], SAME, SAME),
    "connection_limit": Field(7, "connection_limit: OVN does not count", SAME),
    "default_pool_id": Field("{spare}", CHANGED, CHANGED),
    "allowed_cidrs": Field(["198.51.100.0/24"], CHANGED, CHANGED),
    "insert_headers": Field({"X-Forwarded-For": "true"}, "layer 4", SAME),
    "timeout_client_data": Field(600000, SAME, SAME),
    "timeout_member_connect": Field(600000, SAME, SAME),
    "timeout_member_data": Field(600000, SAME, SAME),
    "timeout_tcp_inspect": Field(600000, SAME, SAME),
    "default_tls_container_ref": Field("http://kms/a", _NOT_HTTP, SAME),
    "sni_container_refs": Field(["http://kms/a"], _NOT_HTTP, SAME),
    "client_ca_tls_container_ref": Field("http://kms/a", "CA certificate is invalid", SAME),
    "client_crl_container_ref": Field("http://kms/a", "CA reference is required", SAME),
    "client_authentication": Field("MANDATORY", _NO_CA, _NO_CA),
    "tls_ciphers": Field("ECDHE-RSA-AES128-GCM-SHA256", SAME, SAME),
    "tls_versions": Field(["TLSv1.2"], SAME, SAME),
    "alpn_protocols": Field(["h2"], SAME, SAME),
    "hsts_max_age": Field(60, "only be used for listeners using", SAME),
    "hsts_include_subdomains": Field(True, "hsts_max_age was not set", SAME),
    "hsts_preload": Field(True, "hsts_max_age was not set", SAME),
}
POOL = {
    "name": Field("other", SAME, SAME),
    "description": Field("other", SAME, SAME),
    "admin_state_up": Field(False, CHANGED, CHANGED),
    "tags": Field(["a", "b"], SAME, SAME),
    "lb_algorithm": Field("SOURCE_IP", CHANGED, "null is no value that Octavia can store"),
    "session_persistence": Field({"type": "HTTP_COOKIE"}, "SOURCE_IP only", CHANGED),
    "tls_container_ref": Field("http://kms/a", _TLS, SAME),
    "ca_tls_container_ref": Field("http://kms/a", "CA certificate is invalid", SAME),
    "crl_container_ref": Field("http://kms/a", "CA reference is required", SAME),
    "tls_enabled": Field(True, _TLS, OCTAVIA_FAILS),
    "tls_ciphers": Field("ECDHE-RSA-AES128-GCM-SHA256", SAME, SAME),
    "tls_versions": Field(["TLSv1.2"], SAME, SAME),
    "alpn_protocols": Field(["h2"], SAME, SAME),
}
MEMBER = {
    "name": Field("other", SAME, SAME),
    "admin_state_up": Field(False, CHANGED, CHANGED),
    "tags": Field(["a", "b"], SAME, SAME),
    "weight": Field(5, CHANGED, CHANGED),
    "backup": Field(True, CHANGED, SAME),
    "monitor_port": Field(8080, "monitor_port: OVN checks members at the port", SAME),
    "monitor_address": Field("10.0.0.250", "monitor_address: OVN checks members", SAME),
}
HEALTH_MONITOR = {
    "name": Field("other", SAME, SAME),
    # The checks then come from another address.
    "admin_state_up": Field(False, CHANGED, CHANGED, restores=False),
    "tags": Field(["a", "b"], SAME, SAME),
    "delay": Field(7, CHANGED, "delay"),
    "timeout": Field(2, CHANGED, "timeout"),
    "max_retries": Field(5, CHANGED, "max_retries"),
    "max_retries_down": Field(5, CHANGED, CHANGED),
    "http_method": Field("GET", "not a valid option", "not a valid option"),
    "url_path": Field("/", "not a valid option", "not a valid option"),
    "expected_codes": Field("200", "not a valid option", "not a valid option"),
    # Octavia keeps it for a monitor of any type; a check by TCP sends no request.
    "http_version": Field(1.1, SAME, SAME),
    "domain_name": Field("example.com", "'http_version' must be specified", SAME),
}
