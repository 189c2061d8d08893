# SPDX-License-Identifier: Apache-2.0
"""Applies driver statuses as octavia's driver_updater.py does."""

import logging

from tests.lab.errors import NotFound

LOG = logging.getLogger(__name__)

# The order in which Octavia works through a message.
ORDER = (
    "members",
    "healthmonitors",
    "pools",
    "l7rules",
    "l7policies",
    "listeners",
    "loadbalancers",
)
CHILDREN = {
    "pools": (("members", "pool_id"), ("healthmonitors", "pool_id")),
    "listeners": (("l7policies", "listener_id"),),
    "l7policies": (("l7rules", "l7policy_id"),),
}
PROVISIONING = {"ACTIVE", "DELETED", "ERROR", "PENDING_CREATE", "PENDING_UPDATE", "PENDING_DELETE"}
OPERATING = {"ONLINE", "OFFLINE", "DEGRADED", "ERROR", "DRAINING", "NO_MONITOR"}


class StatusUpdater:
    """Changes the rows of a Store; every record is a transaction of its own."""

    def __init__(self, store, deallocate_vip):
        self._store = store
        self._deallocate_vip = deallocate_vip
        self.revived = []

    def apply(self, status):
        """Return the response that goes back to the driver."""
        table = record = None
        try:
            for table in ORDER:
                for record in status.get(table, []):
                    self._apply_record(table, record)
        except Exception as error:  # noqa: BLE001 - the driver agent answers all errors
            LOG.warning("status for %s refused: %s", record, error)
            return {
                "status_code": 500,
                "fault_string": str(error),
                "status_object": table,
                "status_object_id": (record or {}).get("id"),
            }
        return {"status_code": 200}

    def _apply_record(self, table, record):
        columns = {}
        provisioning = record.get("provisioning_status")
        operating = record.get("operating_status")
        if provisioning:
            _check(provisioning, PROVISIONING)
            if provisioning == "DELETED" and table != "loadbalancers":
                self._delete(table, record["id"])
                return
            if provisioning == "DELETED":
                self._release_vip(record["id"])
            columns["provisioning_status"] = provisioning
        if operating:
            _check(operating, OPERATING)
            columns["operating_status"] = operating
        if table == "loadbalancers" and provisioning not in (None, "DELETED"):
            self._note_revival(record["id"])
        if columns:
            # Of listeners alone Octavia reads the row first, by a plain read,
            # and refuses the whole message when it sees none.
            if table == "listeners" and not self._store.get(table, record["id"]):
                raise NotFound(f"no listener {record['id']}")
            with self._store.begin() as transaction:
                transaction.update(table, record["id"], **columns)

    def _note_revival(self, lb_id):
        lb = self._store.get("loadbalancers", lb_id)
        if lb and lb["provisioning_status"] == "DELETED":
            self.revived.append(lb_id)

    def _release_vip(self, lb_id):
        lb = self._store.get("loadbalancers", lb_id)
        if lb is None:
            raise NotFound(f"no load balancer {lb_id}")
        if lb["octavia_owned"]:
            self._deallocate_vip(lb)

    def _delete(self, table, row_id):
        """Delete a row and what refers to it, as the SQL models cascade."""
        with self._store.begin() as transaction:
            _delete_tree(transaction, table, row_id)
            if table == "pools":
                for row in transaction.find("listeners", default_pool_id=row_id):
                    transaction.update("listeners", row["id"], default_pool_id=None)
            if table == "listeners":
                for row in transaction.find("l7policies", listener_id=row_id):
                    transaction.delete("l7policies", row["id"])


def _delete_tree(transaction, table, row_id):
    transaction.delete(table, row_id)
    for child, parent in CHILDREN.get(table, ()):
        for row in transaction.find(child, **{parent: row_id}):
            _delete_tree(transaction, child, row["id"])


def _check(value, allowed):
    if value not in allowed:
        raise ValueError(f"{value!r} is no known status")
