# SPDX-License-Identifier: Apache-2.0
"""The options of octavia.conf that restrict the requests of tenants.

Octavia fills in options that a request does not name, from its own configuration. Such values ask
for nothing; so those options of Octavia are read here, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from octavia_ovn.config import health
from octavia_ovn.core.model import Application
from octavia_ovn.core.request.admission import Admission
from octavia_ovn.core.request.limits import TIMEOUTS, VIP_GROUPS, Usual

OVN_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "strict_algorithms",
        default=False,
        help="Refuse pools with lb_algorithm ROUND_ROBIN. OVN chooses a member for every"
        " connection, in no particular order, which is close to but not the same as round robin.",
    ),
    cfg.BoolOpt(
        "https_as_tcp",
        default=True,
        help="Serve listeners and pools with protocol HTTPS as TCP: TLS passes through and is"
        " terminated by the members. Switched off, new ones are refused.",
    ),
    cfg.BoolOpt(
        "http_as_tcp",
        default=True,
        help="Serve listeners and pools with protocol HTTP as TCP, one member for a whole"
        " connection. Options that need HTTP requests to be read are refused: inserted headers, L7"
        " policies and persistence by cookie. Switched off, new ones are refused.",
    ),
    cfg.BoolOpt(
        "strict_options",
        default=False,
        help="Refuse options that OVN accepts without acting on them: time-outs of listeners, TLS"
        " ciphers, TLS versions and ALPN protocols where there is no TLS, and HTTP options of"
        " health monitors that check by TCP or UDP-CONNECT. Values that Octavia fills in itself are"
        " never refused. Switched off, a time-out is the shortest time that an idle connection"
        " lasts: OVN closes none.",
    ),
    cfg.IntOpt(
        "max_members",
        default=500,
        min=0,
        help="Most members of a pool; 0 means no limit. Each is a bucket of an OpenFlow group, and"
        " groups of more than about 800 (IPv6: 600) serve, but 'ovs-ofctl dump-groups', which"
        " collectors of support data call, cannot show them and crashed ovs-vswitchd in our tests."
        " Existing pools stay.",
    ),
    cfg.IntOpt(
        "max_allowed_cidrs",
        default=256,
        min=0,
        help="Most networks in the allowed_cidrs of a listener; 0 means no limit. Existing lists"
        " stay.",
    ),
    cfg.IntOpt(
        "max_denied_cidrs",
        default=8192,
        min=0,
        help="Most networks that describe the addresses that a listener denies, for each IP"
        " version; 0 means no limit. OVN stores these, about 25 for each allowed IPv4 address and"
        " 100 for each allowed IPv6 address, and makes five flows of each on every hypervisor."
        " Existing lists stay.",
    ),
    cfg.BoolOpt(
        "vip_security_groups",
        default=False,
        help="Let VIPs have security groups (vip_sg_ids): the agent follows their rules and members"
        " and denies all other clients. Set it on all controllers once all of them run a version"
        " that knows it. Existing VIPs keep their groups when it is switched off.",
    ),
]

_AMPHORA, _API = "haproxy_amphora", "api_settings"
_LISTENER = {
    **{name: (_AMPHORA, cfg.IntOpt(name, default=usual)) for name, usual in TIMEOUTS.items()},
    "tls_ciphers": (_API, cfg.StrOpt("default_listener_ciphers")),
    "tls_versions": (_API, cfg.ListOpt("default_listener_tls_versions")),
    "alpn_protocols": (_API, cfg.ListOpt("default_listener_alpn_protocols")),
}
_POOL = {
    "tls_ciphers": (_API, cfg.StrOpt("default_pool_ciphers")),
    "tls_versions": (_API, cfg.ListOpt("default_pool_tls_versions")),
    "alpn_protocols": (_API, cfg.ListOpt("default_pool_alpn_protocols")),
}
_FILLED_IN = {"listener": _LISTENER, "pool": _POOL}
OCTAVIA_OPTS: list[tuple[str, cfg.Opt]] = [
    each for table in _FILLED_IN.values() for each in table.values()
]
"""Options of Octavia's with the section of each, for a process that has not loaded Octavia."""

Get = Callable[[str, str], Any]
"""Returns the value of an option, given its section and name."""


def admission(get: Get) -> Admission:
    """Return the operator's restrictions on requests."""
    carried = (each for each in Application if get("ovn", f"{each.value.lower()}_as_tcp"))
    names = ("strict_algorithms", "max_members", "max_allowed_cidrs", "max_denied_cidrs")
    return Admission(
        carried=frozenset(carried),
        probes=get(health.SECTION, "enabled"),
        **{name: get("ovn", name) for name in names},
    )


def usual(get: Get) -> Usual:
    """Return the values of options that ask for nothing."""
    filled_in = {
        kind: {name: get(section, opt.dest) for name, (section, opt) in table.items()}
        for kind, table in _FILLED_IN.items()
    }
    permitted = {VIP_GROUPS} if get("ovn", "vip_security_groups") else ()
    return Usual(filled_in, get("ovn", "strict_options"), frozenset(permitted))
