# SPDX-License-Identifier: Apache-2.0
"""In-memory tables with row locks and transactions, as Octavia's SQL has.

Only what decides how driver statuses and API transactions meet is modelled:

* an UPDATE or DELETE waits while another transaction has written, inserted
  or locked that row, until it commits or rolls back;
* a plain read sees committed rows only, and never waits;
* an UPDATE of a row whose INSERT is not committed yet waits for it (MySQL,
  InnoDB) or finds no such row and changes nothing (PostgreSQL).
"""

import collections
import itertools
import threading
import time

MYSQL = "mysql"
POSTGRESQL = "postgresql"
LOCK_WAIT_TIMEOUT = 50.0  # innodb_lock_wait_timeout

PARENTS = ("load_balancer_id", "pool_id", "default_pool_id", "listener_id", "l7policy_id")
TABLES = (
    "loadbalancers", "listeners", "pools", "members", "healthmonitors", "l7policies", "l7rules",
)  # fmt: skip


class LockTimeout(Exception):
    """Waited too long for a row lock."""


class Store:
    """The committed rows: {table: {id: {column: value}}}."""

    def __init__(self, flavor=MYSQL):
        self.flavor = flavor
        self._tables = {table: collections.OrderedDict() for table in TABLES}
        self._locks = {}
        self._changed_at = {}
        self._children = {}
        self.changed = threading.Condition()

    def begin(self):
        return Transaction(self)

    def get(self, table, row_id):
        """Return a copy of a committed row, or None."""
        with self.changed:
            row = self._tables[table].get(row_id)
            return dict(row) if row else None

    def find(self, table, **filters):
        """Return copies of the committed rows that match, oldest first."""
        with self.changed:
            return [dict(row) for row in self._matching(table, filters)]

    def page(self, table, size, marker=None, **filters):
        """Return copies of the next rows that match and are not DELETED, and one more.

        :param size: how many, None for all
        :param marker: the id of the row before them; None for the first ones
        """
        with self.changed:
            rows = self._matching(table, filters)
            if marker is not None:
                any(row["id"] == marker for row in rows)  # the rest is behind it
            found = (dict(row) for row in rows if row["provisioning_status"] != "DELETED")
            return list(itertools.islice(found, None if size is None else size + 1))

    def _matching(self, table, filters):
        rows = self._tables[table]
        column = next((each for each in PARENTS if filters.get(each) is not None), None)
        if column:
            # Octavia has indexes on its foreign keys, too.
            ids = self._children.get((table, column, filters[column]), ())
            rows = {row_id: rows[row_id] for row_id in ids}
        return (row for row in rows.values() if matches(row, filters))

    def changed_at(self, table, row_id):
        """Return when a row was last written, in seconds since 1970."""
        return self._changed_at.get((table, row_id), 0.0)

    def load(self, tables):
        """Put rows there that were committed long ago: {table: [row]}."""
        with self.changed:
            for table, rows in tables.items():
                for row in rows:
                    self._index(table, row["id"], {}, row)
                    self._tables[table][row["id"]] = row

    # For Transaction

    def lock(self, owner, table, row_id):
        """Take the row lock; False when there is no such row to lock."""
        key = (table, row_id)
        deadline = time.monotonic() + LOCK_WAIT_TIMEOUT
        with self.changed:
            while self._locks.get(key) not in (None, owner):
                if self.flavor == POSTGRESQL and row_id not in self._tables[table]:
                    return False
                if not self.changed.wait(deadline - time.monotonic()):
                    raise LockTimeout(f"Lock wait timeout on {table} {row_id}")
            if row_id not in self._tables[table] and not owner.wrote(key):
                return False
            self._locks[key] = owner
            return True

    def lock_new(self, owner, table, row_id):
        with self.changed:
            self._locks[(table, row_id)] = owner

    def finish(self, owner, writes):
        """Apply the writes, release the locks of owner and wake waiters."""
        with self.changed:
            for (table, row_id), columns in writes.items():
                rows = self._tables[table]
                self._index(table, row_id, rows.get(row_id, {}), columns)
                if columns is None:
                    rows.pop(row_id, None)
                else:
                    rows.setdefault(row_id, {}).update(columns)
                    self._changed_at[table, row_id] = time.time()
            self._locks = {
                key: holder for key, holder in self._locks.items() if holder is not owner
            }
            self.changed.notify_all()

    def _index(self, table, row_id, before, columns):
        """Keep the way from parents to children; oldest first, as long as no parent changes."""
        for column in PARENTS:
            old = before.get(column)
            new = None if columns is None else columns.get(column, old)
            if old == new:
                continue
            self._children.get((table, column, old), {}).pop(row_id, None)
            if new is not None:
                self._children.setdefault((table, column, new), {})[row_id] = None


class Transaction:
    """One SQL transaction; as a context manager it commits or rolls back."""

    def __init__(self, store):
        self._store = store
        self._writes = {}

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, trace):
        if exc_type:
            self.rollback()
        else:
            self.commit()

    def commit(self):
        self._store.finish(self, self._writes)

    def rollback(self):
        self._writes.clear()
        self._store.finish(self, {})

    def pending(self):
        """Return (table, id) of the rows that it leaves in a PENDING status."""
        return frozenset(
            key
            for key, columns in self._writes.items()
            if (columns or {}).get("provisioning_status", "").startswith("PENDING")
        )

    def wrote(self, key):
        return self._writes.get(key) is not None

    def lock(self, table, row_id):
        """SELECT ... FOR UPDATE."""
        return self._store.lock(self, table, row_id)

    def insert(self, table, row):
        self._store.lock_new(self, table, row["id"])
        self._writes[(table, row["id"])] = dict(row)

    def update(self, table, row_id, **columns):
        """Return whether there was such a row."""
        if not self.lock(table, row_id):
            return False
        self._writes.setdefault((table, row_id), {}).update(columns)
        return True

    def delete(self, table, row_id):
        if not self.lock(table, row_id):
            return False
        self._writes[(table, row_id)] = None
        return True

    def get(self, table, row_id):
        """Read a row as this transaction sees it."""
        row = self._store.get(table, row_id)
        key = (table, row_id)
        if key not in self._writes:
            return row
        own = self._writes[key]
        return None if own is None else {**(row or {}), **own}

    def find(self, table, **filters):
        parents = {column: filters[column] for column in PARENTS if column in filters}
        rows = {row["id"]: row for row in self._store.find(table, **parents)}
        for (written, row_id), own in self._writes.items():
            if written == table:
                inserted = own is not None and "id" in own
                rows[row_id] = own if inserted else self.get(table, row_id)
        return [dict(row) for row in rows.values() if row and matches(row, filters)]


def matches(row, filters):
    return all(row.get(column) == value for column, value in filters.items())
