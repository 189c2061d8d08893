# SPDX-License-Identifier: Apache-2.0
"""Options that OVN cannot serve, as one table: option → the sentence that the user reads.

An option counts as asked for when its value does; defaults that Octavia always sends do not.
Nothing is accepted and then ignored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

Fields = Mapping[str, object]
"""The fields of an Octavia object that are set, by octavia-lib's names."""


class Unsupported(Exception):
    """A request asks for something that OVN cannot do; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Usual:
    """Values that ask for nothing in a cloud.

    :param filled_in: values that Octavia fills in for options that a request does not name, by kind
        of object and option
    :param strict: whether options that OVN does not act on are refused
    :param permitted: options that are refused unless the operator permits them
    """

    filled_in: Mapping[str, Fields] = field(default_factory=dict)
    strict: bool = False
    permitted: frozenset[str] = frozenset()


BUILT_IN = Usual()
"""For a cloud where Octavia's own options have their defaults."""


@dataclass(frozen=True, slots=True)
class Limit:
    """An option and the reason why OVN cannot serve it.

    :param usual: the value that asks for nothing; by default all empty values
    :param strict: whether the option is refused only if the operator wants that
    :param used_by: types of the object that act on the option
    """

    option: str
    reason: str
    usual: object = None
    strict: bool = False
    used_by: Collection[str] = ()

    def asks(self, kind: str, fields: Fields, usual: Usual) -> bool:
        """Whether the value that fields hold asks for something.

        :param fields: all that is known of the object
        """
        value = fields[self.option]
        if self.option in usual.permitted:
            return False
        if (self.strict and not usual.strict) or (not value and self.usual is None):
            return False
        filled_in = usual.filled_in.get(kind, {}).get(self.option, self.usual)
        return value not in (None, filled_in) and fields.get("type") not in self.used_by

    def refusal(self) -> str:
        """Return the sentence that the user reads."""
        return f"{self.option}: {self.reason}{STRICT_OPTIONS if self.strict else ''}."


STRICT_OPTIONS = ", and [ovn] strict_options is set"
"""The end of a sentence about an option that is refused only if the operator wants that."""

_NO_TLS = (
    "OVN balances connections and cannot terminate or originate TLS; terminate it in the members"
)
_NO_L7 = "OVN works at layer 4 and does not see requests"

_NO_TIMEOUT = "OVN does not terminate connections and has no such time-out"
_NO_HTTP = "OVN opens a connection and sends no HTTP request"
_UNUSED_TLS = "there is no TLS to use it for"

TIMEOUTS = {
    "timeout_client_data": 50000,
    "timeout_member_connect": 5000,
    "timeout_member_data": 50000,
    "timeout_tcp_inspect": 0,
}
"""Time-outs of listeners in milliseconds, with Octavia's own defaults."""
_TLS = (
    "default_tls_container_ref",
    "sni_container_refs",
    "client_ca_tls_container_ref",
    "client_crl_container_ref",
    "tls_container_ref",
    "ca_tls_container_ref",
    "crl_container_ref",
    "tls_enabled",
    "hsts_max_age",
    "hsts_include_subdomains",
    "hsts_preload",
)
_TLS_LIMITS = (
    *(Limit(option, _NO_TLS) for option in _TLS),
    # Without one of the options above, there is no TLS that these could configure. Octavia fills
    # them in, and clients send them back.
    *(
        Limit(option, _UNUSED_TLS, strict=True)
        for option in ("tls_ciphers", "tls_versions", "alpn_protocols")
    ),
)


_LISTENER = (
    *_TLS_LIMITS,
    Limit("client_authentication", _NO_TLS, "NONE"),
    Limit("insert_headers", f"{_NO_L7}, so it cannot insert headers"),
    Limit("l7policies", f"{_NO_L7}, so it cannot apply policies"),
    *(Limit(option, _NO_TIMEOUT, usual, strict=True) for option, usual in TIMEOUTS.items()),
)

_MEMBER = (
    Limit(
        "vnic_type",
        "OVN reaches members through the network and attaches no port to them",
        "normal",
    ),
)

_HTTP = ("HTTP", "HTTPS")
# Octavia refuses most of them in other monitors, but not in each release and request. It demands
# http_version where there is a domain_name.
_HEALTH_MONITOR = tuple(
    Limit(option, _NO_HTTP, usual, strict=True, used_by=types)
    for option, usual, types in (
        ("http_method", "GET", _HTTP),
        ("url_path", "/", _HTTP),
        ("expected_codes", "200", _HTTP),
        ("http_version", None, (*_HTTP, "TLS-HELLO")),
        ("domain_name", None, (*_HTTP, "TLS-HELLO")),
    )
)

VIP_GROUPS = "vip_sg_ids"

TABLE: Mapping[str, tuple[Limit, ...]] = {
    "load balancer": (
        Limit(
            VIP_GROUPS,
            "OVN enforces no security groups on VIPs; the driver does only if the operator sets"
            " [ovn] vip_security_groups; restrict clients by allowed_cidrs of the listeners",
        ),
        Limit(
            "vip_qos_policy_id",
            "OVN limits bandwidth where packets enter and leave ports, and no packet passes the"
            " port of a VIP; give a QoS policy to the members' ports, or to the floating IP if it"
            " is not distributed",
        ),
    ),
    "listener": _LISTENER,
    "pool": _TLS_LIMITS,
    "member": _MEMBER,
    "health monitor": _HEALTH_MONITOR,
}
"""The options that are refused, by the kind of object that has them."""

