# SPDX-License-Identifier: Apache-2.0
"""What the agent follows by name, in replicas of their own, against a real server."""

from octavia_ovn.adapters.ovsdb.replica import Replica, fetch_schema
from tests.functional.ovsdb.server import DATABASE, endpoint, wait_for


class ByName:
    """What is followed, the changes that it reported, and its replicas.

    :param module: has `TABLES` and `NOTHING`
    :param follow: makes what is followed, given a function that opens a replica, and one that takes
        changes
    """

    def __init__(self, server, module, follow):
        self._endpoint = endpoint(server.unix)
        self._module = module
        self.replicas = []
        self.reported = []
        self.followed = follow(self._open, self.reported.append)

    def _open(self, on_change):
        self.replicas.append(
            Replica(
                self._endpoint,
                DATABASE,
                fetch_schema(self._endpoint, DATABASE, 5),
                self._module.TABLES,
                conditions=self._module.NOTHING,
                on_change=on_change,
            )
        )
        return self.replicas[-1]

    def until(self, condition):
        def turn():
            self.followed.run()
            return condition()

        wait_for(turn)


def condition_changes(monkeypatch):
    """Return a list to which each change of a replica's conditions is added."""
    changes = []
    restrict = Replica.restrict
    monkeypatch.setattr(
        Replica, "restrict", lambda self, *args: changes.append(args) or restrict(self, *args)
    )
    return changes
