# SPDX-License-Identifier: Apache-2.0
"""An API call: a transaction and the driver in it, and what Octavia checks and marks first."""

import contextlib
import dataclasses
import time

from tests.lab import models
from tests.lab.errors import Conflict, NotFound
from tests.lab.octavia.committed import Committed

MUTABLE = ("ACTIVE",)
DELETABLE = ("ACTIVE", "ERROR")
KEPT = ("tags", "sni_container_refs")  # what Octavia does not hand over


@dataclasses.dataclass
class Operation:
    """One API call: what it made or changed, and how long it took."""

    name: str
    id: str | None = None
    lb_id: str | None = None
    pending: frozenset = frozenset()  # (table, id) of what it put into a PENDING status
    started: float = dataclasses.field(default_factory=time.monotonic)
    driver_seconds: float = 0.0  # loading the driver and calling it
    api_seconds: float = 0.0  # until the commit


class Call:
    """An API call under way: its transaction and its driver instance."""

    def __init__(self, operation, transaction, session, answered):
        self.operation = operation
        self.transaction = transaction
        self._session = session
        self._answered = answered

    def driver(self, method, *args, **kwargs):
        result = self._session.call(method, *args, **kwargs)
        self._answered(method)
        return result

    def existing(self, table, row_id):
        row = self.transaction.get(table, row_id)
        if row is None or row["provisioning_status"] == "DELETED":
            raise NotFound(f"{table} {row_id}")
        return row

    def pool_listeners(self, pool_id):
        return self.transaction.find("listeners", default_pool_id=pool_id)

    def set_pending(
        self,
        lb_id,
        listeners=(),
        *,
        pool=None,
        status="PENDING_UPDATE",
        listener_status="PENDING_UPDATE",
    ):
        """test_and_set_lb_and_listeners_prov_status: lock, check and set."""
        transaction = self.transaction
        if not transaction.lock("loadbalancers", lb_id):
            raise NotFound(f"load balancer {lb_id}")
        lb = transaction.get("loadbalancers", lb_id)
        self.operation.lb_id = lb_id
        allowed = DELETABLE if status == "PENDING_DELETE" else MUTABLE
        if lb["provisioning_status"] not in allowed:
            raise Conflict(
                f"Load Balancer {lb_id} is immutable and cannot "
                f"be updated: {lb['provisioning_status']}"
            )
        transaction.update("loadbalancers", lb_id, provisioning_status=status)
        for listener in listeners:
            transaction.update("listeners", listener["id"], provisioning_status=listener_status)
        if pool:
            transaction.update("pools", pool["id"], provisioning_status=status)

    def set_listener_pending(self, listener_id):
        listener = self.existing("listeners", listener_id)
        self.set_pending(listener["load_balancer_id"], [listener])

    def set_pool_pending(self, pool_id):
        pool = self.existing("pools", pool_id)
        if pool["provisioning_status"] not in MUTABLE:
            raise Conflict(f"Pool {pool_id} is immutable")
        self.set_pending(pool["load_balancer_id"], self.pool_listeners(pool_id), pool=pool)


class Calls(Committed):
    """What the API's controllers have in common.

    :param workers: WorkerPool that the driver runs in; may be set later
    :param settings: what octavia.conf says
    :param release: of Octavia, 15 or 19
    """

    def __init__(self, store, workers, settings, release):
        super().__init__(store)
        self.workers = workers
        self.settings = settings
        self.release = release
        # Called with the driver's method when it has answered, and before the commit: in between
        # Octavia writes what it writes late.
        self.answered = lambda _: None
        self.committing = lambda: None

    @contextlib.contextmanager
    def _call(self, name, row_id, lb_id=None):
        """Load the driver, begin; commit at the end, or roll back."""
        operation = Operation(name, row_id, lb_id)
        with self.workers.session() as session:
            call = Call(operation, self.store.begin(), session, self._answer)
            try:
                yield call
                self.committing()
            except BaseException:
                call.transaction.rollback()
                raise
            operation.pending = call.transaction.pending()
            call.transaction.commit()
            operation.api_seconds = time.monotonic() - operation.started
            operation.driver_seconds = session.open_seconds + session.call_seconds

    def before(self, kind, call, row):
        """Return the old object of an update, or the object of a delete."""
        return models.BEFORE[self.release][kind](call.transaction, row)

    def asked(self, kind, given):
        """Return what a driver gets of the body of an update, and the row of it.

        Octavia keeps tags to itself, and replaces null where it has a default.
        """
        defaults = self.settings.for_null(kind)
        asked = {
            name: defaults.get(name) if value is None else value
            for name, value in given.items()
            if name not in KEPT
        }
        if asked.get("admin_state_up", True) is None:
            asked["admin_state_up"] = False
        return asked

    def _answer(self, method):
        if method != "create_vip_port":
            self.answered(method)