NULL = (
    "{option}: null is no value that Octavia can store; name a value, or in an update leave the"
    " option out"
)
PROTOCOLS = (
    "OVN balances TCP, UDP and SCTP, and HTTP and HTTPS as TCP; {value} needs a provider that works"
    " at layer 7"
)
METRICS = (
    "{value}: such a listener answers requests for metrics itself, which OVN cannot; use"
    " `openstack loadbalancer stats show`, or ask the operator for the metrics octavia_ovn_* that"
    " octavia-ovn-chassis exports, which name the load balancer"
)
NOT_CARRIED = (
    "{value}: OVN works at layer 4, and [ovn] {option}_as_tcp does not let it serve {value} as TCP;"
    " use TCP"
)
ALGORITHMS = "OVN cannot balance by {value}; use SOURCE_IP_PORT, SOURCE_IP or ROUND_ROBIN"
STRICT = (
    "OVN spreads connections but does not serve members in turn, and {where} sets"
    " strict_algorithms; use SOURCE_IP_PORT"
)
PERSISTENCE = "OVN keeps clients on members by SOURCE_IP only, not by {value}"
GRANULARITY = "OVN keeps single clients on members, not networks of them ({value})"
MONITORS = "OVN checks members by TCP (in TCP pools) or UDP-CONNECT (in UDP pools), not by {value}"
MONITOR_PROTOCOL = "OVN cannot check the members of a {protocol} pool by {value}"
_ENABLED = "if the operator sets [ovn_health] enabled"
PROBED_TYPE = f"{MONITORS}; a program on each chassis can, {_ENABLED}"
PROBED_PROTOCOL = f"{MONITOR_PROTOCOL}; a program on each chassis can, {_ENABLED}"
PROBED_ADDRESS = (
    "monitor_address: OVN checks members at the address that receives traffic; a program on each"
    f" chassis can check another, {_ENABLED}"
)
PROBED_PORT = (
    "monitor_port: OVN checks members at the port that receives traffic; a program on each chassis"
    f" can check another, {_ENABLED}"
)
NO_PROBES = (
    "health checks that OVN cannot make need the program octavia-ovn-chassis, and none reports to"
    " the agent; the operator must run it on each chassis (see Health checks in the operators'"
    " guide)"
)
NO_CONNECTIONS = (
    "connection_limit: 0 would let no client in; use -1 for no limit, or disable the listener"
)
LIMIT_PROTOCOL = (
    "connection_limit: OVN can tell new connections of TCP from others, not those of {value}; leave"
    " it at -1"
)
NO_COUNTS = (
    "connection_limit: OVN does not count connections; the program octavia-ovn-chassis does, and"
    " none reports to the agent; leave it at -1, or have the operator run it on each chassis (see"
    " Statistics in the operators' guide)"
)
NO_PAUSE = (
    "{option} {value}: OVN would check members without a pause, at the cost of the hypervisor, and"
    " report them as DOWN; use 1 or more"
)
AFFINITY_TIMEOUT = (
    "persistence_timeout {value}: OVN can keep clients on members for 1 to {most} seconds"
)
FAMILY = "a VIP of another IP version cannot reach member {value}"
NO_SUBNET = "{value} is in no subnet of the VIP or of its routers; name the member's subnet"
NO_HOST = "{value} is {what}; a member needs a unicast address of its own"
NOT_IN_SUBNET = "{value} {why}, the network of subnet {subnet}; a member cannot have it"
MONITOR_ADDRESS = (
    "monitor_address: {value} {why}, the network of subnet {subnet}; a member is checked in its own"
    " subnet only"
)
OWN_VIP = (
    "{value} is a VIP of this load balancer; OVN does not balance a connection twice, so it would"
    " reach no server"
)
SAME_MEMBER = (
    "{value} is in the pool more than once, perhaps in another spelling; name each member once"
)
FOREIGN_LISTENER = (
    "listener {listener} belongs to another load balancer than the pool; name a listener of load"
    " balancer {lb}"
)
IPV6_SOURCE_IP = (
    "this version of OVN cannot hash IPv6 clients by address (25.03 and later can); use"
    " SOURCE_IP_PORT without session persistence"
)
MEMBERS = (
    "the pool would have {value} members, more than the {most} of [ovn] max_members; spread them"
    " over several pools"
)
CIDRS = (
    "allowed_cidrs: {value} networks are more than the {most} of [ovn] max_allowed_cidrs; name"
    " larger networks"
)
DENIED = (
    "allowed_cidrs: it takes {value} networks to describe the denied addresses, more than the"
    " {most} of [ovn] max_denied_cidrs; name fewer or larger networks, or adjacent ones"
)
REPEATED = (
    "allowed_cidrs: {value} appears more than once, perhaps in another spelling, which Octavia"
    " cannot store when a listener changes; name each network once"
)
L7 = f"{_NO_L7}; L7 policies and rules need another provider"


_NOTHING_MORE: Fields = {}


def check(kind: str, asked: Fields, usual: Usual = BUILT_IN, known: Fields = _NOTHING_MORE) -> None:
    """Refuse what OVN cannot do.

    :param kind: "load balancer", "listener", "pool", "member" or "health monitor"
    :param asked: what a request sets
    :param known: what is known of the object besides
    :raises Unsupported: naming the option and the reason
    """
    for sentence in refusals(kind, asked, usual, known):
        raise Unsupported(sentence)


def refusals(
    kind: str, asked: Fields, usual: Usual = BUILT_IN, known: Fields = _NOTHING_MORE
) -> Iterator[str]:
    """Yield a sentence for each option that OVN cannot serve, see :func:`check`."""
    fields = {**known, **asked}
    for limit in TABLE[kind]:
        if limit.option in asked and limit.asks(kind, fields, usual):
            yield limit.refusal()


def refuse(sentence: str, **values: object) -> Unsupported:
    """Return the error for one of the sentences of this module."""
    return Unsupported(f"{sentence.format(**values)}.")
