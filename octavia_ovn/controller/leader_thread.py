# SPDX-License-Identifier: Apache-2.0
"""A thread beside the main loop that works only while this agent is the leader."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from octavia_ovn.errors import failure
from octavia_ovn.observer import SILENT, Observer
from octavia_ovn.supervised import SupervisedThread

LOG = logging.getLogger(__name__)

RETRY = 10.0
"""Seconds until the next attempt to listen."""


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


class LeaderServer(LeaderThread):
    """A thread that listens to others, again in each leadership term.

    :param serve: opens what it listens on, and serves as long as the function that it is given
        returns True
    :param name: of the thread
    :param observer: is notified when the thread crashes
    """

    def __init__(
        self,
        serve: Callable[[Callable[[], bool]], None],
        name: str,
        observer: Observer = SILENT,
    ) -> None:
        super().__init__(self._run, name, observer)
        self._serve = serve

    def _run(self) -> None:
        while self._wait():
            error = failure(self._serve_term)
            if error is not None:
                LOG.warning("%s", error)
                with self.changed:
                    self.changed.wait_for(lambda: not self.running(), RETRY)

    def _serve_term(self) -> None:
        term = self.term
        self._serve(lambda: self.running() and self.term == term)

    def _wait(self) -> bool:
        """Wait until this agent is the leader; return False when closed."""
        with self.changed:
            self.changed.wait_for(lambda: self.is_leader or self.closed)
        return not self.closed
