# SPDX-License-Identifier: Apache-2.0
"""What members cost that are up and down in turn, each second.

The agent, the databases and ovn-northd are real; the chassis are simulated.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from typing import Any

from octavia_ovn.core.health import HealthState
from tests.functional.ovsdb.server import free_ports
from tests.functional.test_probes import HTTP, World, config
from tests.lab.env import process_cpu
from tests.lab.harness import Lab

_UP, _DOWN = HealthState.UP, HealthState.DOWN


def _create(world: Any, balancers: int, members: int) -> None:
    """Make load balancers whose members are all on the first chassis."""
    for number in range(members):
        world.moves(number, "hv-1")
    for _ in range(balancers):
        pool = {
            "name": "pool",
            "protocol": "TCP",
            "lb_algorithm": "SOURCE_IP_PORT",
            "members": [world.tenant.member(number) for number in range(members)],
            "healthmonitor": HTTP,
        }
        listener = {"protocol": "TCP", "protocol_port": 80, "default_pool": "pool"}
        made = world.lab.octavia.create_load_balancer(
            world.tenant.subnet["id"], listeners=[listener], pools=[pool]
        )
        world.lab.octavia.wait_active(made.id, 60)


def _measure(world: Any, what: str, seconds: int, flip: Any) -> None:
    northd = world.lab.env._northd_process.pid

    def now() -> tuple[float, float, float]:
        return time.monotonic(), world.lab.agent.cpu_seconds(), process_cpu(northd)

    world.lab.nb_log.skip()
    before = now()
    for number in range(seconds):
        flip(number)
        time.sleep(max(0.0, before[0] + number + 1 - time.monotonic()))
    took, agent, northd_cpu = (b - a for a, b in zip(before, now(), strict=True))
    writes = len(world.lab.nb_log.read())
    print(
        f"{what}: agent {agent / took:.1%}, ovn-northd {northd_cpu / took:.1%} of a core,"
        f" {writes / took:.1f} transactions a second",
        flush=True,
    )


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.flips", description=__doc__)
    parser.add_argument("--balancers", type=int, default=100)
    parser.add_argument("--members", type=int, default=10, help="of each load balancer")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    (port,) = free_ports(1)
    with Lab(northd=True, config=config(port)) as lab:
        world = World(lab, port)
        with contextlib.closing(contextlib.ExitStack()) as stack:
            stack.callback(world.stop)
            one, _ = world.connected()
            world.until(world.is_announced)
            _create(world, options.balancers, options.members)
            wanted = options.balancers * options.members
            world.until(lambda: len(one.probes) == wanted, 120)
            one.finds(_UP)
            time.sleep(5)
            _measure(world, "quiet", 10, lambda _: None)

            def all_at_once(number: int) -> None:
                one.finds(_DOWN if number % 2 == 0 else _UP)

            def one_by_one(number: int) -> None:
                for each in tuple(one.probes):
                    one.finds(_DOWN if number % 2 == 0 else _UP, each)
                    time.sleep(0.8 / wanted)

            _measure(world, "all members at once", options.seconds, all_at_once)
            _measure(world, "one after the other", options.seconds, one_by_one)


if __name__ == "__main__":
    main()
