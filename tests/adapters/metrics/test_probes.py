# SPDX-License-Identifier: Apache-2.0
"""What Prometheus reads from a chassis about probes."""

import types

import prometheus_client

from octavia_ovn.adapters.metrics import probes
from octavia_ovn.core.probing.counters import Counters, Ending

PROBES = types.SimpleNamespace(
    counters=Counters(),
    connected=True,
    states={"up": 3, "down": 1},
    sources={True: 2, False: 1},
)
PROBES.counters.count("HTTP", Ending.SUCCESS, 0.003)
PROBES.counters.count("HTTP", Ending.FAILURE, 2.0)
PROBES.counters.count("PING", Ending.NOT_DONE, 0.0)
PROBES.counters.changes["up"] += 4
PROBES.counters.delayed = 5


def test_probes_and_what_follows_from_them():
    registry = prometheus_client.CollectorRegistry()
    probes.register(registry, PROBES)
    text = prometheus_client.generate_latest(registry).decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]

    for expected in (
        'octavia_ovn_chassis_probes_total{result="success",type="HTTP"} 1.0',
        'octavia_ovn_chassis_probes_total{result="failure",type="HTTP"} 1.0',
        'octavia_ovn_chassis_probes_total{result="not_done",type="PING"} 1.0',
        'octavia_ovn_chassis_probe_duration_seconds_bucket{le="0.001",type="HTTP"} 0.0',
        'octavia_ovn_chassis_probe_duration_seconds_bucket{le="0.005",type="HTTP"} 1.0',
        'octavia_ovn_chassis_probe_duration_seconds_bucket{le="+Inf",type="HTTP"} 2.0',
        'octavia_ovn_chassis_probe_duration_seconds_count{type="HTTP"} 2.0',
        'octavia_ovn_chassis_probe_duration_seconds_sum{type="HTTP"} 2.003',
        'octavia_ovn_chassis_probed_members{state="up"} 3.0',
        'octavia_ovn_chassis_probe_changes_total{state="up"} 4.0',
        "octavia_ovn_chassis_probes_delayed_total 5.0",
        'octavia_ovn_chassis_probe_sources{ready="yes"} 2.0',
        'octavia_ovn_chassis_probe_sources{ready="no"} 1.0',
        "octavia_ovn_chassis_agent_connected 1.0",
    ):
        assert expected in lines
