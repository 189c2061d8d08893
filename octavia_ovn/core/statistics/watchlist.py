"""Which flows are worth reading: most load balancers of a cloud are not on any one chassis."""

from __future__ import annotations

from collections.abc import Collection, Iterable

RESCAN = 60.0
"""Seconds between two readings of all flows, present or not."""
_NEW = 60.0
"""Seconds for which a flow that was added to the Southbound database may not have arrived yet."""


class Watchlist:
    """Cookies of flows that are on this chassis or may come soon; times are in seconds."""

    def __init__(self) -> None:
        self._new: dict[int, float] = {}
        self._present: set[int] = set()
        self._next_scan = 0.0

    def added(self, cookies: Iterable[int], now: float) -> None:
        """Take note of flows that are new in the Southbound database."""
        self._new.update(dict.fromkeys(cookies, now))

    def due(self, everything: Iterable[int], now: float) -> list[int]:
        """Return the cookies to ask for now.

        :param everything: the cookies of all flows that count something
        """
        if now >= self._next_scan:
            self._next_scan = now + RESCAN
            return sorted(everything)
        self._new = {cookie: since for cookie, since in self._new.items() if now - since < _NEW}
        return sorted(self._present.union(self._new))

    def seen(self, asked: Collection[int], found: Iterable[int]) -> None:
        """Take note of which flows there are among those that were asked for."""
        self._present.difference_update(asked)
        self._present.update(found)

    @property
    def present(self) -> frozenset[int]:
        """The cookies of the flows that are here."""
        return frozenset(self._present)
