"""What OVN cannot do, as one table: option → the sentence that the user reads.

An option counts as asked for when its value does; defaults that Octavia always sends do not.
Nothing is accepted and then ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Fields = Mapping[str, object]
"""The fields of an Octavia object that are set, by octavia-lib's names."""


class Unsupported(Exception):
    """A request asks for something that OVN cannot do; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Limit:
    """An option and why it cannot be had.

    :param usual: the value that asks for nothing; by default whatever is empty asks for nothing
    """

    option: str
    reason: str
    usual: object = None

    def asks(self, value: object) -> bool:
        """Whether a value asks for something."""
        return bool(value) if self.usual is None else value not in (None, self.usual)


AVAILABILITY_ZONES = "load balancers in OVN live on every hypervisor; there are no zones to choose"
_NO_TLS = "OVN balances connections and cannot terminate or originate TLS; end it in the members"
_NO_L7 = "OVN works at layer 4 and does not see requests"

_TLS = (
    "default_tls_container_ref",
    "sni_container_refs",
    "client_ca_tls_container_ref",
    "client_crl_container_ref",
    "tls_container_ref",
    "ca_tls_container_ref",
    "crl_container_ref",
    "tls_enabled",
    "tls_ciphers",
    "tls_versions",
    "alpn_protocols",
    "hsts_max_age",
    "hsts_include_subdomains",
    "hsts_preload",
)


_LISTENER = (
    *(Limit(option, _NO_TLS) for option in _TLS),
    Limit("client_authentication", _NO_TLS, "NONE"),
    Limit("insert_headers", f"{_NO_L7}, so it cannot insert headers"),
    Limit("l7policies", f"{_NO_L7}, so it cannot apply policies"),
    Limit("connection_limit", "OVN does not count connections; leave it at -1", -1),
    *(
        Limit(option, "OVN takes no part in connections and has no such time-out", usual)
        for option, usual in (
            ("timeout_client_data", 50000),
            ("timeout_member_connect", 5000),
            ("timeout_member_data", 50000),
            ("timeout_tcp_inspect", 0),
        )
    ),
)

_MEMBER = (
    Limit("monitor_address", "OVN checks members at the address that serves"),
    Limit("monitor_port", "OVN checks members at the port that serves"),
    Limit(
        "vnic_type", "OVN reaches members through the network and has no port beside them", "normal"
    ),
)

TABLE: Mapping[str, tuple[Limit, ...]] = {
    "load balancer": (
        Limit(
            "vip_sg_ids",
            "OVN enforces security groups where packets enter and leave ports, and none ever"
            " passes the port of a VIP; restrict clients by allowed_cidrs of the listeners",
        ),
        Limit("availability_zone", AVAILABILITY_ZONES),
    ),
    "listener": _LISTENER,
    "pool": tuple(Limit(option, _NO_TLS) for option in _TLS),
    "member": _MEMBER,
}
"""The options that are refused, by the kind of object that has them."""

PROTOCOLS = (
    "OVN balances TCP, UDP and SCTP, and HTTP and HTTPS as TCP; {value} needs a provider that works"
    " at layer 7"
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
FAMILY = "a VIP of another IP version cannot reach member {value}"
NO_SUBNET = (
    "{value} is in no subnet of the VIP or of the routers around it; name the member's subnet"
)
IPV6_SOURCE_IP = (
    "this version of OVN cannot tell IPv6 clients apart by address (25.03 and later can); use"
    " SOURCE_IP_PORT without session persistence"
)
REPEATED = (
    "allowed_cidrs: {value} is there more than once, perhaps in another spelling, which Octavia"
    " cannot store when a listener changes; name each network once"
)
L7 = f"{_NO_L7}; L7 policies and rules need another provider"


def check(kind: str, fields: Fields) -> None:
    """Refuse what OVN cannot do.

    :param kind: "load balancer", "listener", "pool" or "member"
    :raises Unsupported: naming the option and the reason
    """
    for limit in TABLE[kind]:
        if limit.option in fields and limit.asks(fields[limit.option]):
            msg = f"{limit.option}: {limit.reason}."
            raise Unsupported(msg)


def refuse(sentence: str, **values: object) -> Unsupported:
    """Return the error for one of the sentences of this module."""
    return Unsupported(f"{sentence.format(**values)}.")
