# SPDX-License-Identifier: Apache-2.0
"""Layer 7 policies and rules, as octavia.api.v2.controllers.l7policy and l7rule have them."""

from octavia_lib.api.drivers import data_models

from tests.lab import models, rows
from tests.lab.octavia.call import Calls
from tests.lab.rows import columns


class Layer7(Calls):
    """Requests for layer 7 policies and their rules."""

    def create_l7policy(self, listener_id, **given):
        row = rows.l7policy(listener_id, given)
        with self._call("create_l7policy", row["id"]) as call:
            call.set_listener_pending(listener_id)
            call.transaction.insert("l7policies", row)
            call.driver("l7policy_create", models.l7policy(call.transaction, row))
        return call.operation

    def update_l7policy(self, policy_id, **given):
        with self._call("update_l7policy", policy_id) as call:
            row = call.existing("l7policies", policy_id)
            call.set_listener_pending(row["listener_id"])
            asked = self.asked("l7policies", given)
            call.driver(
                "l7policy_update",
                self.before("l7policies", call, row),
                data_models.L7Policy(l7policy_id=policy_id, **asked),
            )
            _update(call, "l7policies", policy_id, asked)
        return call.operation

    def delete_l7policy(self, policy_id):
        with self._call("delete_l7policy", policy_id) as call:
            row = call.existing("l7policies", policy_id)
            call.set_listener_pending(row["listener_id"])
            call.transaction.update("l7policies", policy_id, provisioning_status="PENDING_DELETE")
            call.driver("l7policy_delete", models.l7policy(call.transaction, row))
        return call.operation

    def create_l7rule(self, policy_id, **given):
        row = rows.l7rule(policy_id, given)
        with self._call("create_l7rule", row["id"]) as call:
            _set_policy_pending(call, policy_id)
            call.transaction.insert("l7rules", row)
            call.driver("l7rule_create", models.l7rule(row))
        return call.operation

    def update_l7rule(self, rule_id, **given):
        with self._call("update_l7rule", rule_id) as call:
            row = call.existing("l7rules", rule_id)
            _set_policy_pending(call, row["l7policy_id"])
            asked = self.asked("l7rules", given)
            call.driver(
                "l7rule_update",
                models.l7rule(row),
                data_models.L7Rule(l7rule_id=rule_id, **asked),
            )
            _update(call, "l7rules", rule_id, asked)
        return call.operation

    def delete_l7rule(self, rule_id):
        with self._call("delete_l7rule", rule_id) as call:
            row = call.existing("l7rules", rule_id)
            _set_policy_pending(call, row["l7policy_id"])
            call.transaction.update("l7rules", rule_id, provisioning_status="PENDING_DELETE")
            call.driver("l7rule_delete", models.l7rule(row))
        return call.operation


def insert_l7policies(transaction, listener_id, bodies, pool_ids):
    """Make the policies of a listener in a fully populated create."""
    for position, body in enumerate(bodies, 1):
        given = dict(body)
        rules = given.pop("rules", ())
        redirect_pool = given.pop("redirect_pool", None)
        if redirect_pool:
            given["redirect_pool_id"] = pool_ids[redirect_pool["name"]]
        row = rows.l7policy(listener_id, {"position": position, **given})
        transaction.insert("l7policies", row)
        for rule in rules:
            transaction.insert("l7rules", rows.l7rule(row["id"], rule))


def _set_policy_pending(call, policy_id):
    policy = call.existing("l7policies", policy_id)
    call.set_listener_pending(policy["listener_id"])
    call.transaction.update("l7policies", policy_id, provisioning_status="PENDING_UPDATE")


def _update(call, table, row_id, asked):
    call.transaction.update(table, row_id, provisioning_status="PENDING_UPDATE", **columns(asked))
