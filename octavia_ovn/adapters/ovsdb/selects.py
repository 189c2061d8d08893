# SPDX-License-Identifier: Apache-2.0
"""Reads some rows of an OVSDB database in as few transactions as possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from octavia_ovn.adapters.ovsdb import wire
from octavia_ovn.adapters.ovsdb.session import OvsdbSession

Json = dict[str, Any]
Condition = Sequence[object]

_AT_ONCE = 200
"""Selects in one transaction; a server does nothing else meanwhile."""


class Selects:
    """Selects rows by many conditions at once.

    Every call may raise what :meth:`OvsdbSession.transact` raises.

    :param session: the connection
    """

    def __init__(self, session: OvsdbSession) -> None:
        self._session = session

    def any_of(
        self, table: str, conditions: Iterable[Condition], columns: Sequence[str]
    ) -> list[Json]:
        """Return the rows that fulfil one of some conditions, each row once.

        Columns that this server's schema lacks are left out of the rows.

        :param conditions: `(column, function, wire value)`
        """
        return self._selected(table, ([list(each)] for each in conditions), columns)

    def all(self, table: str, columns: Sequence[str]) -> list[Json]:
        """Return all rows of a table that has few."""
        return self._selected(table, [[]], columns)

    def with_uuid(self, table: str, uuids: Iterable[str], columns: Sequence[str]) -> list[Json]:
        """Return rows by their uuids."""
        conditions = [("_uuid", "==", wire.ovs_uuid(each)) for each in sorted(set(uuids))]
        return self.any_of(table, conditions, columns)

    def with_value(
        self, table: str, column: str, values: Iterable[str], columns: Sequence[str]
    ) -> list[Json]:
        """Return the rows whose column has one of some values."""
        conditions = [(column, "==", each) for each in sorted(set(values))]
        return self.any_of(table, conditions, columns)

    def referring(
        self, table: str, column: str, uuids: Iterable[str], columns: Sequence[str]
    ) -> dict[str, list[Json]]:
        """Return the rows that refer to others in a column, by the uuid that they refer to."""
        known = list(uuids)
        wheres = ([[column, "includes", wire.ovs_uuid(each)]] for each in known)
        return dict(zip(known, self._answers(table, wheres, columns), strict=True))

    def with_key(
        self, table: str, key: str, values: Iterable[str], columns: Sequence[str]
    ) -> list[Json]:
        """Return the rows that have one of some values at a key of their external_ids."""
        conditions = [
            ("external_ids", "includes", wire.ovs_map({key: each})) for each in sorted(set(values))
        ]
        return self.any_of(table, conditions, columns)

    def _selected(
        self, table: str, wheres: Iterable[Sequence[Condition]], columns: Sequence[str]
    ) -> list[Json]:
        """Return the rows that fulfil all conditions of one of some lists, each row once."""
        answers = self._answers(table, wheres, columns)
        return list({row["_uuid"]: row for rows in answers for row in rows}.values())

    def _answers(
        self, table: str, wheres: Iterable[Sequence[Condition]], columns: Sequence[str]
    ) -> Iterator[list[Json]]:
        """Yield the rows for each list of conditions."""
        schema = self._session.schema()
        known = [each for each in columns if schema.has_column(table, each)]
        operations = [
            {"op": "select", "table": table, "where": where, "columns": ["_uuid", *known]}
            for where in wheres
        ]
        for begin in range(0, len(operations), _AT_ONCE):
            for result in self._session.transact(operations[begin : begin + _AT_ONCE]):
                yield [schema.decode_row(table, row) for row in result["rows"]]
