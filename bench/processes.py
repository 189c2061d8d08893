# SPDX-License-Identifier: Apache-2.0
"""CPU time and forks of the processes of a service."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from pyroute2.netlink.connector.cn_proc import ProcEventSocket

_TICKS = os.sysconf("SC_CLK_TCK")
_STAT_TIMES = slice(11, 15)  # after the command name: utime, stime, cutime, cstime


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of processes and of their children that have ended, in seconds."""
    return sum(sum(_times(pid)) for pid in pids) / _TICKS


def _times(pid: int) -> list[int]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return []  # Its parent has counted it.
    return [int(each) for each in stat.rpartition(")")[2].split()[_STAT_TIMES]]


class Forks(threading.Thread):
    """Counts processes that are forked on this machine, by their parent.

    The kernel reports each fork to its process connector; this needs root.

    :raises RuntimeError: when the kernel reports nothing, such as in a network namespace
    """

    def __init__(self) -> None:
        super().__init__(name="forks", daemon=True)
        self._listens = threading.Event()
        self._parents: dict[int, int] = {}
        self.start()
        self._verify()

    def _verify(self) -> None:
        self._listens.wait(5)
        subprocess.run(["true"], check=True)
        deadline = time.monotonic() + 5
        while not self.of([os.getpid()]):
            if time.monotonic() > deadline:
                raise RuntimeError("the kernel reports no forks")
            time.sleep(0.01)

    def run(self) -> None:
        """Read events; a new thread has its process's id, a forked process its own."""
        # Here: what one thread opens with pyroute2 0.9.7, another one cannot use.
        connector = ProcEventSocket()
        connector.bind()
        connector.control(listen=True)
        self._listens.set()
        while True:
            for event in connector.get():
                if (
                    event["event"] == "PROC_EVENT_FORK"
                    and event["child_pid"] == event["child_tgid"]
                ):
                    parent = event["parent_tgid"]
                    self._parents[parent] = self._parents.get(parent, 0) + 1

    def of(self, pids: Iterable[int]) -> int:
        """Return how many processes these have forked since this began to count."""
        return sum(self._parents.get(pid, 0) for pid in pids)
