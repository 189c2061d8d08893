# SPDX-License-Identifier: Apache-2.0
"""The IDL of the `ovs` library over :class:`Channel`, with all changes as events.

The library reports what a server sends while the connection lasts. After a reconnection it reports
every row as created and does not report deleted ones; here a resynchronisation is reported as the
changes since the last connection.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import ovs.db.idl

if TYPE_CHECKING:
    import uuid

    from octavia_ovn.adapters.ovsdb.channel import Channel

    Row = Any  # ovs.db.idl.Row: its attributes are the columns

CREATE: str = ovs.db.idl.ROW_CREATE
UPDATE: str = ovs.db.idl.ROW_UPDATE
DELETE: str = ovs.db.idl.ROW_DELETE


class ReportingIdl(ovs.db.idl.Idl):  # type: ignore[misc]  # the library is untyped
    """The library's IDL that queues changes until the replica processes them.

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
    return all(one._data[column] == other._data[column] for column in one._table.columns)


def contents(row: Row, column: str) -> Any:
    """Return what the server has in a column: a dict of a map, else a list; references as UUIDs.

    The library's attributes convert a value forth and back on every access, so that changes of an
    open transaction show: six times as slow, and in proportion to the load balancers on a switch.
    """
    datum = row._data[column]
    if datum.type.is_map():
        return {key.value: value.value for key, value in datum.values.items()}
    return [key.value for key in datum.values]
