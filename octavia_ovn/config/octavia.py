# SPDX-License-Identifier: Apache-2.0
"""The options of octavia.conf that this driver reads, handed out as plain frozen values.

Sections and names are those of the driver that this one replaces, so that it starts with the same
file. Most of them have other owners too: Octavia registers `[neutron]`, `[service_auth]` and
`[driver_agent]`, Neutron's tools register `[ovn]`, each release with slightly different
definitions, and oslo.config refuses a second definition that differs from the first. So
:func:`load` registers nothing with the process's configuration: what is registered there is read
there, the rest with a private parser of the same files.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keystoneauth1 import loading
from keystoneauth1.exceptions import NoMatchingPlugin
from oslo_config import cfg

from octavia_ovn.config.databases import SOUTHBOUND_OPTS, Database, database_opts
from octavia_ovn.config.requests import OCTAVIA_OPTS, OVN_OPTS, RequestOptions
from octavia_ovn.config.statistics import AGENT_OPTS, SECTION, AgentStatistics
from octavia_ovn.errors import BadConfiguration

_FALLBACK = "service_auth"
_HTTP_TIMEOUT = 10.0
_PREDECESSORS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "endpoint_override": ("endpoint", str),
    "cafile": ("ca_certificates_file", str),
    "valid_interfaces": ("endpoint_type", lambda kind: [kind.removesuffix("URL")]),
}
"""Deprecated names in `[neutron]`, and how to read their values."""


_OVN_OPTS = [
    *database_opts("ovn_nb", "OVN Northbound", 6641),
    *SOUTHBOUND_OPTS,
    cfg.IntOpt(
        "ovsdb_connection_timeout",
        default=30,
        min=1,
        help="Seconds that one transaction may take, including the connection. A user's API call"
        " waits for it, so the default is well below the 180 seconds of ovn-octavia-provider.",
    ),
    cfg.IntOpt(
        "ovsdb_retry_max_interval",
        default=2,
        min=1,
        help="Longest pause in seconds between two attempts of the agent to connect to a database.",
    ),
    cfg.IntOpt(
        "ovsdb_probe_interval",
        default=60000,
        min=0,
        help="Milliseconds of silence after which a database connection is probed; 0 turns probes"
        " off, other values below 1000 count as 1000.",
    ),
    *OVN_OPTS,
    cfg.StrOpt(
        "session_persistence",
        default="hash",
        choices=[
            ("hash", "Choose the member by a hash of the client's address, with stable slots."),
            ("affinity", "Remember the client's member for a time in OVN's flows."),
        ],
        help="How OVN implements session persistence of type SOURCE_IP.",
    ),
    cfg.IntOpt(
        "sync_interval",
        default=600,
        min=0,
        help="Seconds between two comparisons of Octavia, the Northbound database and Neutron;"
        " 0 turns them off.",
    ),
    cfg.IntOpt(
        "pending_grace",
        default=300,
        min=0,
        help="Seconds for which an object may be PENDING in Octavia, without a pending request,"
        " before a comparison repairs it.",
    ),
    cfg.IntOpt(
        "retry_max_interval",
        default=60,
        min=1,
        help="Longest pause in seconds between two attempts to reconcile one load balancer.",
    ),
    cfg.StrOpt(
        "status_path",
        default="auto",
        choices=[
            (
                "auto",
                "Call Octavia's functions in the agent's process if they can be called.",
            ),
            ("socket", "Use the sockets of octavia-driver-agent only."),
        ],
        help="How the agent reports statuses and statistics to Octavia and reads load balancers"
        " from it. The agent is a child process of octavia-driver-agent, so the code and the"
        " database settings of Octavia are loaded in it: a call takes 2 ms. Where they are not, or"
        " Octavia's functions have other parameters than expected, or one has failed unexpectedly,"
        " sockets are used. Each message through a"
        " socket has octavia-driver-agent fork a process, which takes 150 ms or more. The log says"
        " once which is used. Choose socket if a call in process misbehaves. The agent keeps a few"
        " connections to Octavia's database open; [database] max_pool_size bounds them.",
    ),
    cfg.PortOpt(
        "metrics_port",
        default=0,
        help="TCP port on which the agent serves its metrics to Prometheus; 0 turns metrics off."
        " They need the package prometheus-client. Agents on the same host need different ports"
        " or addresses.",
    ),
    cfg.HostAddressOpt(
        "metrics_address",
        default="127.0.0.1",
        help="Address on which the agent serves its metrics, if metrics_port is set. There is no"
        " encryption and no password: choose an address of the management network.",
    ),
]

_NEUTRON_OPTS = [
    cfg.StrOpt(
        "endpoint",
        help="URL of Neutron, instead of the one in Keystone's catalog.",
        deprecated_for_removal=True,
        deprecated_reason="endpoint_override replaces it.",
    ),
    cfg.StrOpt(
        "endpoint_type",
        help="Interface of Neutron in Keystone's catalog.",
        deprecated_for_removal=True,
        deprecated_reason="valid_interfaces replaces it.",
    ),
    cfg.StrOpt(
        "ca_certificates_file",
        help="CA certificates that Neutron is verified with.",
        deprecated_for_removal=True,
        deprecated_reason="cafile replaces it.",
    ),
]

_DRIVER_AGENT_OPTS = [
    cfg.StrOpt(
        f"{name}_socket_path",
        default=f"/var/run/octavia/{name}.sock",
        help=f"The {name} socket of octavia-driver-agent.",
    )
    for name in ("status", "stats", "get")
]


@dataclass(frozen=True, slots=True)
class Service:
    """Access to an OpenStack service.

    :param section: the section that the options come from, for messages
    :param auth_type: keystoneauth's name of the way to authenticate; empty when none is set
    :param auth: the options of that way, with secrets
    :param cafile: path of a PEM file, or None; so are the next two
    :param insecure: whether the certificate of an HTTPS endpoint goes unverified
    :param timeout: seconds for connecting and for each wait for data
    :param interfaces: names in order of preference; empty means keystoneauth's default
    """

    section: str
    auth_type: str
    auth: Mapping[str, Any] = field(repr=False)
    cafile: str | None
    certfile: str | None
    keyfile: str | None
    insecure: bool
    timeout: float
    region_name: str | None
    interfaces: tuple[str, ...]
    endpoint_override: str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """All options; times are seconds unless they say otherwise.

    :param probe_interval: milliseconds; 0 means no probes
    :param session_persistence: `hash` or `affinity`
    :param sync_interval: 0 means never
    :param metrics_port: 0 means no metrics
    :param status_path: `auto` or `socket`
    :param status_socket: path of a unix socket of octavia-driver-agent; so are the next two
    """

    nb: Database
    sb: Database
    connection_timeout: int
    ovsdb_retry_max_interval: int
    probe_interval: int
    session_persistence: str
    requests: RequestOptions
    sync_interval: int
    pending_grace: int
    retry_max_interval: int
    metrics_port: int
    metrics_address: str
    neutron: Service
    octavia: Service
    status_path: str
    status_socket: str
    stats_socket: str
    get_socket: str
    statistics: AgentStatistics


_AS_NAMED = {each.dest for each in _OVN_OPTS} & set(Settings.__annotations__)
"""The options of `[ovn]` that are settings of the same name."""


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the options by section, for oslo-config-generator."""
    return [
        ("ovn", list(_OVN_OPTS)),
        ("neutron", list(_NEUTRON_OPTS)),
        (SECTION, list(AGENT_OPTS)),
    ]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register all options that are not registered yet, for tools that set them.

    :func:`load` does not need it.
    """
    services = [
        *loading.get_session_conf_options(),
        *loading.get_adapter_conf_options(include_deprecated=False),
        *loading.get_auth_common_conf_options(),
    ]
    _register_missing(conf, "ovn", _OVN_OPTS)
    _register_missing(conf, SECTION, AGENT_OPTS)
    _register_missing(conf, "driver_agent", _DRIVER_AGENT_OPTS)
    _register_missing(conf, "neutron", [*_NEUTRON_OPTS, *services])
    _register_missing(conf, _FALLBACK, services)


def load(conf: cfg.ConfigOpts = cfg.CONF) -> Settings:
    """Read the options; reading again after a reload of the files gives the new values.

    :param conf: a parsed configuration; it is not changed
    :raises BadConfiguration: naming the option whose value is wrong
    """
    reader = _Reader(conf)
    return Settings(
        nb=_database(reader, "ovn_nb"),
        sb=_database(reader, "ovn_sb"),
        connection_timeout=reader.get("ovn", "ovsdb_connection_timeout"),
        probe_interval=reader.get("ovn", "ovsdb_probe_interval"),
        requests=RequestOptions.read(reader.get),
        neutron=_service(reader, "neutron"),
        octavia=_service(reader, _FALLBACK),
        **{name: reader.get("ovn", name) for name in _AS_NAMED},
        status_socket=reader.get("driver_agent", "status_socket_path"),
        stats_socket=reader.get("driver_agent", "stats_socket_path"),
        get_socket=reader.get("driver_agent", "get_socket_path"),
        statistics=AgentStatistics(
            **{opt.dest: reader.get(SECTION, opt.dest) for opt in AGENT_OPTS}
        ),
    )


class _Reader:
    """Reads options, registered with the process's configuration or not."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._own = cfg.ConfigOpts()
        self._own(
            args=[],
            project="octavia",
            default_config_files=_names(conf, "config_file"),
            default_config_dirs=_names(conf, "config_dir"),
        )
        register_opts(self._own)
        for section, opt in OCTAVIA_OPTS:
            self.add(section, [opt])

    def get(self, section: str, name: str) -> Any:
        """Return the value of an option, its default when it is not set.

        :raises BadConfiguration: when the value is not valid
        """
        conf = self._conf if _is_registered(self._conf, section, name) else self._own
        try:
            return conf[section][name]
        except (cfg.Error, ValueError) as error:
            raise BadConfiguration(f"[{section}] {name} is wrong: {error}") from error

    def add(self, section: str, opts: Iterable[cfg.Opt]) -> None:
        """Make more options readable."""
        _register_missing(self._own, section, opts)


