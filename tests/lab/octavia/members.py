# SPDX-License-Identifier: Apache-2.0
"""Members, as octavia.api.v2.controllers.member has them."""

from octavia_lib.api.drivers import data_models

from tests.lab import models, rows
from tests.lab.errors import Conflict
from tests.lab.octavia.call import KEPT, Calls
from tests.lab.rows import columns

# What a batch update sets where it does not say; single updates leave it as it is.
BATCH_DEFAULTS = {
    "weight": 1,
    "backup": False,
    "admin_state_up": True,
    "monitor_address": None,
    "monitor_port": None,
}


class Members(Calls):
    """Requests for members, single ones and all of a pool."""

    def create_member(self, pool_id, **given):
        row = new_member(self.store, pool_id, given)
        with self._call("create_member", row["id"]) as call:
            call.set_pool_pending(pool_id)
            insert_member(call.transaction, row)
            call.driver("member_create", models.member(row))
        return call.operation

    def update_member(self, member_id, **given):
        with self._call("update_member", member_id) as call:
            row = call.existing("members", member_id)
            call.set_pool_pending(row["pool_id"])
            asked = self.asked("members", given)
            call.driver(
                "member_update",
                models.member(row),
                data_models.Member(member_id=member_id, **asked),
            )
            call.transaction.update(
                "members", member_id, provisioning_status="PENDING_UPDATE", **columns(asked)
            )
        return call.operation

    def delete_member(self, member_id):
        with self._call("delete_member", member_id) as call:
            row = call.existing("members", member_id)
            call.set_pool_pending(row["pool_id"])
            call.transaction.update("members", member_id, provisioning_status="PENDING_DELETE")
            call.driver("member_delete", models.member(row))
        return call.operation

    def batch_update_members(self, pool_id, members, additive_only=False):
        """PUT of all members of a pool."""
        with self._call("batch_update_members", pool_id) as call:
            call.set_pool_pending(pool_id)
            transaction = call.transaction
            old = {
                (row["ip_address"], row["protocol_port"]): row
                for row in transaction.find("members", pool_id=pool_id)
            }
            wanted = {(given["address"], given["protocol_port"]): given for given in members}
            if not old and not wanted:
                transaction.rollback()
                return call.operation
            provider_members = [
                _new_batch_member(transaction, pool_id, given)
                for key, given in wanted.items()
                if key not in old
            ]
            provider_members += [
                _updated_batch_member(transaction, old[key], given)
                for key, given in wanted.items()
                if key in old
            ]
            for key in [key for key in old if key not in wanted]:
                if additive_only:
                    provider_members.append(models.member(old[key]))
                else:
                    transaction.update(
                        "members", old[key]["id"], provisioning_status="PENDING_DELETE"
                    )
            call.driver("member_batch_update", pool_id, provider_members)
        return call.operation


def new_member(reader, pool_id, given):
    monitored = bool(reader.find("healthmonitors", pool_id=pool_id))
    return rows.member(pool_id, given, monitored)


def insert_member(transaction, row):
    if transaction.find(
        "members",
        pool_id=row["pool_id"],
        ip_address=row["ip_address"],
        protocol_port=row["protocol_port"],
    ):
        raise Conflict("another member has this address and port")
    transaction.insert("members", row)


def _new_batch_member(transaction, pool_id, given):
    row = new_member(transaction, pool_id, given)
    insert_member(transaction, row)
    return models.member(row)


def _updated_batch_member(transaction, row, given):
    given = {name: value for name, value in given.items() if name not in KEPT}
    asked = {**BATCH_DEFAULTS, **given}
    transaction.update("members", row["id"], provisioning_status="PENDING_UPDATE", **columns(asked))
    return models.batch_updated_member(row, asked)
