# SPDX-License-Identifier: Apache-2.0
"""What the agent follows by name, in replicas of their own, against a real server."""

from octavia_ovn.adapters.ovsdb.replica import Replica, fetch_schema
from tests.functional.ovsdb.server import DATABASE, endpoint, wait_for


class Followed:
    """What is followed, the changes that it reported, and its replicas.

    :param module: has `TABLES` and `NOTHING`
    :param make: makes what is followed, given a function that opens a replica, and one that takes
        changes
    """

    def __init__(self, server, module, make):
        self._server = server
        self._module = module
        self.replicas = []
        self.reported = []
        self.view = make(self._open, self.reported.append)

    def _open(self, on_change):
        where = endpoint(self._server.unix)
        self.replicas.append(
            Replica(
                where,
                DATABASE,
                fetch_schema(where, DATABASE, 5),
                self._module.TABLES,
                conditions=self._module.NOTHING,
                on_change=on_change,
            )
        )
        return self.replicas[-1]

    def until(self, condition):
        def turn():
            self.view.run()
            return condition()

        wait_for(turn)

    def rows(self, table):
        (replica,) = self.replicas
        return replica.rows(table)
