# SPDX-License-Identifier: Apache-2.0
"""The agent's replica of a database: rows, their changes, a lock, and transactions on fresh rows.

A thin layer around the IDL of the `ovs` library. Not thread-safe: the agent's main loop owns it,
and all work is done in `run` and `transact`. The layer adds: columns that the server lacks are left
out, a resynchronisation is reported as changes, lookups by an index that survives failed
transactions, and transactions with a deadline.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import ovs.db.idl
import ovs.poller

from octavia_ovn.adapters.ovsdb import wire
from octavia_ovn.adapters.ovsdb.channel import MAX_BACKOFF, Channel
from octavia_ovn.adapters.ovsdb.idl import ReportingIdl
from octavia_ovn.adapters.ovsdb.index import EqualityIndex, reindex
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.adapters.ovsdb.transaction import Txn
from octavia_ovn.errors import Refused, Unanswered, Unavailable

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Mapping, Sequence

    from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
    from octavia_ovn.adapters.ovsdb.idl import Row
    from octavia_ovn.adapters.ovsdb.wire import Schema

    OnChange = Callable[[str, str, Row, "Row | None"], None]

LOG = logging.getLogger(__name__)

_PAUSE = 0.1  # seconds before the next attempt after an error of a cluster in election


class LockLost(Unavailable):
    """The OVSDB lock is not held, or not any more, so nothing was written."""


class Replica:
    """Some tables of a database, kept up to date.

    :param endpoint: the servers; of a cluster only the leader is used
    :param database: such as `OVN_Northbound`
    :param schema: of the server, see :func:`fetch_schema`
    :param tables: the columns of each table to replicate, those that the server lacks left out. A
        reference can be read only if the table that it leads to is replicated, too
    :param unread: for a table, columns that are only written: they are not replicated
    :param conditions: for a table, which rows to replicate, as conditions of RFC 7047 of which one
        must hold: `[["type", "==", "router"]]`
    :param lock: name of the lock without which nothing may be written
    :param probe_interval: milliseconds of silence after which the server is probed; 0 for never
    :param max_backoff: milliseconds between two attempts to connect at most
    :param on_change: called from `run` with table, `create`, `update` or `delete`, the row, and for
        an update a row of only the previous values, None where they are not known
    :param on_conflict: called when `transact` plans again because rows have changed meanwhile
    :param on_defect: called when `on_change` has raised, which has been logged
    :param required: tables (`NAT`) and columns (`Load_Balancer.selection_fields`) that must exist
    :raises Refused: something of `required` does not exist
    :raises BadConfiguration: the TLS files cannot be used
    """

    def __init__(  # noqa: PLR0913  # by keyword
        self,
        endpoint: Endpoint,
        database: str,
        schema: Schema,
        tables: Mapping[str, Sequence[str]],
        *,
        unread: Mapping[str, Sequence[str]] | None = None,
        conditions: Mapping[str, list[Any]] | None = None,
        lock: str | None = None,
        probe_interval: int = 0,
        max_backoff: int = MAX_BACKOFF,
        on_change: OnChange | None = None,
        on_conflict: Callable[[], None] | None = None,
        on_defect: Callable[[], None] | None = None,
        required: Collection[str] = (),
    ) -> None:
        self._schema = schema
        self._database = database
        self._endpoint = endpoint
        self._lock = lock
        self._on_change = on_change
        self._on_conflict = on_conflict
        self._on_defect = on_defect
        self._was_current = False
        self._indexed: set[tuple[str, str]] = set()
        self._require(required)
        self._channel = Channel(endpoint, probe_interval, max_backoff, ReportingIdl.decoder())
        self._idl = ReportingIdl(self._channel, self._helper(tables, unread or {}))
        for table, condition in (conditions or {}).items():
            if table in self._idl.tables:
                self._idl.cond_change(table, condition)
        if lock is not None:
            self._idl.set_lock(lock)
        self.synced = False
        """Whether the initial contents are there."""

    def run(self) -> bool:
        """Process what the server sent and call `on_change`; return whether anything changed."""
        before = self._idl.change_seqno
        self._pump()
        changed = bool(self._idl.events) or self._idl.change_seqno != before
        while self._idl.events:
            event = self._idl.events.popleft()
            self._tell(event)
        return changed

    def _tell(self, event: tuple[str, str, Row, Row | None]) -> None:
        """Report one change."""
        if self._on_change is None:
            return
        try:
            self._on_change(*event)
        # The changes after this one are of other rows, and are never reported again.
        except Exception:
            table, kind, row, _ = event
            LOG.exception("%s: %s of %s %s was not followed", self._database, kind, table, row.uuid)
            if self._on_defect is not None:
                self._on_defect()

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        if self._idl.events:
            poller.immediate_wake()
        self._idl.wait(poller)

    def close(self) -> None:
        """Disconnect; the server releases the lock."""
        self._idl.close()

    @property
    def connected(self) -> bool:
        """Whether the replica follows the server now."""
        return self._channel.is_connected() and self._idl.state == self._idl.IDL_S_MONITORING

    @property
    def has_lock(self) -> bool:
        """Whether this client holds the lock, as far as is known; transactions assert it."""
        return self.connected and bool(self._idl.has_lock)

    def has_column(self, table: str, column: str) -> bool:
        """Whether the server has this column."""
        return self._schema.has_column(table, column)

    def enum(self, table: str, column: str) -> frozenset[str]:
        """Return the strings that the server allows in a column; empty if it allows all."""
        return self._schema.enum(table, column)

    def rows(self, table: str) -> list[Row]:
        """Return all rows of a table; none of a table that the server lacks."""
        found = self._idl.tables.get(table)
        return list(found.rows.values()) if found else []

    def get(self, table: str, identity: uuid.UUID) -> Row | None:
        """Return the row with this UUID, None if there is none."""
        found = self._idl.tables.get(table)
        return found.rows.get(identity) if found else None

    def index_create(self, table: str, column: str) -> None:
        """Make `find` work for a column of strings or a map; before the first `run`."""
        found = self._idl.tables.get(table)
        if found and column in found.columns:
            self._indexed.add((table, column))
            found.rows.indexes[column] = EqualityIndex(column)

    def find(self, table: str, column: str, value: str) -> list[Row]:
        """Return the rows whose column is this string, or contains it: a set, a map as a value.

        :raises KeyError: there is no such index
        """
        found = self._idl.tables.get(table)
        if not found or column not in found.columns:
            return []
        if (table, column) in self._indexed and column not in found.rows.indexes:
            # The library before 3.6 loses indexes when it reloads contents.
            found.rows.indexes[column] = EqualityIndex(column, found.rows.values())
        return [found.rows[identity] for identity in found.rows.indexes[column].find(value)]

    def restrict(self, table: str, conditions: list[Any]) -> None:
        """Replicate the rows of other conditions from now on.

        :param table: its name
        :param conditions: see the class
        """
        self._idl.cond_change(table, conditions)

    def is_restricted(self, table: str) -> bool:
        """Whether the rows of the last `restrict` are there."""
        state = self._idl.tables[table].condition_state
        return self.connected and state.new is None and state.requested is None

    def transact(self, plan: Callable[[Txn], bool], timeout: float) -> bool:
        """Commit what `plan` writes; return whether there was anything to write.

        `plan` is called inside a transaction, and again with fresh rows when another client has
        changed a row that it has verified, or when the connection was lost meanwhile: it must not
        rely on earlier results. It returns False when there is nothing to do. After success the
        replica holds the result, and the next `run` calls `on_change`.

        :param plan: reads rows, calls `row.verify`, and changes them through the `Txn`
        :param timeout: seconds
        :raises LockLost: the replica was given a lock, and does not hold it
        :raises Unavailable: not connected in time, or another client was always faster
        :raises Unanswered: the server did not answer in time; it may have committed
        :raises Refused: the server, or the schema, does not allow the changes
        """
        deadline = time.monotonic() + timeout
        while True:
            if self._lock is not None and not self.has_lock:
                raise LockLost(f"{self._database}: the lock {self._lock} is not held")
            self._await(lambda: self.connected, deadline, "no connection")
            before = self._idl.change_seqno
            status, error = self._attempt(plan, deadline)
            if status == ovs.db.idl.Transaction.SUCCESS:
                return True
            if status == ovs.db.idl.Transaction.UNCHANGED:
                return False
            if self._judge(status, error):
                if self._on_conflict is not None:
                    self._on_conflict()
                self._await_change(before, deadline)

    def _attempt(self, plan: Callable[[Txn], bool], deadline: float) -> tuple[str, str]:
        """Run `plan` in a transaction and commit it; return the IDL's status and error."""
        transaction = ovs.db.idl.Transaction(self._idl)
        try:
            if not plan(Txn(transaction, self._idl)):
                return transaction.UNCHANGED, ""
            touched = list(transaction._txn_rows.values())
            transaction.commit()
            reindex(touched)
        finally:
            if self._idl.txn is transaction:  # nothing to do, or an exception
                touched = list(transaction._txn_rows.values())
                transaction.abort()
                reindex(touched)
        while transaction.commit() == transaction.INCOMPLETE:
            if time.monotonic() >= deadline:
                transaction.abort()
                self._channel.hang_up("a transaction was not answered in time")
                raise Unanswered(f"{self._database} at {self._endpoint}: no answer in time")
            self._step(deadline)
        return transaction.commit(), transaction.get_error()

    def _judge(self, status: str, error: str) -> bool:
        """Return whether to wait for fresh rows before trying again; raise if trying is no use."""
        if status == ovs.db.idl.Transaction.TRY_AGAIN:
            return True
        if status == ovs.db.idl.Transaction.NOT_LOCKED:
            raise LockLost(f"{self._database}: the lock {self._lock} is not held any more")
        failed = wire.library_failure(error)
        if failed.error not in ("cluster error", "not leader"):
            raise Refused(f"{self._database}: {failed.error}: {failed.details}")
        self._step(time.monotonic() + _PAUSE)
        return False

    def _await_change(self, before: int, deadline: float) -> None:
        self._await(lambda: self._idl.change_seqno != before, deadline, "no fresh rows")

    def _await(self, condition: Callable[[], bool], deadline: float, problem: str) -> None:
        """Process input until the condition holds; raise Unavailable at the deadline."""
        while not condition():
            if time.monotonic() >= deadline:
                cause = "" if self.connected else f" ({self._channel.last_error})"
                raise Unavailable(f"{self._database}: {problem} in time{cause}")
            self._step(deadline)

    def _step(self, deadline: float) -> None:
        """Wait for input, not longer than until the deadline, and process it."""
        poller = ovs.poller.Poller()
        self._idl.wait(poller)
        poller.timer_wait(max(0, 1 + int(1000 * (deadline - time.monotonic()))))
        poller.block()
        self._pump()

    def _pump(self) -> None:
        self._idl.run()
        current = self._idl.state == self._idl.IDL_S_MONITORING
        if current and not self._was_current:
            self.synced = True
            self._idl.report_vanished()
        self._was_current = current

    def _require(self, required: Collection[str]) -> None:
        for name in sorted(required):
            table, _, column = name.partition(".")
            exists = self.has_column(table, column) if column else self._schema.has_table(table)
            if not exists:
                kind = "column" if column else "table"
                raise Refused(
                    f"The server's {self._database} has no {kind} {name}: OVN is too old for this"
                )

    def _helper(
        self, tables: Mapping[str, Sequence[str]], unread: Mapping[str, Sequence[str]]
    ) -> Any:
        """Describe to the IDL which tables and columns to replicate."""
        helper = ovs.db.idl.SchemaHelper(None, self._schema.json)
        for table, columns in tables.items():
            existing = [column for column in columns if self.has_column(table, column)]
            missing = set(columns).difference(existing)
            if missing:
                LOG.info("%s has no %s.%s", self._database, table, ", ".join(sorted(missing)))
            if existing:
                written = [each for each in unread.get(table, ()) if self.has_column(table, each)]
                helper.register_columns(table, [*existing, *written], written)
        return helper


def fetch_schema(endpoint: Endpoint, database: str, timeout: float) -> Schema:
    """Ask a server for the schema of a database.

    :raises Unavailable: no server answered in time
    :raises Refused: the server has no such database
    """
    session = OvsdbSession(endpoint, database, timeout)
    try:
        return session.schema()
    finally:
        session.close()
