# SPDX-License-Identifier: Apache-2.0
"""The IDL of the `ovs` library over :class:`Channel`, with all changes as events.

The library reports what a server sends while the connection lasts. After a reconnection it reports
every row as created and does not report deleted ones; here a resynchronisation is reported as the
changes since the last connection.
"""

from __future__ import annotations

import collections
import gc
import json
import uuid
from typing import TYPE_CHECKING, Any

import ovs.db.data
import ovs.db.idl
import ovs.db.types

from octavia_ovn.adapters.ovsdb import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octavia_ovn.adapters.ovsdb.channel import Channel

    Row = Any  # ovs.db.idl.Row: its attributes are the columns

CREATE: str = ovs.db.idl.ROW_CREATE
UPDATE: str = ovs.db.idl.ROW_UPDATE
DELETE: str = ovs.db.idl.ROW_DELETE


class ReplicaRow(ovs.db.idl.Row):  # type: ignore[misc]  # the library is untyped
    """A row of the library whose columns are read without the library's objects."""

    def __getattr__(self, column: str) -> Any:
        """Return a column as the library does."""
        if self._changes == {} and self._mutations == {}:
            found = self._table.columns.get(column)
            if found is not None and not _has_references(found.type):
                value = contents(self, column)
                return sorted(value) if isinstance(value, list) else value
        return super().__getattr__(column)


class Columns(ovs.db.idl.ColumnDefaultDict):  # type: ignore[misc]  # the library is untyped
    """The columns of a row, kept as Python values; each read makes a `Datum` for the library.

    The library's objects are needed only when a row changes. Measured on 10,000 load balancers of
    10 members: to make and keep them takes three times the CPU and twice the memory.
    """

    __slots__ = ()

    def __getitem__(self, column: str) -> Any:
        """Return a column as the library has it."""
        type_ = self._table.columns[column].type
        if not self.has_value(column):
            return _default(type_)
        value = self.plain(column)
        return ovs.db.data.Datum(type_, dict(_atoms(type_, value)))

    def __setitem__(self, column: str, datum: Any) -> None:
        """Set a column to what the library has made."""
        self.put(column, _plain(datum))

    def get(self, column: str, default: Any = None) -> Any:
        """Return a column as the library has it; a default value if the server sent none."""
        return self[column] if self.has_value(column) else default

    def has_value(self, column: str) -> bool:
        """Whether the server has sent this column."""
        return dict.__contains__(self, column)

    def put(self, column: str, value: Any) -> None:
        """Set a column to a Python value."""
        dict.__setitem__(self, column, value)

    def plain(self, column: str) -> Any:
        """Return a column as :func:`contents` does; it must not be changed."""
        if self.has_value(column):
            return dict.__getitem__(self, column)
        return _plain(self[column])


