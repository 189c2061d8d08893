# SPDX-License-Identifier: Apache-2.0
"""Single rows of a table, by name, in a replica of their own that opens with the first of them.

When the conditions of a replica change, the server examines each row of the table and serves no
other client meanwhile. Conditions that only compare names cost it 0.2 s at 50,000 ports, for any
number of names. With a single condition of another kind, as for the ports of a switch, it tries one
after the other: 5 s with 1,000 names (measured, OVN 23.03).

For the same reason, a row that is no longer needed is released only with the next change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from octavia_ovn.adapters.ovsdb.replica import Replica

if TYPE_CHECKING:
    import ovs.poller

    OnChange = Callable[[str, str, Any, Any], None]


class NamedRows:
    """The rows that callers have requested.

    :param table: has a column `name`
    :param open_: makes the replica, given the callback for its events; called when the
        first row is requested, and again as long as it returns None
    :param changed: called with a name when its row was created, changed or deleted, or when it is
        known now
    """

    def __init__(
        self,
        table: str,
        open_: Callable[[OnChange], Replica | None],
        changed: Callable[[str], None],
    ) -> None:
        self.replica: Replica | None = None
        self._table = table
        self._open = open_
        self._changed = changed
        self._wanted: set[str] = set()
        self._asked: set[str] = set()
        self._awaited: set[str] = set()

    def known(self, names: Collection[str]) -> bool:
        """Have some rows replicated; return whether it is known which of them exist."""
        self._wanted.update(names)
        new = self._wanted - self._asked
        if new:
            self._asked = set(self._wanted)
            self._awaited = (self._awaited | new) & self._asked
            self._restrict()
        return self._awaited.isdisjoint(names)

    def forget(self, name: str) -> None:
        """Stop following a row."""
        self._wanted.discard(name)

    def find(self, name: str) -> list[Any]:
        """Return the row of a name, if it is known."""
        return list(self.replica.find(self._table, "name", name)) if self.replica else []

    def _restrict(self) -> None:
        if self.replica is None:
            self.replica = self._open(self._event)
            if self.replica is None:
                return
            self.replica.index_create(self._table, "name")
        conditions = [["name", "==", name] for name in sorted(self._asked)]
        self.replica.restrict(self._table, conditions)

    def _event(self, table: str, _: str, row: Any, __: Any) -> None:
        if table == self._table:
            self._changed(row.name)

    def run(self) -> None:
        """Process what the server has sent."""
        if self.replica is None and self._asked:
            self._restrict()
        if self.replica is None:
            return
        self.replica.run()
        if self._awaited and self.replica.is_restricted(self._table):
            awaited, self._awaited = self._awaited, set()
            for name in sorted(awaited):
                self._changed(name)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        if self.replica is not None:
            self.replica.wait(poller)

    def close(self) -> None:
        """Disconnect."""
        if self.replica is not None:
            self.replica.close()