def _names(conf: cfg.ConfigOpts, option: str) -> list[str]:
    """Return the files or folders that a configuration was parsed from."""
    return list(getattr(conf, option, None) or [])


def _is_registered(conf: cfg.ConfigOpts, section: str, name: str) -> bool:
    try:
        return name in conf[section]
    except cfg.NoSuchOptError:
        return False


def _register_missing(conf: cfg.ConfigOpts, section: str, opts: Iterable[cfg.Opt]) -> None:
    for opt in opts:
        if not _is_registered(conf, section, opt.dest):
            conf.register_opt(opt, group=section)


def _database(reader: _Reader, prefix: str) -> Database:
    return Database.read(functools.partial(reader.get, "ovn"), prefix)


def _service(reader: _Reader, section: str) -> Service:
    """Return how to reach the service of a section.

    A section without credentials of its own borrows what it does not set from `[service_auth]`, as
    deployments that were configured before Octavia had complete `[neutron]` sections rely on. One
    with credentials borrows nothing: half of one account and half of another is neither.
    """
    auth_type = _auth_option(reader, section, "auth_type") or _auth_option(
        reader, _FALLBACK, "auth_type"
    )
    opts = _plugin_options(auth_type, section)
    auth = _auth_values(reader, section, opts)
    sections = [section]
    if section != _FALLBACK and _is_incomplete(opts, auth):
        sections.append(_FALLBACK)
        auth = {**_auth_values(reader, _FALLBACK, opts), **auth}

    def first(name: str) -> Any:
        values = (_service_option(reader, each, name) for each in sections)
        return next((value for value in values if value), None)

    return Service(
        section=section,
        auth_type=auth_type or "",
        auth=auth,
        cafile=first("cafile"),
        certfile=first("certfile"),
        keyfile=first("keyfile"),
        insecure=bool(first("insecure")),
        timeout=reader.get(section, "timeout") or _HTTP_TIMEOUT,
        region_name=first("region_name"),
        interfaces=tuple(first("valid_interfaces") or ()),
        endpoint_override=_service_option(reader, section, "endpoint_override"),
    )


