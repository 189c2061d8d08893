# SPDX-License-Identifier: Apache-2.0
"""Switch ports of which only the name is needed, in a replica of their own.

See :mod:`octavia_ovn.adapters.ovsdb.named_rows` for the reason.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from octavia_ovn.adapters.ovsdb.named_rows import NamedRows
from octavia_ovn.core.dependencies import Dependency, Resource

if TYPE_CHECKING:
    import ovs.poller

    from octavia_ovn.adapters.ovsdb.named_rows import OnChange
    from octavia_ovn.adapters.ovsdb.replica import Replica

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
        self._rows = NamedRows(TABLE, open_, lambda name: changed(Dependency(Resource.PORT, name)))

    def existing(self, names: Collection[str]) -> frozenset[str] | None:
        """Return which of some ports exist; None while they are being fetched."""
        if not self._rows.known(names):
            return None
        return frozenset(name for name in names if self.find(name))

    def forget(self, name: str) -> None:
        """Stop following a port."""
        self._rows.forget(name)

    def find(self, name: str) -> list[uuid.UUID]:
        """Return the UUID of a port's row, if it is known."""
        return [row.uuid for row in self._rows.find(name)]

    def name(self, identity: uuid.UUID) -> str | None:
        """Return the name of a port, None of one that was not requested."""
        replica = self._rows.replica
        row = replica.get(TABLE, identity) if replica else None
        return None if row is None else str(row.name)

    def run(self) -> None:
        """Process what the server has sent."""
        self._rows.run()

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        self._rows.wait(poller)

    def close(self) -> None:
        """Disconnect."""
        self._rows.close()
