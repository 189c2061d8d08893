# SPDX-License-Identifier: Apache-2.0
"""CPU time and forks of the processes of a service."""

from __future__ import annotations

import os
import threading
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
    """

    def __init__(self) -> None:
        super().__init__(name="forks", daemon=True)
        self._socket = ProcEventSocket()
        self._socket.bind()
        self._socket.control(listen=True)
        self._parents: dict[int, int] = {}
        self.start()

    def run(self) -> None:
        """Read events; a new thread has its process's id, a forked process its own."""
        while True:
            for event in self._socket.get():
                if (
                    event["event"] == "PROC_EVENT_FORK"
                    and event["child_pid"] == event["child_tgid"]
                ):
                    parent = event["parent_tgid"]
                    self._parents[parent] = self._parents.get(parent, 0) + 1

    def of(self, pids: Iterable[int]) -> int:
        """Return how many processes these have forked since this began to count."""
        return sum(self._parents.get(pid, 0) for pid in pids)
