# SPDX-License-Identifier: Apache-2.0
"""Serves the connections of chassis that probe members, while this agent is the leader."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from octavia_ovn.controller.leader_thread import LeaderThread
from octavia_ovn.errors import failure
from octavia_ovn.observer import SILENT, Observer

LOG = logging.getLogger(__name__)

_POLL = 0.5
"""Seconds between two checks whether this agent is still the leader."""
_RETRY = 10.0
"""Seconds until the next attempt to listen."""


class Server(Protocol):
    """Listens, and serves connections."""

    def turn(self, timeout: float) -> None:
        """Process what happens within some seconds."""

    def close(self) -> None:
        """End all connections."""


class ChassisConnections(LeaderThread):
    """The thread.

    :param listen: makes a server that listens
    :param observer: is notified when the thread crashes
    """

    def __init__(self, listen: Callable[[], Server], observer: Observer = SILENT) -> None:
        super().__init__(self._run, "chassis", observer)
        self._listen = listen

    def _run(self) -> None:
        while self._wait():
            error = failure(self._serve)
            if error is not None:
                LOG.warning("%s", error)
                with self.changed:
                    self.changed.wait_for(lambda: not self.running(), _RETRY)

    def _serve(self) -> None:
        term, server = self.term, self._listen()
        try:
            while self.running() and self.term == term:
                server.turn(_POLL)
        finally:
            server.close()

    def _wait(self) -> bool:
        """Wait until this agent is the leader; return False when closed."""
        with self.changed:
            self.changed.wait_for(lambda: self.is_leader or self.closed)
        return not self.closed
