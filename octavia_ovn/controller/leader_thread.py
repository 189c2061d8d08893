# SPDX-License-Identifier: Apache-2.0
"""A thread beside the main loop that works only while this agent is the leader."""

from __future__ import annotations

import threading
from collections.abc import Callable

from octavia_ovn.observer import SILENT, Observer
from octavia_ovn.supervised import SupervisedThread


class LeaderThread:
    """The thread, and the state that it shares with the main loop; a base class.

    :param work: what the thread does until it is closed; it waits on :attr:`changed`
    :param name: of the thread
    :param observer: is notified when the work crashes
    """

    def __init__(self, work: Callable[[], None], name: str, observer: Observer = SILENT) -> None:
        self.changed = threading.Condition()
        """Notified whenever leadership changes, and when the thread is closed."""
        self.is_leader = False
        self.closed = False
        self.term = 0
        """The number of the leadership term; nothing is kept from one term to the next."""
        self._thread = SupervisedThread(work, name, observer)

    def running(self) -> bool:
        """Whether to work."""
        return self.is_leader and not self.closed

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def set_leader(self, *, is_leader: bool) -> None:
        """Set whether this agent is the leader."""
        with self.changed:
            self.term += is_leader and not self.is_leader
            self.is_leader = is_leader
            self.changed.notify_all()

    def close(self, timeout: float) -> None:
        """Stop, in that many seconds at most; calls in progress end by themselves."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        self._thread.stop()
        self._thread.join(timeout)
