# SPDX-License-Identifier: Apache-2.0
"""Writes in a transaction of the agent's replica, checked against the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ovs.db.data
import ovs.db.error
import ovs.db.idl

from octavia_ovn.errors import Refused

if TYPE_CHECKING:
    from octavia_ovn.adapters.ovsdb.idl import ReportingIdl, Row


class Txn:
    """The writes of a plan. Reads and `row.verify(column)` are done on the rows themselves.

    The IDL logs a value that a column does not allow, and continues without it; here it is Refused.
    """

    def __init__(self, transaction: Any, idl: ReportingIdl) -> None:
        self._transaction = transaction
        self._idl = idl

    def insert(self, table: str, **columns: object) -> Row:
        """Add a row and return it; other rows may refer to it at once."""
        row = self._transaction.insert(self._idl.tables[table])
        for column, value in columns.items():
            self.set(row, column, value)
        return row

    def delete(self, row: Row) -> None:
        """Delete a row of a root table; others vanish with the last reference to them."""
        row.delete()

    def set(self, row: Row, column: str, value: object) -> None:
        """Replace the value of a column."""
        datum = _check(row, column, value)
        if column in self._idl.readonly.get(row._table.name, ()):
            # The library calls columns that are not replicated read-only.
            self._transaction._write(row, row._table.columns[column], datum)
        else:
            setattr(row, column, value)

    def setkey(self, row: Row, column: str, key: object, value: object) -> None:
        """Set one key of a map, independently of the others."""
        _check(row, column, {key: value})
        row.setkey(column, key, value)

    def delkey(self, row: Row, column: str, key: object) -> None:
        """Delete one key of a map, independently of the others."""
        row.delkey(column, key)

    def addvalue(self, row: Row, column: str, value: object) -> None:
        """Add an item to a set, independently of the others."""
        _check(row, column, [value])
        row.addvalue(column, value)

    def delvalue(self, row: Row, column: str, value: object) -> None:
        """Remove an item from a set, independently of the others."""
        _check(row, column, [value])
        row.delvalue(column, value)


def _check(row: Row, column: str, value: object) -> Any:
    """Return a value as the library wants it; raise Refused if the schema does not allow it."""
    table = row._table  # the IDL offers no public way to a row's table
    if column not in table.columns:
        raise Refused(f"{table.name} is replicated without a column {column}")
    try:
        return ovs.db.data.Datum.from_python(table.columns[column].type, value, _uuid)
    except ovs.db.error.Error as error:
        raise Refused(f"{table.name}.{column} cannot hold {value!r}: {error}") from error


def _uuid(value: Any) -> Any:
    return value.uuid if isinstance(value, ovs.db.idl.Row) else value
