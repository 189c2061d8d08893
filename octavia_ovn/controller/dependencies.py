# SPDX-License-Identifier: Apache-2.0
"""Which load balancers depend on a resource: those that an event concerns."""

from __future__ import annotations

from collections.abc import Iterable

from octavia_ovn.core.dependencies import Dependency
from octavia_ovn.core.multimap import MultiMap


class Index:
    """An inverted index from dependencies to load balancers."""

    def __init__(self) -> None:
        self._dependencies: dict[str, tuple[Dependency, ...]] = {}  # sets are five times larger
        self._dependants: MultiMap[Dependency, str] = MultiMap()
        self._deleted: set[str] = set()

    def set(
        self, lb_id: str, dependencies: Iterable[Dependency], former: Iterable[Dependency] = ()
    ) -> frozenset[Dependency]:
        """Set what a load balancer depends on; return what no load balancer depends on any more.

        :param former: what a load balancer that is being deleted depended on, though it was never
            set here; counts the first time only
        """
        new, old = frozenset(dependencies), frozenset(self._dependencies.get(lb_id, ()))
        if new or not former:
            self._deleted.discard(lb_id)
        elif lb_id not in self._deleted:
            self._deleted.add(lb_id)
            old = old.union(former)
        abandoned = set()
        for dependency in old - new:
            self._dependants.discard(dependency, lb_id)
            if dependency not in self._dependants:
                abandoned.add(dependency)
        for dependency in new - old:
            self._dependants.add(dependency, lb_id)
        if new:
            self._dependencies[lb_id] = tuple(new)
        else:
            self._dependencies.pop(lb_id, None)
        return frozenset(abandoned)

    def begin(self) -> None:
        """Forget which load balancers are being deleted: what was released may be in use again."""
        self._deleted.clear()

    def of(self, dependency: Dependency) -> frozenset[str]:
        """Return the load balancers that depend on a resource."""
        return frozenset(self._dependants.of(dependency))

    def load_balancers(self) -> frozenset[str]:
        """Return the load balancers that depend on anything."""
        return frozenset(self._dependencies)
