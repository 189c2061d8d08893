# SPDX-License-Identifier: Apache-2.0
"""Killed between any two side effects, the agent and the API's workers leave nothing half done.

A side effect is visible outside: a transaction in the Northbound database, a status for Octavia, a
request to Neutron. Each story runs again and again; each time the process is killed with SIGKILL
at the first point where it has not been killed before, until it passes none. A point is just before
a side effect (which does not happen) or just after it (of which no process learns).
"""

import time

import pytest

from tests.lab.env import wait_until
from tests.lab.errors import ApiError
from tests.lab.invariants import Oracle
from tests.lab.tenant import Tenant

pytestmark = pytest.mark.slow

MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
QUIET = 3.0  # seconds, more than between two comparisons
COMPARING = {"sync_interval": "2", "pending_grace": "2"}


@pytest.fixture(scope="module")
def lab(make_lab):
    with make_lab(config={"ovn": COMPARING}) as lab:
        # Octavia writes PENDING_UPDATE late: a status that is reported before is overwritten.
        lab.octavia.answered = lambda _: time.sleep(0.05)
        yield lab


@pytest.fixture(scope="module")
def tenant(lab):
    tenant = Tenant(lab, "crashing")
    tenant.vm(9)
    return tenant


@pytest.fixture
def serving(lab, tenant):
    """A function that makes a load balancer; returns its id and that of its pool."""

    def make():
        operation = tenant.create_lb(1, 1, 2)
        lab.octavia.wait_active(operation.id)
        return operation.id, lab.octavia.store.find("pools", load_balancer_id=operation.id)[0]["id"]

    return make


class Stories:
    """What can be asked of a load balancer; each returns what was asked."""

    def __init__(self, lab, tenant, lb_id, pool_id):
        self._octavia = lab.octavia
        self._tenant = tenant
        self._lb_id = lb_id
        self._pool_id = pool_id

    def create(self):
        return self._tenant.create_lb(2, 2, 2)

    def update(self):
        member = self._octavia.store.find("members", pool_id=self._pool_id)[0]["id"]
        return self._octavia.update_member(member, weight=7)

    def batch(self):
        members = [self._tenant.member(number, 8000) for number in (0, 3, 4)]
        return self._octavia.batch_update_members(self._pool_id, members)

    def monitor(self):
        return self._octavia.create_health_monitor(self._pool_id, **MONITOR)

    def delete(self):
        return self._octavia.delete_load_balancer(self._lb_id, cascade=True)


STORIES = [name for name in vars(Stories) if not name.startswith("_")]


@pytest.mark.parametrize("story", STORIES)
def test_agent_killed_at_every_point(lab, tenant, serving, story):
    hits, lbs = [], []
    points = lab.agent_points
    while True:
        lb_id, pool_id = serving()
        assert lab.settle()
        points.arm(hits)
        operation = getattr(Stories(lab, tenant, lb_id, pool_id), story)()
        lbs += {lb_id, operation.lb_id}
        assert lab.octavia.finish(operation, 15) is not None, (hits, lab.octavia.stuck())
        if not is_hit(lab):
            break
        hits.append(points.hit)
    # This story was not disturbed: the agent was killed at each of its points before.
    undisturbed = {what for what, _ in points.passed}
    points.arm(None)
    assert {"before the commit", "after the commit", "before the status"} <= undisturbed, hits
    is_well(lab, lbs, hits)
    clear(lab, lbs)


@pytest.mark.parametrize("story", STORIES)
def test_worker_killed_at_every_point(lab, tenant, serving, story):
    """The API's client sees a broken connection, Octavia rolls back: as without a request."""
    hits, lbs = [], []
    while True:
        lb_id, pool_id = serving()
        lbs.append(lb_id)
        lab.worker_points.arm(hits)
        try:
            lbs.append(getattr(Stories(lab, tenant, lb_id, pool_id), story)().lb_id)
            break
        except ApiError:
            assert lab.worker_points.hit
            hits.append(lab.worker_points.hit)
        finally:
            lab.worker_points.arm(None)
    assert {"before the commit", "after the commit"} <= {what for what, _ in hits}, hits
    is_well(lab, lbs, hits)
    assert wait_until(lambda: not unknown(lab), 20, 0.1) is not None, (hits, unknown(lab))
    clear(lab, lbs)


def is_hit(lab):
    """Whether the agent is killed, now or later; False when it has nothing to do.

    How long that takes depends on the machine, so it must have had nothing to do for some time.
    """
    points, passed = lab.agent_points, -1
    while not points.hit and len(points.passed) > passed:
        passed = len(points.passed)
        assert lab.settle(), lab.octavia.stuck()
        wait_until(lambda known=passed: points.hit or len(points.passed) > known, QUIET, 0.01)
    return bool(points.hit)


def unknown(lab):
    """What is there for load balancers that Octavia does not know."""
    known = {
        row["id"]
        for row in lab.octavia.store.find("loadbalancers")
        if row["provisioning_status"] != "DELETED"
    }
    rows = {row["name"] for row in lab.nb.select("Load_Balancer", columns=["name"])} - known
    ports = {
        port["name"]
        for port in lab.neutron.ports.values()
        if port["name"].startswith("ovn-lb-vip-") and port["device_id"][3:] not in known
    }
    return rows | ports


def is_well(lab, lb_ids, hits):
    assert lab.settle(45), (hits, lab.octavia.stuck(), lab.waited_for())
    oracle = Oracle(lab)
    for lb_id in sorted(set(lb_ids)):
        wait_until(lambda lb_id=lb_id: not oracle.complaints(lb_id), 20, 0.05)
        assert oracle.complaints(lb_id) == [], hits
    assert lab.octavia.orphans() == lab.octavia.revived == []


def clear(lab, lb_ids):
    for lb_id in set(lb_ids):
        if not lab.octavia.is_deleted(lb_id):
            operation = lab.octavia.delete_load_balancer(lb_id, cascade=True)
            assert lab.octavia.finish(operation, 15) is not None
