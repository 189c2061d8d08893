# SPDX-License-Identifier: Apache-2.0
"""The options of the section `[ovn_health]`: health checks by a program on each chassis.

Those of `octavia.conf` and those of the program are apart, as in
:mod:`octavia_ovn.config.statistics`; the key and the controllers of a chassis are options there.
"""

from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

SECTION = "ovn_health"

AGENT_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "enabled",
        default=False,
        help="Have the program octavia-ovn-chassis on each chassis check the members that run"
        " there, instead of OVN. It can check by HTTP, HTTPS, TLS-HELLO and PING besides TCP and"
        " UDP-CONNECT, and at a monitor_port and a monitor_address. Set it to the same value on all"
        " controllers, for octavia-api and octavia-driver-agent. The program must run on every"
        " chassis that hosts members, and [ovn_statistics] master_key must be set. Off, OVN checks"
        " members, and checks that OVN cannot do are refused.",
    ),
    cfg.IntOpt(
        "chassis_timeout",
        default=10,
        min=3,
        help="Seconds that ovn-controller on a chassis has to follow a change of the Northbound"
        " database while octavia-ovn-chassis there is silent. If it does not, the hypervisor counts"
        " as dead, and its members leave.",
    ),
]
CHASSIS_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "enabled",
        default=False,
        help="Check the members that run on this chassis, as the active agent says, and report to"
        " it: over TCP, to [ovn_statistics] controllers, with [ovn_statistics] key. It needs the"
        " packages h11 and pyroute2, and the capabilities CAP_NET_ADMIN, CAP_NET_RAW and"
        " CAP_SYS_ADMIN for ports and network namespaces that checks come from. The agents need"
        " [ovn_health] enabled, too.",
    ),
    cfg.IntOpt(
        "max_probes_per_project",
        default=500,
        min=1,
        help="Probes in a second that the members of one project get on this chassis at most. What"
        " a project asks for beyond that comes later than the delay of its monitors, and does not"
        " delay the checks of other projects.",
    ),
]


@dataclass(frozen=True, slots=True)
class AgentHealth:
    """Options of API workers and of the agent.

    :param enabled: whether a program on each chassis checks members, instead of OVN
    :param chassis_timeout: seconds
    """

    enabled: bool = False
    chassis_timeout: int = 10
