"""Which load balancers depend on what: the way from an event to those that must be looked at."""

from __future__ import annotations

from collections.abc import Hashable, Iterable


class Index:
    """An inverted index from things (a switch, a router, a port, a backend) to load balancers."""

    def __init__(self) -> None:
        self._things: dict[str, frozenset[Hashable]] = {}
        self._dependants: dict[Hashable, set[str]] = {}

    def set(self, lb_id: str, things: Iterable[Hashable]) -> frozenset[Hashable]:
        """Say all that a load balancer depends on now; return what nobody depends on any more."""
        new, old = frozenset(things), self._things.get(lb_id, frozenset())
        abandoned = set()
        for thing in old - new:
            dependants = self._dependants[thing]
            dependants.discard(lb_id)
            if not dependants:
                del self._dependants[thing]
                abandoned.add(thing)
        for thing in new - old:
            self._dependants.setdefault(thing, set()).add(lb_id)
        if new:
            self._things[lb_id] = new
        else:
            self._things.pop(lb_id, None)
        return frozenset(abandoned)

    def of(self, thing: Hashable) -> frozenset[str]:
        """Return the load balancers that depend on a thing."""
        return frozenset(self._dependants.get(thing, ()))
