# SPDX-License-Identifier: Apache-2.0
"""What Prometheus reads about VIPs that are probed."""

import prometheus_client

from octavia_ovn.adapters.metrics.data_path import DataPaths


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def shown(paths):
    text = prometheus_client.generate_latest(paths.registry).decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def available(lb_id, listener_id, value):
    labels = f'listener="{listener_id}",loadbalancer="{lb_id}"'
    return f"octavia_ovn_data_path_available{{{labels}}} {value}"


def test_what_is_not_known_is_counted_and_not_shown():
    paths = DataPaths(60.0)
    paths.put("lb1", {"l1": 1.0, "l2": None})
    paths.put("lb2", {"l3": 0.5})

    assert shown(paths) == [
        available("lb1", "l1", 1.0),
        available("lb2", "l3", 0.5),
        "octavia_ovn_data_path_unknown 1.0",
    ]


def test_an_old_result_is_none():
    clock = Clock()
    paths = DataPaths(60.0, clock)
    paths.put("lb1", {"l1": 1.0})
    clock.now += 30
    paths.put("lb2", {"l2": 0.0})
    clock.now += 31

    assert shown(paths) == [available("lb2", "l2", 0.0), "octavia_ovn_data_path_unknown 1.0"]


def test_what_is_gone_is_forgotten():
    paths = DataPaths(60.0)
    paths.put("lb1", {"l1": 1.0, "l2": 1.0})
    paths.put("lb1", {"l2": 1.0})
    assert shown(paths) == [available("lb1", "l2", 1.0), "octavia_ovn_data_path_unknown 0.0"]
    paths.put("lb1", {})
    assert shown(paths) == ["octavia_ovn_data_path_unknown 0.0"]
