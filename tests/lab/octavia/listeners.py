# SPDX-License-Identifier: Apache-2.0
"""Listeners, as octavia.api.v2.controllers.listener has them."""

from octavia_lib.api.drivers import data_models

from tests.lab import models, rows
from tests.lab.errors import Conflict
from tests.lab.octavia.call import Calls
from tests.lab.rows import columns


class Listeners(Calls):
    """Requests for listeners."""

    def create_listener(self, lb_id, **given):
        row = rows.listener(lb_id, given, self.settings.timeouts)
        with self._call("create_listener", row["id"], lb_id) as call:
            call.set_pending(lb_id)
            insert_listener(call.transaction, row)
            call.driver("listener_create", models.listener(call.transaction, row))
        return call.operation

    def update_listener(self, listener_id, **given):
        with self._call("update_listener", listener_id) as call:
            row = call.existing("listeners", listener_id)
            call.set_pending(row["load_balancer_id"], [row])
            asked = self.asked("listeners", given)
            call.driver(
                "listener_update",
                self.before("listeners", call, row),
                data_models.Listener(listener_id=listener_id, **asked),
            )
            call.transaction.update("listeners", listener_id, **columns(asked))
        return call.operation

    def delete_listener(self, listener_id):
        with self._call("delete_listener", listener_id) as call:
            row = call.existing("listeners", listener_id)
            call.set_pending(row["load_balancer_id"], [row], listener_status="PENDING_DELETE")
            call.driver("listener_delete", self.before("listeners", call, row))
        return call.operation


def insert_listener(transaction, row):
    if transaction.find(
        "listeners",
        load_balancer_id=row["load_balancer_id"],
        protocol=row["protocol"],
        protocol_port=row["protocol_port"],
    ):
        raise Conflict("another listener has this protocol and port")
    transaction.insert("listeners", row)
