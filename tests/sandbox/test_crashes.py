# SPDX-License-Identifier: Apache-2.0
"""Processes are killed in the middle: what was accepted still ends."""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from sandbox import database, octavia
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from sandbox.api import Json
    from tests.sandbox.scenery import Scenery

_CLIENTS = 3
_RESTARTS = 2
_PENDING = "provisioning_status LIKE 'PENDING%'"


def test_the_provider_agent_is_killed_before_it_realises(scenery: Scenery) -> None:
    lb = scenery.load_balancer()
    agent = octavia.provider_agent_pid(scenery.stack.supervisor)
    os.kill(agent, signal.SIGSTOP)  # The request is accepted, and no agent reconciles it.
    scenery.listener(lb, wait=False)
    assert scenery.statuses(lb)["provisioning_status"] == "PENDING_UPDATE"

    os.kill(agent, signal.SIGKILL)
    scenery.stack.stop(octavia.DRIVER_AGENT)
    scenery.stack.start(octavia.DRIVER_AGENT)

    assert scenery.cloud.wait_for(lb["id"])["provisioning_status"] == "ACTIVE"


def test_the_api_workers_are_killed_after_the_answer(scenery: Scenery) -> None:
    lb = scenery.load_balancer()
    workers = scenery.stack.supervisor.pids(octavia.API)[1:]
    scenery.listener(lb, wait=False)

    for worker in workers:
        os.kill(worker, signal.SIGKILL)

    assert scenery.cloud.wait_for(lb["id"])["provisioning_status"] == "ACTIVE"


def test_the_database_restarts_under_load(scenery: Scenery) -> None:
    """What was accepted ends, and no quota is lost.

    Octavia counts a deletion down in one transaction, and deletes in the next: one that is
    interrupted between them is counted twice, as with each provider.
    """
    lbs = [scenery.load_balancer() for _ in range(_CLIENTS)]
    pools = [scenery.pool(lb, scenery.listener(lb))["id"] for lb in lbs]
    for lb, pool in zip(lbs, pools, strict=True):
        members = [_member(scenery, port) for port in range(1, 21)]
        scenery.cloud.octavia("PUT", f"/pools/{pool}/members", {"members": members})
        scenery.cloud.wait_for(lb["id"])
    enough = threading.Event()

    with concurrent.futures.ThreadPoolExecutor(_CLIENTS) as threads:
        clients = [
            threads.submit(_load, scenery, lb, pool, enough)
            for lb, pool in zip(lbs, pools, strict=True)
        ]
        for _ in range(_RESTARTS):
            time.sleep(2.0)
            scenery.stack.stop("mariadb")
            scenery.stack.start("mariadb")
        time.sleep(2.0)
        enough.set()
    assert sum(each.result() for each in clients) > 0

    for lb in lbs:
        scenery.cloud.wait_for(lb["id"])
    for table in ("listener", "pool", "member"):
        assert _number(scenery, f"COUNT(*) FROM octavia.{table} WHERE {_PENDING}") == 0
    there = _number(scenery, "COUNT(*) FROM octavia.member")
    counted = _number(scenery, "SUM(in_use_member) FROM octavia.quotas")
    assert there - _RESTARTS * _CLIENTS <= counted <= there


def _load(scenery: Scenery, lb: Json, pool: str, enough: threading.Event) -> int:
    """Create and delete members until it is enough; return how often a request has failed."""
    ports = itertools.takewhile(lambda _: not enough.is_set(), itertools.count(1000))
    return sum(not _comes_and_goes(scenery, lb, pool, port) for port in ports)


def _comes_and_goes(scenery: Scenery, lb: Json, pool: str, port: int) -> bool:
    """Create and delete a member; return whether no request has failed."""
    body = {"member": _member(scenery, port)}
    try:
        made = scenery.cloud.octavia("POST", f"/pools/{pool}/members", body)["member"]
        scenery.cloud.wait_for(lb["id"])
        scenery.cloud.octavia("DELETE", f"/pools/{pool}/members/{made['id']}")
        scenery.cloud.wait_for(lb["id"])
    except SandboxError:
        return False
    return True


def _member(scenery: Scenery, port: int) -> Json:
    return {"address": scenery.stack.guests.get("web1").address(), "protocol_port": port}


def _number(scenery: Scenery, query: str) -> int:
    return int(database.sql(scenery.stack.settings, f"SELECT {query}"))
