# SPDX-License-Identifier: Apache-2.0
"""What the API processes hold: one connection to NB each, whatever they were asked."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import network, octavia

if TYPE_CHECKING:
    from tests.sandbox.scenery import Scenery


_REQUESTS = 16


def test_one_nb_connection_for_each_api_worker(scenery: Scenery) -> None:
    lbs = [scenery.load_balancer() for _ in range(4)]
    workers = scenery.stack.supervisor.pids(octavia.API)[1:]

    def rename(number: int) -> None:
        lb = lbs[number % len(lbs)]["id"]
        body = {"loadbalancer": {"name": f"name {number}"}}
        scenery.cloud.wait_for(lb)
        scenery.cloud.octavia("PUT", f"/loadbalancers/{lb}", body)

    with concurrent.futures.ThreadPoolExecutor(len(lbs)) as pool:
        for offset in range(0, _REQUESTS, len(lbs)):
            list(pool.map(rename, range(offset, offset + len(lbs))))
    for lb in lbs:
        scenery.cloud.wait_for(lb["id"])
    held = network.unix_clients(Path(scenery.stack.settings.nb.removeprefix("unix:")))

    assert {worker: held[worker] for worker in workers} == dict.fromkeys(workers, 1)


def test_threads_and_files_do_not_grow(scenery: Scenery) -> None:
    lb = scenery.load_balancer()
    workers = scenery.stack.supervisor.pids(octavia.API)[1:]
    _ask_often(scenery, lb["id"])  # Pools of connections fill in the first round.
    before = {worker: _held(worker) for worker in workers}

    _ask_often(scenery, lb["id"])

    for worker in workers:
        threads, files = (
            now - then for now, then in zip(_held(worker), before[worker], strict=True)
        )
        assert threads <= 0
        assert files <= 1  # a pooled connection of the database may be open or not


def _ask_often(scenery: Scenery, lb_id: str) -> None:
    """Requests that each make a driver object."""
    for number in range(_REQUESTS // 2):
        scenery.cloud.wait_for(lb_id)
        body = {"loadbalancer": {"name": f"name {number}"}}
        scenery.cloud.octavia("PUT", f"/loadbalancers/{lb_id}", body)
    scenery.cloud.wait_for(lb_id)


def _held(pid: int) -> tuple[int, int]:
    """Return the numbers of threads and of open files."""
    process = Path("/proc") / str(pid)
    return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))
