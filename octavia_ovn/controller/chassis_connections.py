# SPDX-License-Identifier: Apache-2.0
"""Serves the connections of chassis that probe members, while this agent is the leader."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from octavia_ovn.controller.leader_thread import LeaderServer
from octavia_ovn.observer import SILENT, Observer

LOG = logging.getLogger(__name__)

_POLL = 0.5
"""Seconds between two checks whether this agent is still the leader."""


class Server(Protocol):
    """Listens, and serves connections."""

    def turn(self, timeout: float) -> None:
        """Process what happens within some seconds."""

    def close(self) -> None:
        """End all connections."""


class ChassisConnections(LeaderServer):
    """The thread.

    :param listen: makes a server that listens
    :param observer: is notified when the thread crashes
    """

    def __init__(self, listen: Callable[[], Server], observer: Observer = SILENT) -> None:
        super().__init__(self._talk, "chassis", observer)
        self._listen = listen

    def _talk(self, running: Callable[[], bool]) -> None:
        server = self._listen()
        try:
            while running():
                server.turn(_POLL)
        finally:
            server.close()