def _service_option(reader: _Reader, section: str, name: str) -> Any:
    """Return an option of keystoneauth, or that of its deprecated predecessor in `[neutron]`."""
    value = reader.get(section, name)
    if value or section != "neutron" or name not in _PREDECESSORS:
        return value
    predecessor, converted = _PREDECESSORS[name]
    old = reader.get(section, predecessor)
    return converted(old) if old else value


def _auth_section(reader: _Reader, section: str) -> str:
    """Return the section that holds the credentials for another one."""
    return reader.get(section, "auth_section") or section


def _auth_option(reader: _Reader, section: str, name: str) -> str | None:
    section = _auth_section(reader, section)
    reader.add(section, loading.get_auth_common_conf_options())
    value: str | None = reader.get(section, name)
    return value


def _plugin_options(auth_type: str | None, section: str) -> list[cfg.Opt]:
    """Return the options of a way to authenticate.

    :raises BadConfiguration: when keystoneauth does not know it
    """
    if not auth_type:
        return []
    try:
        return list(loading.get_auth_plugin_conf_options(auth_type))
    except NoMatchingPlugin as error:
        raise BadConfiguration(f"[{section}] auth_type is wrong: {error}") from error


def _auth_values(reader: _Reader, section: str, opts: list[cfg.Opt]) -> dict[str, Any]:
    """Return the options of a way to authenticate that are set."""
    section = _auth_section(reader, section)
    reader.add(section, opts)
    values = {opt.dest: reader.get(section, opt.dest) for opt in opts}
    return {name: value for name, value in values.items() if value is not None}


def _is_incomplete(opts: list[cfg.Opt], auth: Mapping[str, Any]) -> bool:
    """Whether a section cannot authenticate alone: no secret in it, or something required not."""
    secrets = {opt.dest for opt in opts if opt.secret}
    required = {opt.dest for opt in opts if opt.required}
    return bool(secrets and not secrets & auth.keys()) or not required <= auth.keys()
