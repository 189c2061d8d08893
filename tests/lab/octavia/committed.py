# SPDX-License-Identifier: Apache-2.0
"""What is committed: what tests and benchmarks read, and wait for."""

import time

from tests.lab.errors import NotFound

# Operations that remove a row, and from which table.
DELETES = {
    "delete_listener": "listeners",
    "delete_pool": "pools",
    "delete_member": "members",
    "delete_health_monitor": "healthmonitors",
    "delete_l7policy": "l7policies",
    "delete_l7rule": "l7rules",
}


class Committed:
    """The rows of a Store as trees, each of a load balancer and all that belongs to it."""

    def __init__(self, store):
        self.store = store

    def row(self, table, row_id):
        row = self.store.get(table, row_id)
        if row is None:
            raise NotFound(f"{table} {row_id}")
        return row

    def tree(self, lb):
        """Yield (table, row) of a load balancer and all that belongs to it."""
        yield "loadbalancers", lb
        for row in self.store.find("listeners", load_balancer_id=lb["id"]):
            yield "listeners", row
            for policy in self.store.find("l7policies", listener_id=row["id"]):
                yield "l7policies", policy
                for rule in self.store.find("l7rules", l7policy_id=policy["id"]):
                    yield "l7rules", rule
        for pool in self.store.find("pools", load_balancer_id=lb["id"]):
            yield "pools", pool
            for table in ("members", "healthmonitors"):
                for row in self.store.find(table, pool_id=pool["id"]):
                    yield table, row

    def is_settled(self, lb_id):
        """True once nothing of a load balancer is PENDING any more."""
        lb = self.row("loadbalancers", lb_id)
        return not any(row["provisioning_status"].startswith("PENDING") for _, row in self.tree(lb))

    def is_deleted(self, lb_id):
        lb = self.row("loadbalancers", lb_id)
        return lb["provisioning_status"] == "DELETED"

    def finish(self, operation, timeout=30):
        """Wait until an operation has taken effect.

        Return the seconds from its start, or None when it took too long.
        """
        if self._wait(lambda: self._is_done(operation), timeout):
            return time.monotonic() - operation.started
        return None

    def _is_done(self, operation):
        """Settled; and what was to be deleted is, or the LB is DELETED."""
        if operation.name == "delete_load_balancer":
            return self.is_deleted(operation.lb_id)
        table = DELETES.get(operation.name)
        if table and self.store.get(table, operation.id):
            return False
        return self.is_settled(operation.lb_id)

    def wait_active(self, lb_id, timeout=30):
        """Wait for the whole tree to be ACTIVE; raise when it is not."""
        self._wait(lambda: self.is_settled(lb_id), timeout)
        self.assert_active(lb_id)

    def _wait(self, predicate, timeout):
        deadline = time.monotonic() + timeout
        with self.store.changed:
            while not predicate():
                if not self.store.changed.wait(deadline - time.monotonic()):
                    return False
        return True

    def assert_active(self, lb_id):
        lb = self.row("loadbalancers", lb_id)
        wrong = {
            f"{table} {row['id']}": row["provisioning_status"]
            for table, row in self.tree(lb)
            if row["provisioning_status"] != "ACTIVE"
        }
        assert not wrong, wrong

    def assert_status(self, table, row_id, provisioning=None, operating=None):
        row = self.row(table, row_id)
        if provisioning:
            assert row["provisioning_status"] == provisioning, row
        if operating:
            assert row["operating_status"] == operating, row

    def stuck(self):
        """List what is PENDING: (table, id, status)."""
        return [
            (table, row["id"], row["provisioning_status"])
            for lb in self.store.find("loadbalancers")
            if lb["provisioning_status"] != "DELETED"
            for table, row in self.tree(lb)
            if row["provisioning_status"].startswith("PENDING")
        ]

    def orphans(self):
        """List what was left behind by deleted load balancers."""
        return [
            (table, row["id"], row["provisioning_status"])
            for lb in self.store.find("loadbalancers", provisioning_status="DELETED")
            for table, row in self.tree(lb)
            if row is not lb
        ]
