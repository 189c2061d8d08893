# SPDX-License-Identifier: Apache-2.0
"""What measures have in common: figures, one operation and what it costs, waiting for quiet."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.lab import ovsdb
from tests.lab.harness import Lab
from tests.lab.octavia import Operation
from tests.lab.tenant import Tenant

QUIET = 0.15  # nothing happened for so long: the driver has finished
# Ours tells Octavia some statuses once more, a second later, while nobody waits.
SETTLED = 1.3
IDLE = 2.0
PATIENCE = 20
LONG_PATIENCE = 900
ALGORITHM = "SOURCE_IP_PORT"
MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}

Figure = tuple[str, "float | None", str]


@dataclass(frozen=True)
class Commit:
    """One transaction as the database's file has it: bytes, and seconds since 1970."""

    size: int
    time: float


class Measures:
    """Measures one driver in its laboratory. Each public method but `close` returns its figures.

    :param lab: with the driver's processes running
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._figures: list[Figure] = []
        self._tenant: Tenant | None = None

    def close(self) -> None:
        """Stop an agent that was started here."""
        if self._lab.agent is not None:
            self._lab.stop_agent()

    def _add(self, metric: str, value: float | None, unit: str = "ms") -> None:
        self._figures.append((metric, value, unit))

    def _taken(self) -> list[Figure]:
        figures, self._figures = self._figures, []
        return figures

    def _wait_for_agent(self) -> float:
        """Wait until the agent has been idle for two seconds; return since when it is."""
        used, since = 0.0, time.monotonic()
        while self._lab.agent.pid is None or time.monotonic() - since < IDLE:
            now = self._lab.agent.cpu_seconds()
            if now > used + 0.02:
                used, since = now, time.monotonic()
            time.sleep(0.2)
        return since

    def _run(
        self,
        name: str,
        call: Callable[..., Operation],
        *args: Any,
        patience: float = PATIENCE,
        **kwargs: Any,
    ) -> Operation:
        """Call the API and add what it cost under a name."""
        lab = self._lab
        self._quiesce()
        lab.nb_log.skip()
        requests, statuses = lab.neutron.http.request_count(), len(lab.octavia.statuses)
        operation = call(*args, **kwargs)
        seconds = lab.octavia.finish(operation, patience)
        until_done = read_commits(lab)
        self._timeline(name, operation, until_done, statuses)
        self._quiesce()
        if seconds is None:
            print(f"{name} is stuck: {lab.octavia.stuck()}", file=sys.stderr)
        self._add(f"{name}: done", milliseconds(seconds))
        self._add(f"{name}: in driver", operation.driver_seconds * 1000)
        commits = until_done + read_commits(lab)
        self._add(f"{name}: NB transactions until done", len(until_done), "n")
        self._add(f"{name}: NB transactions", len(commits), "n")
        self._add(f"{name}: NB bytes", sum(each.size for each in commits), "B")
        self._add(f"{name}: Neutron requests", lab.neutron.http.request_count() - requests, "n")
        self._add(f"{name}: status messages", len(lab.octavia.statuses) - statuses, "n")
        return operation

    def _timeline(
        self, name: str, operation: Operation, commits: list[Commit], statuses: int
    ) -> None:
        """Add when the database was written, and when the first status came, since the call."""
        wall_clock = time.time() - time.monotonic() + operation.started
        told = [each.received for each in self._lab.octavia.statuses[statuses:]]
        if commits:
            self._add(f"{name}: first commit", (commits[0].time - wall_clock) * 1000)
            self._add(f"{name}: last commit", (commits[-1].time - wall_clock) * 1000)
        if told:
            self._add(f"{name}: told", (told[0] - operation.started) * 1000)

    def _quiesce(self, quiet: float = QUIET) -> None:
        """Wait until commits, Neutron requests and statuses have stopped."""
        lab, seen, since = self._lab, None, time.monotonic()
        while time.monotonic() - since < quiet:
            now = (
                lab.env.nb.path.stat().st_size,
                lab.neutron.http.request_count(),
                len(lab.octavia.statuses),
            )
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.01)

    def _warm_tenant(self, name: str) -> Tenant:
        if self._tenant is None:
            self._tenant = Tenant(self._lab, name)
            warm_up = self._tenant.create_lb(listeners=1, pools=1, members=1)
            self._lab.octavia.finish(warm_up, 300)
        return self._tenant


def read_commits(lab: Lab) -> list[Commit]:
    """Return what was committed since last asked, without what the lab wrote."""
    return [
        Commit(len(json.dumps(record, separators=(",", ":"))), record["_date"] / 1000)
        for record in lab.nb_log.read()
        if ovsdb.LAB_COMMENT not in record.get("_comment", "").split()
    ]


def milliseconds(seconds: float | None, more: float = 0.0) -> float | None:
    return None if seconds is None else (seconds + more) * 1000
