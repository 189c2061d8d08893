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
from dataclasses import dataclass

from oslo_config import cfg

from octavia_ovn.config import health
from octavia_ovn.config.databases import SOUTHBOUND_OPTS, Database, database_opts
from octavia_ovn.config.reader import Reader, register_missing
from octavia_ovn.config.requests import OCTAVIA_OPTS, OVN_OPTS, admission, usual
from octavia_ovn.config.services import (
    FALLBACK,
    NEUTRON_OPTS,
    Service,
    service,
    service_opts,
)
from octavia_ovn.config.statistics import AGENT_OPTS, SECTION, AgentStatistics
from octavia_ovn.core.request.admission import Admission
from octavia_ovn.core.request.limits import Usual

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
    cfg.BoolOpt(
        "event_notifications",
        default=False,
        help="Send octavia.loadbalancer.create.end, update.end and delete.end of load balancers of"
        " this provider, with the payload that Octavia sends of those of amphora, for Ceilometer"
        " and CloudKitty. They are sent as [oslo_messaging_notifications] says; its driver must be"
        " set, such as messagingv2. [controller_worker] event_notifications concerns amphora only.",
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

DRIVER_AGENT_OPTS = [
    cfg.StrOpt(
        f"{name}_socket_path",
        default=f"/var/run/octavia/{name}.sock",
        help=f"The {name} socket of octavia-driver-agent.",
    )
    for name in ("status", "stats", "get")
]


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
    admission: Admission
    usual: Usual
    sync_interval: int
    pending_grace: int
    retry_max_interval: int
    event_notifications: bool
    metrics_port: int
    metrics_address: str
    neutron: Service
    octavia: Service
    status_path: str
    status_socket: str
    stats_socket: str
    get_socket: str
    statistics: AgentStatistics
    health: health.AgentHealth


_AS_NAMED = {each.dest for each in _OVN_OPTS} & set(Settings.__annotations__)
"""The options of `[ovn]` that are settings of the same name."""


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the options by section, for oslo-config-generator."""
    return [
        ("ovn", list(_OVN_OPTS)),
        ("neutron", list(NEUTRON_OPTS)),
        (SECTION, list(AGENT_OPTS)),
        (health.SECTION, list(health.AGENT_OPTS)),
    ]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register all options that are not registered yet, for tools that set them.

    :func:`load` does not need it.
    """
    access = service_opts()
    register_missing(conf, "ovn", _OVN_OPTS)
    register_missing(conf, SECTION, AGENT_OPTS)
    register_missing(conf, "driver_agent", DRIVER_AGENT_OPTS)
    register_missing(conf, health.SECTION, health.AGENT_OPTS)
    register_missing(conf, "neutron", [*NEUTRON_OPTS, *access])
    register_missing(conf, FALLBACK, access)


def load(conf: cfg.ConfigOpts = cfg.CONF) -> Settings:
    """Read the options; reading again after a reload of the files gives the new values.

    :param conf: a parsed configuration; it is not changed
    :raises BadConfiguration: naming the option whose value is wrong
    """
    reader = Reader(conf, register_opts)
    for section, opt in OCTAVIA_OPTS:
        reader.add(section, [opt])
    return Settings(
        nb=_database(reader, "ovn_nb"),
        sb=_database(reader, "ovn_sb"),
        connection_timeout=reader.get("ovn", "ovsdb_connection_timeout"),
        probe_interval=reader.get("ovn", "ovsdb_probe_interval"),
        admission=admission(reader.get),
        usual=usual(reader.get),
        neutron=service(reader, "neutron"),
        octavia=service(reader, FALLBACK),
        **{name: reader.get("ovn", name) for name in _AS_NAMED},
        status_socket=reader.get("driver_agent", "status_socket_path"),
        stats_socket=reader.get("driver_agent", "stats_socket_path"),
        get_socket=reader.get("driver_agent", "get_socket_path"),
        statistics=AgentStatistics(
            **{opt.dest: reader.get(SECTION, opt.dest) for opt in AGENT_OPTS}
        ),
        health=health.AgentHealth(
            **{opt.dest: reader.get(health.SECTION, opt.dest) for opt in health.AGENT_OPTS}
        ),
    )


def _database(reader: Reader, prefix: str) -> Database:
    return Database.read(functools.partial(reader.get, "ovn"), prefix)
