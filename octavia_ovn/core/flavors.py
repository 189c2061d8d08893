# SPDX-License-Identifier: Apache-2.0
"""Flavors: the keys of Octavia's flavor profiles.

A row holds the flavor of its load balancer in the same words, so one reader serves both.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

from octavia_ovn.core import ip, model

DESCRIPTIONS: Mapping[str, str] = {
    "reject": "Boolean. Refuse connections at once while no member may serve (true, the default),"
    " or leave clients without an answer (false).",
    "ct_flush": "Boolean. When a member is deleted, disabled or gets weight 0, also end the"
    " connections that it has (true, the default for UDP), or keep them (false, the default"
    " for TCP and SCTP).",
    "hairpin_snat_ip": "The address, instead of the VIP, that a member sees when it connects to its"
    " own load balancer and is chosen itself: an IPv4 address, an IPv6 address, or one of both"
    " separated by a space.",
    "session_persistence": "How session persistence SOURCE_IP keeps a client on its member: by a"
    " hash of its address (hash), or by remembering it for a time (affinity). Overrides [ovn]"
    " session_persistence.",
    "strict_algorithms": "Boolean. Refuse pools with lb_algorithm ROUND_ROBIN. Overrides [ovn]"
    " strict_algorithms.",
    "drain_timeout": "Seconds, from 5 to 86400. A member that is deleted, disabled or gets weight 0"
    " gets no new connections, keeps those that it has for this time, and loses the rest then. By"
    " default they stay until they end by themselves. It excludes ct_flush.",
    "drain_failed": "Boolean. Whether drain_timeout also applies to a member that fails its check"
    " (false by default: its connections stay until they end by themselves).",
    "fail_open": "Boolean. While all members of a pool fail their health checks, have all of them"
    " serve (true), or refuse connections (false, the default). Without effect on pools that OVN"
    " checks itself.",
    "endpoint_weights": "Boolean. Take the weights of members from the header"
    " X-Load-Balancing-Endpoint-Weight of their answers to HTTP and HTTPS health monitors.",
    "withdraw": "Boolean. While no member of a listener's pool may serve, take the listener out of"
    " OVN, so that the route to a VIP without any other is not announced by BGP (true), or have OVN"
    " refuse connections (false, the default).",
}
"""Each key with its meaning, for operators."""

FIRST = frozenset(
    {"reject", "ct_flush", "hairpin_snat_ip", "session_persistence", "strict_algorithms"}
)
"""The keys that all versions know."""

DRAIN_TIMES = range(5, 86_401)
"""The values of drain_timeout, in seconds."""

# Measured: see docs/operators/flavors.md.
_NEVER = {
    "distributed": "OVN would drop the traffic of members without a health monitor",
    "use_stateless_nat": "OVN would not answer clients outside any more",
}
_FAMILIES = ([4], [6], [4, 6], [6, 4])


def read(values: object) -> model.Flavor:
    """Return a flavor, given the metadata of a flavor profile.

    :raises ValueError: naming the key that is unknown or whose value is wrong
    :raises TypeError: when it is no JSON object at all
    """
    if not isinstance(values, Mapping):
        msg = "a flavor's data must be a JSON object"
        raise TypeError(msg)
    for key in values:
        _check_key(key)
    _check_drain(values)
    return model.Flavor(
        reject=_boolean(values, "reject"),
        ct_flush=_boolean(values, "ct_flush"),
        hairpin_snat_ip=_addresses(values, "hairpin_snat_ip"),
        session_persistence=_mechanism(values, "session_persistence"),
        strict_algorithms=_boolean(values, "strict_algorithms"),
        drain_timeout=_drain_timeout(values),
        drain_failed=_boolean(values, "drain_failed"),
        fail_open=_boolean(values, "fail_open"),
        endpoint_weights=_boolean(values, "endpoint_weights"),
        withdraw=_boolean(values, "withdraw"),
    )


def known(values: Mapping[str, object]) -> dict[str, object]:
    """Return the part of a flavor that this version knows."""
    return {key: value for key, value in values.items() if key in DESCRIPTIONS}


def write(flavor: model.Flavor) -> dict[str, object]:
    """Return the metadata of a flavor, the reverse of :func:`read`; empty when it sets nothing."""
    values = {
        "reject": flavor.reject,
        "ct_flush": flavor.ct_flush,
        "hairpin_snat_ip": " ".join(flavor.hairpin_snat_ip) or None,
        "session_persistence": flavor.session_persistence and flavor.session_persistence.value,
        "strict_algorithms": flavor.strict_algorithms,
        "drain_timeout": flavor.drain_timeout,
        "drain_failed": flavor.drain_failed,
        "fail_open": flavor.fail_open,
        "endpoint_weights": flavor.endpoint_weights,
        "withdraw": flavor.withdraw,
    }
    return {key: value for key, value in values.items() if value is not None}


def with_mechanism(pool: model.Pool, flavor: model.Flavor) -> model.Pool:
    """Return a pool with the flavor's mechanism of session persistence, if it sets one."""
    if pool.persistence is None or flavor.session_persistence is None:
        return pool
    return replace(
        pool, persistence=replace(pool.persistence, mechanism=flavor.session_persistence)
    )


def _check_key(key: object) -> None:
    if key in _NEVER:
        msg = f"{key}: this option of OVN is not offered; {_NEVER[str(key)]}"
        raise ValueError(msg)
    if key not in DESCRIPTIONS:
        msg = f"{key}: no such key; flavors of OVN know {', '.join(sorted(DESCRIPTIONS))}"
        raise ValueError(msg)


def _boolean(values: Mapping[str, object], key: str) -> bool | None:
    if key not in values:
        return None
    value = values[key]
    if not isinstance(value, bool):
        raise _wrong(key, "true or false", value)
    return value


def _drain_timeout(values: Mapping[str, object]) -> int | None:
    key = "drain_timeout"
    if key not in values:
        return None
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int) or value not in DRAIN_TIMES:
        wanted = f"a number of seconds from {DRAIN_TIMES.start} to {DRAIN_TIMES.stop - 1}"
        raise _wrong(key, wanted, value)
    return value


def _check_drain(values: Mapping[str, object]) -> None:
    """Refuse keys that contradict each other, or say nothing without another."""
    if "drain_timeout" in values and values.get("ct_flush") is True:
        msg = "drain_timeout: excludes ct_flush, which ends the connections at once"
        raise ValueError(msg)
    if values.get("drain_failed") is True and "drain_timeout" not in values:
        msg = "drain_failed: needs drain_timeout"
        raise ValueError(msg)


def _mechanism(values: Mapping[str, object], key: str) -> model.Mechanism | None:
    if key not in values:
        return None
    try:
        return model.Mechanism(values[key])
    except ValueError:
        raise _wrong(key, "hash or affinity", values[key]) from None


def _addresses(values: Mapping[str, object], key: str) -> tuple[str, ...]:
    if key not in values:
        return ()
    try:
        addresses = tuple(map(ip.canonical_address, str(values[key]).split()))
    except ValueError:
        addresses = ()
    families = [ip.family(each) for each in addresses]
    if families not in _FAMILIES or not all(map(_is_source, addresses)):
        wanted = "an IPv4 address, an IPv6 address, or one of both separated by a space"
        raise _wrong(key, wanted, values[key])
    return addresses


def _is_source(address: str) -> bool:
    """Whether a packet may come from an address."""
    found = ipaddress.ip_address(address)
    return not (found.is_unspecified or found.is_multicast or found.is_loopback)


def _wrong(key: str, wanted: str, value: object) -> ValueError:
    return ValueError(f"{key}: must be {wanted}, not {value!r}")
