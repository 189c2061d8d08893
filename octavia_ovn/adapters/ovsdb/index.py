# SPDX-License-Identifier: Apache-2.0
"""An index over the rows of the `ovs` library's IDL that survives failed transactions.

The library's own sorted index (`ovs.db.custom_index`) compares in Python for every insertion, and
raises from within `Idl.run` when a transaction that changed an indexed column failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ovs.db.custom_index

from octavia_ovn.core.multimap import MultiMap

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

    from octavia_ovn.adapters.ovsdb.idl import Row


class EqualityIndex:
    """Finds rows by a column of strings or a map, and remembers the values of each row.

    It is kept in `table.rows.indexes`, where the library calls `add`, `remove` and `clear`.

    :param column: of a set, each item is found; of a map, each value
    :param rows: rows to start with
    """

    def __init__(self, column: str, rows: Iterable[Row] = ()) -> None:
        self._column = column
        ascending = ovs.db.custom_index.OVSDB_INDEX_ASC
        self.columns = [ovs.db.custom_index.ColumnIndex(column, ascending, None)]
        self._identities: MultiMap[str, uuid.UUID] = MultiMap()
        self._values: dict[uuid.UUID, tuple[str, ...]] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Add a row; one without a value yet is added again later."""
        value = getattr(row, self._column, None)
        if value is None:
            return
        self.remove(row)
        if isinstance(value, dict):
            value = value.values()
        values = (value,) if isinstance(value, str) else tuple(value)
        self._values[row.uuid] = values
        for item in values:
            self._identities.add(item, row.uuid)

    def remove(self, row: Row) -> None:
        """Remove a row."""
        for item in self._values.pop(row.uuid, ()):
            self._identities.discard(item, row.uuid)

    def clear(self) -> None:
        """Remove all rows."""
        self._identities = MultiMap()
        self._values.clear()

    def find(self, value: str) -> Iterable[uuid.UUID]:
        """Return the UUIDs of the rows with this value."""
        return self._identities.of(value)


def reindex(rows: Iterable[Row]) -> None:
    """Index rows again after a transaction, whose end undoes its changes."""
    for row in rows:
        table = row._table
        for index in table.rows.indexes.values():
            if row.uuid in table.rows:
                index.add(row)
            else:
                index.remove(row)
