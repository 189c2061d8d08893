# SPDX-License-Identifier: Apache-2.0
"""The intent of tenants: a load balancer and all its parts, as frozen values.

Every value is valid once it exists: a wrong address, port or id raises :class:`ValueError` at
construction, so that nothing downstream has to check again and no name or address can smuggle a
separator into a row.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from octavia_ovn.core import ip

_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]*")


class Protocol(str, enum.Enum):
    """Layer 4 protocols that OVN balances; the values are those of the Northbound column."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


class Application(str, enum.Enum):
    """Protocols that OVN carries as TCP without seeing them; the values are Octavia's names."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


class Algorithm(str, enum.Enum):
    """Algorithms of balancing; the values are Octavia's names."""

    SOURCE_IP_PORT = "SOURCE_IP_PORT"
    SOURCE_IP = "SOURCE_IP"
    ROUND_ROBIN = "ROUND_ROBIN"


class Mechanism(str, enum.Enum):
    """Mechanisms of session persistence in OVN."""

    HASH = "hash"
    AFFINITY = "affinity"


class MonitorType(str, enum.Enum):
    """Types of health checks; the values are Octavia's names.

    OVN itself knows the first two. All can be done by a program on each chassis.
    """

    TCP = "TCP"
    UDP_CONNECT = "UDP-CONNECT"
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TLS_HELLO = "TLS-HELLO"
    PING = "PING"

    @property
    def sends_http(self) -> bool:
        """Whether the check sends an HTTP request."""
        return self in (MonitorType.HTTP, MonitorType.HTTPS)


def check_id(value: str) -> None:
    """Refuse an id that could be mistaken for a piece of the row format.

    :raises ValueError: unless the id consists of letters, digits and hyphens
    """
    if not _ID.fullmatch(value):
        msg = f"{value!r} is not an id"
        raise ValueError(msg)


def _check_optional_id(value: str | None) -> None:
    if value is not None:
        check_id(value)


def _check_port(value: int) -> None:
    if not 0 < value < 65536:  # noqa: PLR2004 - the range of a 16 bit port number
        msg = f"{value!r} is not a port number"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Vip:
    """An address that clients connect to, and the Neutron port that holds it.

    None means not known yet, as in rows that another driver wrote.

    :param user_port: whether the user made the port: it is never renamed, given another owner or
        deleted
    :param replaces: the port that Octavia knows, if that was deleted in Neutron and the agent has
        made another
    """

    address: str
    port_id: str | None
    subnet_id: str | None = None
    network_id: str | None = None
    cidr: str | None = None
    user_port: bool | None = None
    replaces: str | None = None

    def __post_init__(self) -> None:
        ip.check_address(self.address)
        for value in (self.port_id, self.subnet_id, self.network_id, self.replaces):
            _check_optional_id(value)
        if self.cidr is not None:
            ip.check_network(self.cidr)


@dataclass(frozen=True, slots=True)
class Member:
    """A backend of a pool; weight 0 drains it, a backup serves only when no other can.

    :param monitor_address: checked instead of `address`, in the same subnet; None if it is the same
    :param monitor_port: checked instead of `port`; None if it is the same
    """

    id: str
    address: str
    port: int
    subnet_id: str | None = None
    weight: int = 1
    backup: bool = False
    enabled: bool = True
    monitor_address: str | None = None
    monitor_port: int | None = None

    def __post_init__(self) -> None:
        check_id(self.id)
        ip.check_address(self.address)
        _check_port(self.port)
        if self.monitor_address is not None:
            ip.check_address(self.monitor_address)
        if self.monitor_port is not None:
            _check_port(self.monitor_port)
        if self.monitor_address == self.address:
            object.__setattr__(self, "monitor_address", None)
        if self.monitor_port == self.port:
            object.__setattr__(self, "monitor_port", None)
        _check_optional_id(self.subnet_id)
        if not 0 <= self.weight <= 256:  # noqa: PLR2004 - Octavia's range
            msg = f"{self.weight!r} is not a weight between 0 and 256"
            raise ValueError(msg)


MONITOR_NUMBERS = ("delay", "timeout", "max_retries", "max_retries_down")
"""The fields of a monitor that are times, in seconds, and counts."""


_METHOD = re.compile("[A-Z]{3,10}")
_PATH = re.compile("/[!-~]{0,254}")
_CODES = re.compile("[1-5][0-9]{2}(-[1-5][0-9]{2}|(,[1-5][0-9]{2}){0,15})")
_DOMAIN = re.compile("[0-9A-Za-z._:-]{1,255}")
HTTP_FORMS = {
    "http_method": _METHOD,
    "url_path": _PATH,
    "expected_codes": _CODES,
    "http_version": re.compile(r"1\.[01]"),
    "domain_name": _DOMAIN,
}
"""The fields of a monitor that describe its HTTP request and the answer, with what they may hold.
None may end a line: they become parts of a request."""
_USED: Mapping[MonitorType, Collection[str]] = {
    MonitorType.HTTP: HTTP_FORMS,
    MonitorType.HTTPS: HTTP_FORMS,
    MonitorType.TLS_HELLO: ("domain_name",),
}


