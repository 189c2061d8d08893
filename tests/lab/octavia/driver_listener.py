# SPDX-License-Identifier: Apache-2.0
"""What octavia-driver-agent does behind its sockets: statuses, statistics, questions of drivers."""

import dataclasses
import threading
import time

from tests.lab import models
from tests.lab.sockets import DriverSockets
from tests.lab.status import StatusUpdater
from tests.lab.store import TABLES


@dataclasses.dataclass
class StatusMessage:
    """One message on status.sock, its answer, and when it came and was done."""

    received: float
    status: dict
    answer: dict
    answered: float


class DriverListener:
    """Answers a driver on status.sock, stats.sock and get.sock.

    :param run_dir: where the sockets go
    :param deallocate_vip: function that is called with each load balancer that is deleted
    """

    def __init__(self, store, run_dir, deallocate_vip):
        self.statuses = []
        self.statistics = []
        self.questions = 0
        # Called before and after a status is applied; raises OSError to lose message or answer.
        self.telling = lambda _: None
        self._store = store
        self._updater = StatusUpdater(store, deallocate_vip)
        self._sockets = DriverSockets(
            run_dir, self.receive_status, self._receive_statistics, self.get
        )
        self._refusals = 0
        self._statuses_lock = threading.Lock()

    def start(self):
        self._sockets.start()

    def stop(self):
        """Be gone, as a driver agent that is being restarted is."""
        self._sockets.stop()

    def refuse_statuses(self, count):
        """Answer the next status messages with an error, as for a row not there yet."""
        with self._statuses_lock:
            self._refusals = count

    @property
    def revived(self):
        """Load balancers that got another status after DELETED."""
        return self._updater.revived

    def receive_status(self, status):
        received = time.monotonic()
        self.telling("before the status")
        if self._refuses():
            answer = {"status_code": 500, "fault_string": "injected"}
        else:
            answer = self._updater.apply(status)
        with self._statuses_lock:
            self.statuses.append(StatusMessage(received, status, answer, time.monotonic()))
        self.telling("after the status")
        return answer

    def _refuses(self):
        with self._statuses_lock:
            if not self._refusals:
                return False
            self._refusals -= 1
            return True

    def _receive_statistics(self, statistics):
        self.statistics.append(statistics)
        return {"status_code": 200}

    def get(self, request):
        """driver_get.process_get."""
        self.questions += 1
        table = request["object"]
        row = self._store.get(table, request["id"]) if table in TABLES else None
        if not row or row["provisioning_status"] == "DELETED":
            return {}
        alone = {
            "members": models.member,
            "healthmonitors": models.health_monitor,
            "l7rules": models.l7rule,
        }
        with_children = {
            "loadbalancers": models.load_balancer,
            "listeners": models.listener,
            "pools": models.pool,
            "l7policies": models.l7policy,
        }
        model = alone[table](row) if table in alone else with_children[table](self._store, row)
        return model.to_dict(recurse=True, render_unsets=True)
