# SPDX-License-Identifier: Apache-2.0
"""The options of the section `[ovn_statistics]`: those of the agent and those of the collector.

Apart from :mod:`octavia_ovn.config.octavia`: a collector on a chassis knows neither Keystone
nor Octavia.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

from oslo_config import cfg

from octavia_ovn.config import health
from octavia_ovn.config.databases import SOUTHBOUND_OPTS, Database
from octavia_ovn.config.reader import value
from octavia_ovn.core.statistics.keys import MIN_MASTER, is_chassis_key
from octavia_ovn.errors import BadConfiguration

SECTION = "ovn_statistics"
_PORT = 5565
_HOST = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>\d{1,5}))?")

AGENT_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "master_key",
        default="",
        secret=True,
        help="The secret that the keys of all chassis are derived from: the same on all"
        f" controllers, on no chassis. {MIN_MASTER} characters at least; `openssl rand -hex 32`"
        " prints one. `octavia-ovn statistics-key CHASSIS` prints the key of a chassis. While it is"
        " empty, the agent listens to no collectors.",
    ),
    cfg.StrOpt(
        "bind_host",
        default="0.0.0.0",  # noqa: S104 - the chassis are elsewhere
        help="Address on which the active agent listens to collectors.",
    ),
    cfg.PortOpt(
        "bind_port",
        default=_PORT,
        min=1,
        help="UDP port on which the active agent listens to collectors.",
    ),
    cfg.IntOpt(
        "report_interval",
        default=10,
        min=1,
        help="Seconds between two messages to Octavia about the listeners whose numbers have"
        " changed.",
    ),
    cfg.ListOpt(
        "flow_records_projects",
        default=[],
        help="Ids of the projects whose connections are recorded by chassis with [ovn_statistics]"
        " flow_records, separated by commas; * stands for all. The agent marks their load balancers"
        " in the Northbound database, with the id of the project.",
    ),
]
COLLECTOR_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "key",
        default="",
        secret=True,
        help="The secret that this collector signs statistics with: what"
        " `octavia-ovn statistics-key CHASSIS` prints on a controller, CHASSIS being"
        " external_ids:system-id of this host's Open vSwitch. Each chassis has its own.",
    ),
    cfg.ListOpt(
        "controllers",
        default=[],
        help=f"All hosts that run octavia-driver-agent, separated by commas: HOST or HOST:PORT"
        f" ([IPV6]:PORT); the port is {_PORT} unless given. The active agent answers.",
    ),
    cfg.FloatOpt(
        "read_interval",
        default=1.0,
        min=0.1,
        help="Seconds between two readings of flow counters. OVN replaces the flows of a listener"
        " when its members change; what they have counted since the last reading is lost then."
        " A reading may take a twentieth of the time at most; the pause grows if it takes longer.",
    ),
    cfg.FloatOpt(
        "send_interval",
        default=10.0,
        min=0.1,
        help="Seconds between two messages to the controllers, if there is anything to say.",
    ),
    cfg.FloatOpt(
        "connections_interval",
        default=60.0,
        min=0,
        help="Seconds between two readings of all tracked connections, for the number of active"
        " ones; 0 turns them off. A reading takes time in proportion to the host's connections.",
    ),
    cfg.FloatOpt(
        "limits_interval",
        default=1.0,
        min=0,
        help="Seconds between two readings of all tracked connections while a listener with a"
        " connection_limit is on this chassis; 0 turns them off, and connections of this chassis"
        " do not count for limits. Readings may take a twentieth of a processor; the pause grows if"
        " they take longer.",
    ),
    cfg.StrOpt(
        "flow_records",
        default="",
        help="File to which a line of JSON is appended for each connection that has ended, of load"
        " balancers of the projects in [ovn_statistics] flow_records_projects of the agent. Empty"
        " turns that off. Its folder must exist. Nothing removes old lines: have logrotate do that;"
        " the file is opened for each append.",
    ),
    cfg.FloatOpt(
        "records_interval",
        default=5.0,
        min=1.0,
        max=8.0,
        help="Seconds between two readings of all tracked connections for member_bytes, and for"
        " flow_records while there are load balancers to record on this chassis. It is the"
        " precision of start and end in records. Readings may take a twentieth of a processor; the"
        " pause grows if they take longer.",
    ),
    cfg.StrOpt(
        "ovs_rundir",
        default="/var/run/openvswitch",
        help="Folder with the sockets of Open vSwitch.",
    ),
    cfg.StrOpt(
        "state_file",
        default="/var/lib/octavia-ovn-stats/state.json",
        help="File for traffic that is counted but not delivered, so that a restart loses nothing.",
    ),
    cfg.PortOpt(
        "metrics_port",
        default=0,
        help="TCP port on which the collector serves its counters to Prometheus; 0 turns that off."
        " It needs the package prometheus-client.",
    ),
    cfg.IntOpt(
        "member_series",
        default=0,
        min=0,
        max=1_000_000,
        help="How many members of listeners may have a series of their own in"
        " octavia_ovn_member_connections_total, if metrics_port is set; 0 turns that metric off."
        " Members beyond have none.",
    ),
    cfg.BoolOpt(
        "member_bytes",
        default=False,
        help="Also count the bytes of these members, in both directions, where Linux counts those"
        " of connections (kernel datapath, sysctl net.netfilter.nf_conntrack_acct=1). All tracked"
        " connections are read every records_interval for that.",
    ),
    cfg.HostAddressOpt(
        "metrics_address",
        default="127.0.0.1",
        help="Address on which the collector serves its counters, if metrics_port is set. There is"
        " no encryption and no password: choose an address of the management network.",
    ),
]


@dataclass(frozen=True, slots=True)
class AgentStatistics:
    """Options of the agent; nothing is listened to while `master_key` is empty.

    :param report_interval: seconds
    :param flow_records_projects: ids; `*` stands for all
    """

    master_key: str = field(repr=False)
    bind_host: str
    bind_port: int
    report_interval: int
    flow_records_projects: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CollectorStatistics:
    """Options of a collector; intervals are seconds.

    :param controllers: host and UDP port of each
    :param connections_interval: 0 means never
    :param limits_interval: 0 means never
    :param flow_records: empty means none
    :param metrics_port: 0 means none
    """

    key: str = field(repr=False)
    sb: Database
    controllers: tuple[tuple[str, int], ...]
    read_interval: float
    send_interval: float
    connections_interval: float
    limits_interval: float
    ovs_rundir: str
    state_file: str
    metrics_port: int
    metrics_address: str
    flow_records: str = ""
    records_interval: float = 5.0
    member_series: int = 0
    member_bytes: bool = False

    @property
    def counts_members(self) -> bool:
        """Whether connections of single members are counted, for metrics."""
        return bool(self.metrics_port and self.member_series)

    @property
    def counts_member_bytes(self) -> bool:
        """Whether bytes of single members are counted, for metrics."""
        return self.counts_members and self.member_bytes


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the options of the program on a chassis by section, for oslo-config-generator."""
    return [
        ("ovn", list(SOUTHBOUND_OPTS)),
        (SECTION, list(COLLECTOR_OPTS)),
        (health.SECTION, list(health.CHASSIS_OPTS)),
    ]


