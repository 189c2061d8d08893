# SPDX-License-Identifier: Apache-2.0
"""Tasks, with an executor, a service and a clock that a test drives."""

from octavia_ovn.controller.tasks import Tasks
from tests.controller.outside import Clock, Later


class Service:
    """Answers, or raises the error that is set."""

    def __init__(self):
        self.asked = 0
        self.error = None

    def __call__(self):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return f"answer {self.asked}"


class Bench:
    def __init__(self, longest=10.0):
        self.clock, self.executor, self.service = Clock(), Later(), Service()
        self.posted, self.woken = [], []
        self.tasks = Tasks(
            self.executor, self.posted.append, self.woken.append, self.clock, longest=longest
        )

    def get(self, waiter="lb1"):
        return self.tasks.get("key", self.service, waiter)

    def work(self):
        """The executor works, then the main loop."""
        self.executor.run()
        while self.posted:
            self.posted.pop(0)()
