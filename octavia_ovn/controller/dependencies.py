"""Which load balancers depend on what: the way from an event to those that must be looked at."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from octavia_ovn.core.multimap import MultiMap


class Index:
    """An inverted index from things (a switch, a router, a port, a backend) to load balancers."""

    def __init__(self) -> None:
        self._things: dict[str, frozenset[Hashable]] = {}
        self._dependants: MultiMap[Hashable, str] = MultiMap()
        self._leaving: set[str] = set()

    def set(
        self, lb_id: str, things: Iterable[Hashable], former: Iterable[Hashable] = ()
    ) -> frozenset[Hashable]:
        """Say all that a load balancer depends on now; return what nobody depends on any more.

        :param former: what one that is leaving has depended on until now, though that was never
            said here; counts the first time only
        """
        new, old = frozenset(things), self._things.get(lb_id, frozenset())
        if new or not former:
            self._leaving.discard(lb_id)
        elif lb_id not in self._leaving:
            self._leaving.add(lb_id)
            old = old.union(former)
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

    def begin(self) -> None:
        """Forget who is leaving: what has been given back may have been taken again since."""
        self._leaving.clear()

    def of(self, thing: Hashable) -> frozenset[str]:
        """Return the load balancers that depend on a thing."""
        return frozenset(self._dependants.of(thing))

    def load_balancers(self) -> frozenset[str]:
        """Return the load balancers that depend on anything."""
        return frozenset(self._things)
