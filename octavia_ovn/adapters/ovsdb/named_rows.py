# SPDX-License-Identifier: Apache-2.0
"""Single rows of a table, by name, in a replica of their own that opens with the first of them.

Conditions that only compare names cost the server 0.2 s at 50,000 ports, for any number of names.
With a single condition of another kind, as for the ports of a switch, it tries one after the
other: 5 s with 1,000 names (measured, OVN 23.03).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from octavia_ovn.adapters.ovsdb.replica import Replica
from octavia_ovn.adapters.ovsdb.wanted_rows import WantedRows

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
        self._wanted = WantedRows[str](table, lambda name: ["name", "==", name])

    def known(self, names: Collection[str]) -> bool:
        """Have some rows replicated; return whether it is known which of them exist."""
        known = self._wanted.known(names)
        if not known and self.replica is None:
            self._connect()
        return known

    def forget(self, name: str) -> None:
        """Stop following a row."""
        self._wanted.forget(name)

    def find(self, name: str) -> list[Any]:
        """Return the row of a name, if it is known."""
        return list(self.replica.find(self._table, "name", name)) if self.replica else []

    def _connect(self) -> None:
        self.replica = self._open(self._event)
        if self.replica is not None:
            self.replica.index_create(self._table, "name")

    def _event(self, table: str, _: str, row: Any, __: Any) -> None:
        if table == self._table:
            self._changed(row.name)

    def run(self) -> None:
        """Process what the server has sent."""
        if self.replica is None and self._wanted:
            self._connect()
        if self.replica is None:
            return
        for name in self._wanted.run(self.replica):
            self._changed(name)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        if self.replica is not None:
            self._wanted.wait(self.replica, poller)

    def close(self) -> None:
        """Disconnect."""
        if self.replica is not None:
            self.replica.close()
