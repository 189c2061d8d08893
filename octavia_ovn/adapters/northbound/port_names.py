# SPDX-License-Identifier: Apache-2.0
"""Switch ports of which only the name is needed, in a replica of their own.

When the conditions of a replica change, the server examines each port in the cloud and serves no
other client meanwhile. Conditions that only compare names cost it 0.2 s at 50,000 ports, for any
number of names. With a single condition of another kind, as for the ports of a switch, it tries one
after the other: 5 s with 1,000 names (measured, OVN 23.03).

For the same reason, a port that is no longer needed is released only with the next change.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from octavia_ovn.adapters.ovsdb.replica import Replica
from octavia_ovn.core.dependencies import Dependency, Resource

if TYPE_CHECKING:
    import ovs.poller

    OnChange = Callable[[str, str, Any, Any], None]

TABLE = "Logical_Switch_Port"
TABLES = {TABLE: ("name",)}
NOTHING = {TABLE: list[object]()}
"""The initial conditions: no rows."""


class NamedPorts:
    """The ports that callers have requested.

    :param open_: makes the replica, given the callback for its events; called when the
        first port is requested
    :param changed: called with a dependency when a port was created, changed or deleted, or when it
        is known now
    """

    def __init__(
        self, open_: Callable[[OnChange], Replica], changed: Callable[[Dependency], None]
    ) -> None:
        self._open = open_
        self._changed = changed
        self._replica: Replica | None = None
        self._wanted: set[str] = set()
        self._asked: set[str] = set()
        self._awaited: set[str] = set()

    def existing(self, names: Collection[str]) -> frozenset[str] | None:
        """Return which of some ports exist; None while they are being fetched."""
        self._wanted.update(names)
        new = self._wanted - self._asked
        if new:
            self._asked = set(self._wanted)
            self._awaited = (self._awaited | new) & self._asked
            self._restrict()
        if not self._awaited.isdisjoint(names):
            return None
        return frozenset(name for name in names if self.find(name))

    def forget(self, name: str) -> None:
        """Stop following a port."""
        self._wanted.discard(name)

    def find(self, name: str) -> list[uuid.UUID]:
        """Return the UUID of a port's row, if it is known."""
        found = self._replica.find(TABLE, "name", name) if self._replica else ()
        return [row.uuid for row in found]

    def name(self, identity: uuid.UUID) -> str | None:
        """Return the name of a port, None of one that was not requested."""
        row = self._replica.get(TABLE, identity) if self._replica else None
        return None if row is None else str(row.name)

    def _restrict(self) -> None:
        if self._replica is None:
            self._replica = self._open(
                lambda _, __, row, ___: self._changed(Dependency(Resource.PORT, row.name))
            )
            self._replica.index_create(TABLE, "name")
        self._replica.restrict(TABLE, [["name", "==", name] for name in sorted(self._asked)])

    def run(self) -> None:
        """Process what the server has sent."""
        if self._replica is None:
            return
        self._replica.run()
        if self._awaited and self._replica.is_restricted(TABLE):
            awaited, self._awaited = self._awaited, set()
            for name in sorted(awaited):
                self._changed(Dependency(Resource.PORT, name))

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        if self._replica is not None:
            self._replica.wait(poller)

    def close(self) -> None:
        """Disconnect."""
        if self._replica is not None:
            self._replica.close()
