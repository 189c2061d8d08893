# SPDX-License-Identifier: Apache-2.0
"""Address sets of the Southbound database: members of security groups and of address groups.

ovn-northd makes those of port groups, and copies the others: what is here is what OVN enforces. The
replica opens with the first set that is requested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from octavia_ovn.adapters.ovsdb.idl import contents
from octavia_ovn.adapters.ovsdb.named_rows import NamedRows
from octavia_ovn.core.dependencies import Dependency, Resource

if TYPE_CHECKING:
    import ovs.poller

    from octavia_ovn.adapters.ovsdb.named_rows import OnChange
    from octavia_ovn.adapters.ovsdb.replica import Replica

TABLE = "Address_Set"
TABLES = {TABLE: ("name", "addresses")}
NOTHING: dict[str, list[object]] = {TABLE: []}
"""The initial conditions: no rows."""


class AddressSets:
    """The sets that callers have requested.

    :param open_: makes the replica, given the callback for its events; returns None as long as the
        database has not been reached
    :param changed: called with a dependency when a set has changed, or is known now
    """

    def __init__(
        self,
        open_: Callable[[OnChange], Replica | None],
        changed: Callable[[Dependency], None],
    ) -> None:
        self._rows = NamedRows(
            TABLE, open_, lambda name: changed(Dependency(Resource.ADDRESS_SET, name))
        )

    def addresses(self, name: str) -> frozenset[str] | None:
        """Return addresses and networks: none of a set that does not exist; None if unknown."""
        if not self._rows.known([name]):
            return None
        found = self._rows.find(name)
        return frozenset(each for row in found for each in contents(row, "addresses"))

    def forget(self, name: str) -> None:
        """Stop following a set."""
        self._rows.forget(name)

    def run(self) -> None:
        """Process what the server has sent."""
        self._rows.run()

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        self._rows.wait(poller)

    def close(self) -> None:
        """Disconnect."""
        self._rows.close()
