# SPDX-License-Identifier: Apache-2.0
"""A reporter whose messages are sent, and whose time passes, when a test says so."""

import collections

from octavia_ovn.controller.reporter import Reporter
from octavia_ovn.controller.status_updates import StatusUpdate
from octavia_ovn.errors import Refused
from tests.controller.outside import Clock, Later


class RefusedRecord(Refused):
    def __init__(self, status_object_id):
        super().__init__(f"no {status_object_id}")
        self.status_object_id = status_object_id


def ids(message):
    return {record["id"] for records in message.values() for record in records}


class Octavia:
    """Keeps what it accepts; may fail, refuse records, or have not committed a load balancer."""

    def __init__(self):
        self.tried, self.accepted = [], []
        self.error, self.problem = None, None
        self.refused, self.uncommitted = set(), set()
        self.asked = 0

    def update_status(self, status):
        self.tried.append(sorted(ids(status)))
        if self.error is not None:
            raise self.error
        for culprit in sorted(ids(status) & self.refused):
            raise RefusedRecord(culprit)
        self.accepted.append(status)

    def exists(self, lb_id):
        self.asked += 1
        if self.problem is not None:
            raise self.problem
        return lb_id not in self.uncommitted


class Bench:
    def __init__(self, octavia=None):
        self.octavia = octavia or Octavia()
        self.clock, self.executor = Clock(), Later()
        self.posted, self.ended = collections.deque(), []
        self.reporter = Reporter(
            self.octavia,
            self.octavia,
            lambda lb_id, key: self.ended.append((lb_id, key)),
            self.executor,
            self.posted.append,
            self.clock,
        )

    def update(self, lb_id, key="key", *, first=False, new=False, **pools):
        records = [{"id": each, "provisioning_status": word} for each, word in pools.items()]
        message = {"pools": records, "loadbalancers": [{"id": lb_id}]}
        lock = {"loadbalancers": [{"id": lb_id, "operating_status": "ONLINE"}]} if first else {}
        return StatusUpdate(lb_id, key, message, lock, new)

    def send(self, *args, **kwargs):
        self.reporter.send(self.update(*args, **kwargs))

    def begin(self):
        """Begin to send what is due."""
        self.reporter.run()

    def end(self):
        """End what has begun."""
        count = self.executor.run()
        while self.posted:
            self.posted.popleft()()
        return count

    def settle(self):
        """Do all that is due now."""
        self.begin()
        while self.end():
            self.begin()

    def passes(self, seconds):
        self.clock.passes(seconds)
        self.settle()

    def until(self, condition, longest=1000.0):
        """Let time pass as the main loop does; return how much that was."""
        began = self.clock()
        self.settle()
        while not condition():
            assert self.clock() - began < longest
            self.passes(self.reporter.next_due())
        return self.clock() - began

    @property
    def messages(self):
        """The ids in each message that was accepted."""
        return [sorted(ids(each)) for each in self.octavia.accepted]
