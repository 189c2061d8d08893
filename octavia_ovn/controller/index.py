"""Which load balancers depend on what: the way from an event to those that must be looked at."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from octavia_ovn.core.grouping import Grouping


class Index:
    """An inverted index from things (a switch, a router, a port, a backend) to load balancers."""

    def __init__(self) -> None:
        self._things: dict[str, frozenset[Hashable]] = {}
        self._dependants: Grouping[Hashable, str] = Grouping()

    def set(self, lb_id: str, things: Iterable[Hashable]) -> frozenset[Hashable]:
        """Say all that a load balancer depends on now; return what nobody depends on any more."""
        new, old = frozenset(things), self._things.get(lb_id, frozenset())
        abandoned = set()
        for thing in old - new:
            self._dependants.discard(thing, lb_id)
            if thing not in self._dependants:
                abandoned.add(thing)
        for thing in new - old:
            self._dependants.add(thing, lb_id)
        if new:
            self._things[lb_id] = new
        else:
            self._things.pop(lb_id, None)
        return frozenset(abandoned)

    def of(self, thing: Hashable) -> frozenset[str]:
        """Return the load balancers that depend on a thing."""
        return frozenset(self._dependants.of(thing))

    def load_balancers(self) -> frozenset[str]:
        """Return the load balancers that depend on anything."""
        return frozenset(self._things)
