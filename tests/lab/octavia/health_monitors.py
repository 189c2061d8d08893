# SPDX-License-Identifier: Apache-2.0
"""Health monitors, as octavia.api.v2.controllers.health_monitor has them."""

from octavia_lib.api.drivers import data_models

from tests.lab import models, rows
from tests.lab.errors import Conflict
from tests.lab.octavia.call import Calls
from tests.lab.rows import columns


class HealthMonitors(Calls):
    """Requests for health monitors."""

    def create_health_monitor(self, pool_id, **given):
        row = rows.health_monitor(pool_id, given)
        with self._call("create_health_monitor", row["id"]) as call:
            if call.transaction.find("healthmonitors", pool_id=pool_id):
                raise Conflict("the pool has a health monitor already")
            call.set_pool_pending(pool_id)
            call.transaction.insert("healthmonitors", row)
            call.driver("health_monitor_create", models.health_monitor(row))
        return call.operation

    def update_health_monitor(self, monitor_id, **given):
        with self._call("update_health_monitor", monitor_id) as call:
            row = call.existing("healthmonitors", monitor_id)
            call.set_pool_pending(row["pool_id"])
            asked = self.asked("healthmonitors", given)
            call.driver(
                "health_monitor_update",
                models.health_monitor(row),
                data_models.HealthMonitor(healthmonitor_id=monitor_id, **asked),
            )
            call.transaction.update(
                "healthmonitors", monitor_id, provisioning_status="PENDING_UPDATE", **columns(asked)
            )
        return call.operation

    def delete_health_monitor(self, monitor_id):
        with self._call("delete_health_monitor", monitor_id) as call:
            row = call.existing("healthmonitors", monitor_id)
            call.set_pool_pending(row["pool_id"])
            call.transaction.update(
                "healthmonitors", monitor_id, provisioning_status="PENDING_DELETE"
            )
            call.driver("health_monitor_delete", models.health_monitor(row))
        return call.operation