@dataclass(frozen=True, slots=True)
class HealthMonitor:
    """The health check of a pool's members; delay and timeout in seconds.

    The fields of :data:`HTTP_FORMS` are None where they are not set, or the type does not use them.

    :param expected_codes: one code, several separated by commas, or a range such as `200-204`
    :param domain_name: sent in the `Host` header, and in TLS as the server's name
    """

    id: str
    type: MonitorType
    delay: int
    timeout: int
    max_retries: int
    max_retries_down: int = 3
    enabled: bool = True
    http_method: str | None = None
    url_path: str | None = None
    expected_codes: str | None = None
    http_version: str | None = None
    domain_name: str | None = None

    def __post_init__(self) -> None:
        check_id(self.id)
        for value in (getattr(self, name) for name in MONITOR_NUMBERS):
            if value < 0:
                msg = f"{value!r} is not a time or a count"
                raise ValueError(msg)
        for name, form in HTTP_FORMS.items():
            text = getattr(self, name)
            if name not in _USED.get(self.type, ()):
                object.__setattr__(self, name, None)
            elif text is not None and not form.fullmatch(text):
                msg = f"{text!r} is not valid in {name}"
                raise ValueError(msg)
        low, _, high = (self.expected_codes or "").partition("-")
        if high and high < low:
            msg = f"{self.expected_codes!r} is not valid in expected_codes: the range is empty"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class SessionPersistence:
    """Keep each client address on its member; the timeout (seconds) matters to AFFINITY only."""

    mechanism: Mechanism
    timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Members and how connections are spread over them.

    `slots` holds the order of members in `vips`, with an empty string where a member has left: a
    client's hash picks a slot, so a member that leaves must not move the others. It is empty while
    no slot is vacant: then the order is that of the members.
    `application` is what Octavia calls the protocol of a TCP pool, unless that is TCP.
    """

    id: str
    protocol: Protocol
    algorithm: Algorithm
    persistence: SessionPersistence | None = None
    enabled: bool = True
    members: tuple[Member, ...] = ()
    monitor: HealthMonitor | None = None
    slots: tuple[str, ...] = ()
    application: Application | None = None

    def __post_init__(self) -> None:
        check_id(self.id)

    @property
    def hashes_client_ip(self) -> bool:
        """Whether the client's address alone decides which member serves it."""
        return self.algorithm is Algorithm.SOURCE_IP or (
            self.persistence is not None and self.persistence.mechanism is Mechanism.HASH
        )

    @property
    def monitored(self) -> bool:
        """Whether the members are being checked."""
        return self.monitor is not None and self.monitor.enabled

    def member(self, member_id: str) -> Member | None:
        """Return the member with that id, if it is in the pool."""
        return next((member for member in self.members if member.id == member_id), None)


@dataclass(frozen=True, slots=True)
class Listener:
    """A port on every VIP, served by a pool; `application` as in pools.

    Only clients in `allowed_cidrs` may use it; an empty tuple allows all.

    :param connection_limit: open connections from which on no new ones are let in; None for no
        limit
    """

    id: str
    protocol: Protocol
    port: int
    pool_id: str | None = None
    enabled: bool = True
    application: Application | None = None
    allowed_cidrs: tuple[str, ...] = ()
    connection_limit: int | None = None

    def __post_init__(self) -> None:
        check_id(self.id)
        _check_port(self.port)
        if self.connection_limit is not None and self.connection_limit < 1:
            msg = f"{self.connection_limit!r} is not a limit of connections"
            raise ValueError(msg)
        _check_optional_id(self.pool_id)
        if ip.canonical_networks(self.allowed_cidrs) != self.allowed_cidrs:
            msg = f"{self.allowed_cidrs!r} are not networks in canonical form"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Flavor:
    """Settings by the operator that never change for a load balancer; None means not set.

    :param reject: whether connections are refused while no member is alive
    :param ct_flush: whether connections of a member that leaves are ended
    :param hairpin_snat_ip: sources of members' connections to themselves, one of each IP version
    :param session_persistence: how clients are kept on members
    :param strict_algorithms: whether ROUND_ROBIN is refused
    :param drain_timeout: seconds for which a member that leaves keeps its connections
    :param drain_failed: whether that also applies to a member that fails its check
    :param fail_open: whether members serve when all of them fail their checks
    :param endpoint_weights: whether members say their weights in answers to checks
    :param withdraw: whether OVN forgets a VIP's port while no member may serve it
    """

    reject: bool | None = None
    ct_flush: bool | None = None
    hairpin_snat_ip: tuple[str, ...] = ()
    session_persistence: Mechanism | None = None
    strict_algorithms: bool | None = None
    drain_timeout: int | None = None
    drain_failed: bool | None = None
    fail_open: bool | None = None
    endpoint_weights: bool | None = None
    withdraw: bool | None = None

    def __post_init__(self) -> None:
        for address in self.hairpin_snat_ip:
            ip.check_address(address)


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """The whole tree. `vips` is never empty: the first is the VIP, the others are additional.

    Clients must be allowed by any of `security_groups`, by id. None: it is not known, and stays.
    """

    id: str
    vips: tuple[Vip, ...]
    project_id: str | None = None
    enabled: bool = True
    listeners: tuple[Listener, ...] = ()
    pools: tuple[Pool, ...] = ()
    flavor: Flavor = Flavor()
    security_groups: frozenset[str] | None = frozenset()

    def __post_init__(self) -> None:
        check_id(self.id)
        if not self.vips:
            msg = "a load balancer needs a VIP"
            raise ValueError(msg)

    def listener(self, listener_id: str) -> Listener | None:
        """Return the listener with that id, if it belongs to this load balancer."""
        return next((each for each in self.listeners if each.id == listener_id), None)

    def pool(self, pool_id: str | None) -> Pool | None:
        """Return the pool with that id, if it belongs to this load balancer."""
        return next((each for each in self.pools if each.id == pool_id), None)

    def listeners_of(self, pool_id: str) -> tuple[Listener, ...]:
        """Return the listeners whose default pool this is."""
        return tuple(each for each in self.listeners if each.pool_id == pool_id)

    def members(self) -> Iterator[tuple[Pool, Member]]:
        """Yield every member with its pool."""
        for pool in self.pools:
            for member in pool.members:
                yield pool, member
