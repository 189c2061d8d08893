# SPDX-License-Identifier: Apache-2.0
"""What Octavia fills in from its configuration where a request says nothing, or null."""

import dataclasses

_OLD_CIPHERS = (
    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:"
    "DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:"
    "DHE-RSA-AES256-SHA256:DHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256"
)
_CIPHERS = (
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
)
TIMEOUTS = {
    "timeout_client_data": 50000,
    "timeout_member_connect": 5000,
    "timeout_member_data": 50000,
    "timeout_tcp_inspect": 0,
}
_LISTENER = {
    "connection_limit": -1,
    "client_authentication": "NONE",
    "hsts_include_subdomains": False,
    "hsts_preload": False,
}
_TLS = {
    "listener_tls_versions": ["TLSv1.2", "TLSv1.3"],
    "listener_alpn_protocols": ["h2", "http/1.1", "http/1.0"],
    "pool_tls_versions": ["TLSv1.2", "TLSv1.3"],
    "pool_alpn_protocols": ["h2", "http/1.1", "http/1.0"],
}
_FIXED = {
    "members": {"weight": 1, "backup": False},
    "healthmonitors": {
        "max_retries_down": 3,
        "http_method": "GET",
        "url_path": "/",
        "expected_codes": "200",
    },
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """octavia.conf, as far as requests depend on it.

    :param timeouts: options of [haproxy_amphora]
    :param tls: options of [api_settings], without `default_`
    """

    timeouts: dict
    tls: dict

    @classmethod
    def read(cls, config, release):
        """Take them from {section: {option: value}}; lists are separated by commas there.

        :param release: of Octavia, 15 or 19
        """
        ciphers = _OLD_CIPHERS if release < 19 else _CIPHERS
        defaults = {"listener_ciphers": ciphers, "pool_ciphers": ciphers, **_TLS}
        timeouts = {
            name: int(value)
            for name, value in config.get("haproxy_amphora", {}).items()
            if name in TIMEOUTS
        }
        given = {
            name.removeprefix("default_"): _tls_value(name, value)
            for name, value in config.get("api_settings", {}).items()
            if name.removeprefix("default_") in defaults
        }
        return cls({**TIMEOUTS, **timeouts}, {**defaults, **given})

    def for_pools(self):
        """Return what a pool is filled up with that speaks TLS to its members."""
        return {
            "tls_ciphers": self.tls["pool_ciphers"],
            "tls_versions": self.tls["pool_tls_versions"],
            "alpn_protocols": self.tls["pool_alpn_protocols"],
        }

    def for_null(self, kind):
        """Return what an update with null leads to, by field."""
        tls = self.tls
        if kind == "listeners":
            return {
                **_LISTENER,
                **self.timeouts,
                "tls_ciphers": tls["listener_ciphers"],
                "tls_versions": tls["listener_tls_versions"],
                "alpn_protocols": tls["listener_alpn_protocols"],
            }
        if kind == "pools":
            defaults = self.for_pools()
            del defaults["alpn_protocols"]  # stays null
            return defaults
        return _FIXED.get(kind, {})


def _tls_value(name, value):
    if name.endswith("_ciphers") or not isinstance(value, str):
        return value
    return [each.strip() for each in value.split(",")]