class ReportingIdl(ovs.db.idl.Idl):  # type: ignore[misc]  # the library is untyped
    """The library's IDL that queues changes until the replica processes them.

    The methods with the library's private names replace its own; if a version has no such method,
    rows are slower and larger, and else the same.

    :param channel: the connection, instead of the library's own
    :param helper: the library's `SchemaHelper`: which tables and columns to replicate
    """

    _session: Any

    def __init__(self, channel: Channel, helper: Any) -> None:
        super().__init__(channel.get_name(), helper)
        self._session.close()
        self._session = channel
        self.events: collections.deque[tuple[str, str, Row, Row | None]] = collections.deque()
        """Table, `create`, `update` or `delete`, the row, and its previous values of an update."""
        self._known: dict[str, dict[uuid.UUID, Row]] = {table: {} for table in self.tables}

    def run(self) -> bool:
        """Process messages; see the library.

        Meanwhile no garbage is collected: while a large message is decoded, all rows would be
        searched again and again, a fifth of the CPU.
        """
        enabled = gc.isenabled()
        gc.disable()
        try:
            return bool(super().run())
        finally:
            if enabled:
                gc.enable()

    @classmethod
    def decoder(cls) -> json.JSONDecoder:
        """Return what the channel decodes messages with."""
        replaced = [each for each in vars(cls) if each.startswith("_Idl__")]
        compact = all(hasattr(ovs.db.idl.Idl, each) for each in replaced)
        return wire.RowDecoder() if compact else wire.PLAIN

    def _Idl__create_row(self, table: Any, identity: uuid.UUID) -> Row:  # noqa: N802
        return ReplicaRow(self, table, identity, Columns(table))

    def _Idl__add_default(self, table: Any, row_update: Any) -> None:  # noqa: N802
        """Do nothing: :class:`Columns` knows the default values."""

    def _Idl__row_update(self, table: Any, row: Row, row_json: dict[str, Any]) -> bool:  # noqa: N802
        """Set the columns of a row; return whether anything has changed."""
        if not isinstance(row_json, wire.NewRow):
            return bool(super()._Idl__row_update(table, row, row_json))
        for column, value in row_json.items():
            row._data.put(column, _from_wire(table.columns[column].type, value))
        return True

    def notify(self, event: str, row: Row, updates: Row | None = None) -> None:
        """Queue an event; the library calls it.

        After a reconnection the library reports every row as created, so each one is compared with
        the known row.
        """
        table = row._table
        known = self._known.get(table.name)
        if known is None:
            return  # older libraries report the database _Server, too
        if event == DELETE:
            known.pop(row.uuid, None)
        elif event == CREATE:
            previous = known.get(row.uuid)
            known[row.uuid] = row
            if previous is not None:
                if _same(previous, row):
                    return
                event, updates = UPDATE, previous
        self.events.append((table.name, event, row, updates))

    def report_vanished(self) -> None:
        """Queue the deletions of the time without a connection."""
        for name, known in self._known.items():
            rows = self.tables[name].rows
            for identity in [identity for identity in known if identity not in rows]:
                self.events.append((name, DELETE, known.pop(identity), None))


def _same(one: Row, other: Row) -> bool:
    """Whether two rows of a table have the same contents."""
    return all(
        contents(one, column) == contents(other, column) or one._data[column] == other._data[column]
        for column in one._table.columns
    )


def contents(row: Row, column: str) -> Any:
    """Return what the server has in a column: a dict of a map, a list of a set, else the value.

    References are UUIDs. Unlike the library's attributes it is the same in a transaction.
    """
    data = row._data
    value = data.plain(column) if isinstance(data, Columns) else _plain(data[column])
    return value.copy() if isinstance(value, dict | list) else value


def _plain(datum: Any) -> Any:
    """Return the Python value of the library's `Datum`."""
    if datum.type.is_map():
        return {key.value: value.value for key, value in datum.values.items()}
    values = [key.value for key in datum.values]
    return values[0] if datum.type.is_scalar() else values


def _default(type_: Any) -> Any:
    """Return the default value of a column as the library has it.

    The library wraps that of a scalar twice, and cannot compare it with what a server has.
    """
    datum = ovs.db.data.Datum.default(type_)
    if not type_.is_scalar():
        return datum
    (atom,) = datum.values
    twice = isinstance(atom.value, ovs.db.data.Atom)
    return ovs.db.data.Datum(type_, {atom.value: None}) if twice else datum


def _atoms(type_: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what the library makes of a Python value."""
    atom = ovs.db.data.Atom
    if isinstance(value, dict):
        for key, each in value.items():
            yield atom(type_.key.type, key), atom(type_.value.type, each)
    else:
        for each in value if isinstance(value, list) else [value]:
            yield atom(type_.key.type, each), None


def _has_references(type_: Any) -> bool:
    return any(base and base.type == ovs.db.types.UuidType for base in (type_.key, type_.value))


def _from_wire(type_: Any, value: Any) -> Any:
    """Return the Python value of what `wire.decode` has returned: the schema tells the rest."""
    if not (type_.is_map() or type_.is_scalar() or isinstance(value, list)):
        value = [value]
    if type_.key.type != ovs.db.types.UuidType:
        return value
    return [uuid.UUID(each) for each in value] if isinstance(value, list) else uuid.UUID(value)
