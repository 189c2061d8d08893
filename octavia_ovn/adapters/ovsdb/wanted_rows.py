# SPDX-License-Identifier: Apache-2.0
"""Which rows of a table callers need, as the conditions of a replica.

When the conditions of a replica change, the server examines each row of the table and serves no
other client meanwhile, and a change consists of all conditions, not of the new ones. So there is
one change at a time: what is requested before the server has answered is in the next one. What is
no longer needed is released only with the next change, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from octavia_ovn.adapters.ovsdb.replica import Replica

if TYPE_CHECKING:
    import ovs.poller

K = TypeVar("K")


class WantedRows(Generic[K]):
    """The keys of rows that callers have requested.

    :param condition: returns the condition for a key, see :class:`Replica`
    :param always: conditions for the rows that are replicated besides
    """

    def __init__(
        self, table: str, condition: Callable[[K], list[Any]], always: Sequence[list[Any]] = ()
    ) -> None:
        self._table = table
        self._condition = condition
        self._always = always
        self._wanted: set[K] = set()
        self._new: set[K] = set()
        """Those of which the server has not been told yet."""
        self._asked: set[K] = set()
        self._awaited: set[K] = set()

    def known(self, keys: Collection[K]) -> bool:
        """Have some rows replicated; return whether it is known which of them exist."""
        self._wanted.update(keys)
        self._new.update(key for key in keys if key not in self._asked)
        return self._new.isdisjoint(keys) and self._awaited.isdisjoint(keys)

    def forget(self, key: K) -> None:
        """Release a row with the next change."""
        self._wanted.discard(key)
        self._new.discard(key)

    def __bool__(self) -> bool:
        """Whether any row has been requested."""
        return bool(self._wanted)

    def run(self, replica: Replica) -> Sequence[K]:
        """Run the replica with what is requested; return, once, what is known now."""
        if self._is_due():
            self._asked = set(self._wanted)
            self._awaited, self._new = self._new, set()
            conditions = map(self._condition, sorted(self._asked))  # type: ignore[type-var]
            replica.restrict(self._table, [*self._always, *conditions])
        replica.run()
        if not self._awaited or not replica.is_restricted(self._table):
            return ()
        awaited, self._awaited = self._awaited, set()
        return sorted(awaited)  # type: ignore[type-var]

    def wait(self, replica: Replica, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        if self._is_due():
            poller.immediate_wake()
        replica.wait(poller)

    def _is_due(self) -> bool:
        return bool(self._new) and not self._awaited
