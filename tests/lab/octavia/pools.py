# SPDX-License-Identifier: Apache-2.0
"""Pools, as octavia.api.v2.controllers.pool has them."""

from octavia_lib.api.drivers import data_models

from tests.lab import models, rows
from tests.lab.errors import Conflict
from tests.lab.octavia.call import Calls
from tests.lab.rows import columns


class Pools(Calls):
    """Requests for pools."""

    def create_pool(self, lb_id=None, listener_id=None, **given):
        listener = None
        if listener_id:
            listener = self.row("listeners", listener_id)
            lb_id = listener["load_balancer_id"]
        row = rows.pool(lb_id, given, self.settings.for_pools())
        with self._call("create_pool", row["id"], lb_id) as call:
            if listener and listener["default_pool_id"]:
                raise Conflict("the listener has a default pool already")
            call.set_pending(lb_id, [listener] if listener else [])
            call.transaction.insert("pools", row)
            if listener:
                call.transaction.update("listeners", listener_id, default_pool_id=row["id"])
            call.driver("pool_create", models.pool(call.transaction, row))
        return call.operation

    def update_pool(self, pool_id, **given):
        with self._call("update_pool", pool_id) as call:
            row = call.existing("pools", pool_id)
            call.set_pending(row["load_balancer_id"], call.pool_listeners(pool_id))
            asked = self.asked("pools", given)
            old = self.before("pools", call, row)
            wanted = asked.get("session_persistence")
            if wanted:
                stored = row["session_persistence"]
                if stored and "type" not in wanted:
                    # Octavia has read it, so that it is there.
                    old.session_persistence = stored
                    wanted = {"type": stored["type"], **wanted}
                asked["session_persistence"] = rows.persistence(wanted)
            call.driver("pool_update", old, data_models.Pool(pool_id=pool_id, **asked))
            call.transaction.update(
                "pools", pool_id, provisioning_status="PENDING_UPDATE", **columns(asked)
            )
        return call.operation

    def delete_pool(self, pool_id):
        with self._call("delete_pool", pool_id) as call:
            row = call.existing("pools", pool_id)
            call.set_pending(row["load_balancer_id"], call.pool_listeners(pool_id))
            call.transaction.update("pools", pool_id, provisioning_status="PENDING_DELETE")
            call.driver("pool_delete", self.before("pools", call, row))
        return call.operation