def collector(conf: cfg.ConfigOpts) -> CollectorStatistics:
    """Read a collector's options.

    :param conf: a parsed configuration with the options of :func:`list_opts` registered
    :raises BadConfiguration: naming the option that is missing or wrong
    """
    values = {opt.dest: value(conf, SECTION, opt.dest) for opt in COLLECTOR_OPTS}
    if not is_chassis_key(values["key"]):
        msg = (
            f"[{SECTION}] key is {'not the key of a chassis' if values['key'] else 'empty'}: set"
            " the 64 digits that `octavia-ovn statistics-key CHASSIS` prints on a controller"
        )
        raise BadConfiguration(msg)
    if not values["controllers"]:
        msg = f"[{SECTION}] controllers is empty: name the hosts that run octavia-driver-agent"
        raise BadConfiguration(msg)
    controllers = tuple(_controller(text) for text in values.pop("controllers"))
    sb = Database.read(functools.partial(value, conf, "ovn"), "ovn_sb")
    return CollectorStatistics(sb=sb, controllers=controllers, **values)


def check_master_key(key: str) -> None:
    """Refuse a master key that can be guessed; an empty one means that the agent does not listen.

    :raises BadConfiguration: when it is too short
    """
    if key and len(key) < MIN_MASTER:
        msg = (
            f"[{SECTION}] master_key has {len(key)} characters: set {MIN_MASTER} at least, such as"
            " `openssl rand -hex 32` prints. The keys of chassis follow from it"
        )
        raise BadConfiguration(msg)


def _controller(text: str) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if found is None or not 0 < int(found["port"] or _PORT) < 1 << 16:
        msg = f"[{SECTION}] controllers holds {text!r}: write HOST, HOST:PORT or [IPV6]:PORT"
        raise BadConfiguration(msg)
    return found["ipv6"] or found["host"], int(found["port"] or _PORT)
