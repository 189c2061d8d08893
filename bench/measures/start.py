# SPDX-License-Identifier: Apache-2.0
"""The start of the processes, and their memory."""

from __future__ import annotations

import os
import signal
import time

from bench.measures.base import Figure, Measures, milliseconds
from tests.lab.env import open_files, process_memory
from tests.lab.tenant import Tenant

PATIENCE_AT_START = 600


class Start(Measures):
    """Start agent and worker, and look at what they hold."""

    def start(self) -> list[Figure]:
        """From the start of the agent, and of a worker, to the first work done; memory.

        The laboratory must have been started without agent.
        """
        lab = self._lab
        worker = lab.octavia.workers.workers[0]
        worker.request("close")  # it answers when it has loaded all but the driver
        self._add("worker: RSS without driver", process_memory(worker.pid), "MiB")
        self._tenant = tenant = Tenant(lab, "measured")
        tenant.vm(20)
        self._start_agent(tenant)
        lab.stop_workers()
        start = time.monotonic()
        lab.start_workers()
        operation = tenant.create_lb()
        seconds = lab.octavia.finish(operation, PATIENCE_AT_START)
        self._add("worker: start to first ACTIVE", milliseconds(seconds, operation.started - start))
        self._add("worker: CPU to first ACTIVE", lab.octavia.workers.cpu_seconds(), "s")
        self._memory("at start")
        return self._taken()

    def _start_agent(self, tenant: Tenant) -> None:
        """Start the agent and time it, by a request that waits for it if requests do."""
        lab = self._lab
        waiting = tenant.create_lb()
        waits = lab.octavia.finish(waiting, 1) is None
        start = time.monotonic()
        lab.start_agent()
        seconds = lab.octavia.finish(waiting, PATIENCE_AT_START)
        if waits:
            delay = waiting.started - start
            self._add("agent: start to a waiting request ACTIVE", milliseconds(seconds, delay))
        idle_since = self._wait_for_agent()
        self._add("agent: start until idle", (idle_since - start) * 1000)
        self._add("agent: CPU until idle", lab.agent.cpu_seconds(), "s")

    def take_over(self) -> list[Figure]:
        """From the end of the active agent, killed, to a waiting request ACTIVE by another one."""
        lab, tenant = self._lab, self._warm_tenant("measured")
        active = lab.agent
        lab.start_agent()
        self._wait_for_agent()
        start = time.monotonic()
        os.kill(active.pid, signal.SIGKILL)
        operation = tenant.create_lb()
        seconds = lab.octavia.finish(operation, PATIENCE_AT_START)
        delay = operation.started - start
        self._add("take-over: a waiting request ACTIVE", milliseconds(seconds, delay))
        active.stop()
        return self._taken()

    def memory(self) -> list[Figure]:
        """Memory and files of the processes, at the end."""
        self._memory("at the end")
        worker = self._lab.octavia.workers.workers[0]
        self._add("worker: open files", open_files(worker.pid), "n")
        self._add("stuck", len(self._lab.octavia.stuck()), "n")
        self._add("left behind by deleted LBs", len(self._lab.octavia.orphans()), "n")
        self._add("LB got a status after DELETED", len(self._lab.octavia.revived), "n")
        return self._taken()

    def _memory(self, when: str) -> None:
        self._add(f"worker: RSS {when}", self._lab.octavia.workers.memory(), "MiB")
        self._add(f"agent: RSS {when}", self._lab.agent.memory(), "MiB")
