# SPDX-License-Identifier: Apache-2.0
"""Places for probes that are under way, divided between projects."""

from __future__ import annotations

import asyncio
import collections


class Slots:
    """Places that projects take and give back.

    A project gets another one while it has fewer than are free: alone at most half of all, beside
    another such project a third. So a project without any does not wait for those whose members do
    not answer.

    :param number: of all
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._taken: collections.Counter[str] = collections.Counter()
        self._waiting: dict[str, collections.deque[asyncio.Future[None]]] = {}

    async def take(self, project: str) -> None:
        """Wait for a place, after those of the project that wait already, and take it."""
        if project not in self._waiting and self._may(project):
            self._grant(project)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(project, collections.deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(project)
            raise

    def give(self, project: str) -> None:
        """Give a place back; the project that has the fewest gets it."""
        self._free += 1
        self._taken[project] -= 1
        if not self._taken[project]:
            del self._taken[project]
        for each in sorted(self._waiting, key=self._taken.__getitem__):
            self._serve(each)

    def _serve(self, project: str) -> None:
        waiting = self._waiting[project]
        while waiting and (waiting[0].cancelled() or self._may(project)):
            turn = waiting.popleft()
            if not turn.cancelled():
                self._grant(project)
                turn.set_result(None)
        if not waiting:
            del self._waiting[project]

    def _may(self, project: str) -> bool:
        return self._taken[project] < self._free

    def _grant(self, project: str) -> None:
        self._free -= 1
        self._taken[project] += 1
