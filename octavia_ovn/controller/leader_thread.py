"""A thread beside the main loop that works only while this agent acts."""

from __future__ import annotations

import threading
from collections.abc import Callable

from octavia_ovn.observer import NOBODY, Observer
from octavia_ovn.supervised import SupervisedThread


class LeaderThread:
    """The thread, and what it and the main loop know of each other.

    :param work: what the thread does until it is closed; it waits on :attr:`changed`
    :param name: of the thread
    :param observer: is told when the work crashes
    """

    def __init__(self, work: Callable[[], None], name: str, observer: Observer = NOBODY) -> None:
        self.changed = threading.Condition()
        """Notified whenever the agent begins or ceases to act, and when it ends."""
        self.acting = False
        self.closed = False
        self.term = 0
        """How often the agent has begun to act; each term knows nothing of those before."""
        self._thread = SupervisedThread(work, name, observer)

    @property
    def running(self) -> bool:
        """Whether to work."""
        return self.acting and not self.closed

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def act(self, *, acting: bool) -> None:
        """Say whether this agent acts."""
        with self.changed:
            self.term += acting and not self.acting
            self.acting = acting
            self.changed.notify_all()

    def close(self, timeout: float) -> None:
        """Stop, in that many seconds at most; what is being asked is left to end by itself."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        self._thread.stop()
        self._thread.join(timeout)
