# SPDX-License-Identifier: Apache-2.0
"""The connection's two ends, that of a chassis and that of the agent, with each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from octavia_ovn.adapters.probing.channel import Channel
from octavia_ovn.adapters.probing.connection import Connection
from octavia_ovn.adapters.probing.server import ChassisServer
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing.messages import ROWS, Plan, Result, Results
from octavia_ovn.core.statistics.keys import chassis_key
from tests.core.probing.examples import probe

MASTER = "0123456789abcdef0123456789abcdef"
ALL = [Result(f"m{each}", "0123456789abcdef", HealthState.UP) for each in range(2 * ROWS + 1)]
CHANGE = Result("m1", "0123456789abcdef", HealthState.DOWN, "refused")


class Seen:
    """What the server says."""

    def __init__(self) -> None:
        self.links: list[Connection] = []
        self.gone: list[Connection] = []
        self.results: list[Results] = []

    def joined(self, link: Connection) -> None:
        self.links.append(link)

    def received(self, link: Connection, results: Results) -> None:
        self.results.append(results)

    def left(self, link: Connection) -> None:
        self.gone.append(link)


async def until(server: ChassisServer, condition: Callable[[], object]) -> None:
    """Have both ends work until a condition holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        server.turn(0.01)
        await asyncio.sleep(0.001)


def test_they_understand_each_other() -> None:
    async def story() -> None:
        seen, plans = Seen(), list[Plan]()
        server = ChassisServer("127.0.0.1", 0, MASTER, seen)
        port = server._listener.getsockname()[1]

        async def name() -> str:
            return "a"

        controllers = [("127.0.0.1", 1), ("127.0.0.1", port)]
        channel = Channel(controllers, chassis_key(MASTER, "a"), name, plans.append, lambda: ALL)
        task = asyncio.create_task(channel.run())
        await until(server, lambda: channel.connected)
        await until(server, lambda: seen.results and seen.results[-1].complete)
        assert [each for part in seen.results for each in part.rows] == ALL
        assert [each.complete for each in seen.results] == [False, False, True]

        (link,) = seen.links
        link.send(Plan(put=(probe(),)))
        link.send(Plan(drop=("m2",)))
        await until(server, lambda: len(plans) == 2)
        assert plans == [Plan(put=(probe(),)), Plan(drop=("m2",))]
        channel.tell(CHANGE)
        await until(server, lambda: seen.results[-1] == Results((CHANGE,)))

        heard = link.heard
        await until(server, lambda: link.heard > heard + 1)
        assert channel.connected
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(server, lambda: seen.gone == [link])
        server.close()

    asyncio.run(story())
