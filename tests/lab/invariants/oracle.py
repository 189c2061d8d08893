# SPDX-License-Identifier: Apache-2.0
"""The oracle: it asks after each subject and collects what is said."""

from tests.lab.invariants import (
    access,
    attachments,
    health,
    intent,
    serving,
    statuses,
    vip_ports,
)
from tests.lab.invariants.access import Access
from tests.lab.invariants.seen import Seen, Tree


class Oracle:
    """Compares one laboratory's databases with what they should hold."""

    def __init__(self, lab):
        self._lab = lab

    def complaints(self, lb_id, at_once=False):
        """Say all that is wrong with one load balancer; empty when all is well.

        :param at_once: leave out what may follow after the report to Octavia
        """
        with self._lab.neutron.locked():
            tree = Tree(self._lab, lb_id)
            if tree.lb["provisioning_status"] == "DELETED":
                return list(self._remains(tree, at_once))
            return list(_complaints(Seen(self._lab, tree, at_once), at_once))

    def _remains(self, tree, at_once):
        lb_id = tree.lb["id"]
        if not at_once and self._lab.nb.select("Load_Balancer", [["name", "==", lb_id]]):
            yield f"the rows of the deleted load balancer {lb_id} are still there"
        left = Access(self._lab, lb_id)
        if left.groups or left.sets:
            yield f"clients are still kept from the deleted load balancer {lb_id}"
        for port in self._lab.neutron.ports.values():
            if lb_id in port["name"]:
                yield f"port {port['name']} of the deleted load balancer is still there"
        for table, row_id, status in self._lab.octavia.orphans():
            if table != "loadbalancers":
                yield f"{table} {row_id} of a deleted load balancer is {status}"
        if lb_id in self._lab.octavia.revived:
            yield f"load balancer {lb_id} got a status after DELETED"


def _complaints(seen, at_once):
    if not seen.rows:
        yield "the load balancer has no row"
        return
    entries = serving.expected(seen)
    yield from intent.complaints(seen, at_once)
    yield from serving.complaints(seen, entries)
    yield from health.complaints(seen, entries, at_once)
    yield from attachments.complaints(seen)
    yield from access.complaints(seen)
    yield from vip_ports.complaints(seen)
    yield from statuses.complaints(seen)
