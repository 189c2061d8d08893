# SPDX-License-Identifier: Apache-2.0
"""The driver overtakes Octavia's commit: no status is lost, overwritten or too late (D50, D51).

Octavia's API calls the driver inside its transaction, writes some rows only after the answer, and
commits then. The agent may have reported the end of the request long before.
"""

import concurrent.futures
import os
import random
import threading
import time

import pytest

from tests.lab.env import wait_until
from tests.lab.invariants import Oracle
from tests.lab.store import MYSQL, POSTGRESQL
from tests.lab.tenant import Tenant

WORKERS = 4
UPDATES = int(os.environ.get("UPDATES", "300"))
PATIENCE = 15.0  # seconds after which a request counts as stuck
MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}


@pytest.fixture(scope="module")
def lab(make_lab):
    with make_lab(workers=WORKERS) as lab:
        yield lab


@pytest.fixture(params=[MYSQL, POSTGRESQL])
def flavor(request, lab):
    """The database that Octavia has."""
    lab.octavia.store.flavor = request.param
    yield request.param
    lab.octavia.store.flavor = MYSQL


@pytest.fixture
def tenant(lab):
    tenant = Tenant(lab, "overtaking")
    tenant.vm(20)
    return tenant


class Delays:
    """Makes Octavia slow: between the driver's answer, what is written late, and the commit.

    :param draw: returns a pair of seconds for each call
    """

    def __init__(self, octavia, draw):
        self._octavia = octavia
        self._draw = draw
        self._of_thread = threading.local()

    def __enter__(self):
        self._octavia.answered = self._answered
        self._octavia.committing = self._committing

    def __exit__(self, *_):
        self._octavia.answered = lambda _: None
        self._octavia.committing = lambda: None

    def _answered(self, _):
        first, self._of_thread.second = self._draw()
        time.sleep(first)

    def _committing(self):
        time.sleep(self._of_thread.second)


def sometimes():
    """Mostly a few milliseconds, rarely a second or more, before or after the late write."""
    whole = random.choices((0.0, 0.02, 0.2, 1.4), (20, 20, 10, 2))[0]
    share = random.random()
    return whole * share, whole * (1 - share)


def ends(lab, operation):
    seconds = lab.octavia.finish(operation, PATIENCE)
    assert seconds is not None, f"{operation.name} is stuck: {lab.octavia.stuck()}"
    return operation


def is_well(lab, *lb_ids):
    """Nothing is PENDING, lost or revived, and every row is what it must be."""
    assert lab.settle(), (lab.octavia.stuck(), lab.waited_for())
    oracle = Oracle(lab)
    for lb_id in lb_ids:
        wait_until(lambda lb_id=lb_id: not oracle.complaints(lb_id), 10, 0.05)
        assert oracle.complaints(lb_id) == []
        if not lab.octavia.is_deleted(lb_id):
            lab.octavia.assert_active(lb_id)
    assert lab.octavia.orphans() == []
    assert lab.octavia.revived == []


def everything(lab, tenant):
    """Do all that can be done to a load balancer; return its id."""
    octavia = lab.octavia
    members = [tenant.member(number) for number in range(4)]

    def do(name, *args, **fields):
        return ends(lab, getattr(octavia, name)(*args, **fields)).id

    lb = do("create_load_balancer", tenant.subnet["id"])
    listener = do("create_listener", lb, protocol="TCP", protocol_port=80)
    pool = do("create_pool", listener_id=listener, protocol="TCP", lb_algorithm="SOURCE_IP")
    member = do("create_member", pool, **members[0])
    monitor = do("create_health_monitor", pool, **MONITOR)
    do("update_member", member, weight=3)
    do("update_health_monitor", monitor, delay=7)
    do("batch_update_members", pool, [{**members[0], "weight": 2}, *members[1:3]])
    do("batch_update_members", pool, members[2:])
    do("update_pool", pool, lb_algorithm="SOURCE_IP_PORT")
    do("update_listener", listener, admin_state_up=False)
    do("update_listener", listener, admin_state_up=True)
    do("update_load_balancer", lb, admin_state_up=False)
    do("update_load_balancer", lb, admin_state_up=True)
    do("failover_load_balancer", lb)
    do("delete_health_monitor", monitor)
    do("delete_member", octavia.store.find("members", pool_id=pool)[0]["id"])
    do("delete_pool", pool)
    do("delete_listener", listener)
    return lb


def side_by_side(function, count, clients=WORKERS):
    with concurrent.futures.ThreadPoolExecutor(clients) as executor:
        return list(executor.map(lambda _: function(), range(count)))


def test_every_request_with_commits_that_take_their_time(lab, tenant, flavor):
    with Delays(lab.octavia, sometimes):
        lbs = side_by_side(lambda: everything(lab, tenant), WORKERS)
        is_well(lab, *lbs)
        for lb in lbs:
            ends(lab, lab.octavia.delete_load_balancer(lb, cascade=True))
    is_well(lab, *lbs)


@pytest.mark.parametrize("delays", [(2.9, 0.0), (0.0, 2.9)], ids=["late-write", "commit"])
def test_commits_that_take_three_seconds(lab, tenant, flavor, delays):
    octavia = lab.octavia
    lbs = [tenant.create_lb(1, 1, 2).id for _ in range(3)]
    pools = [octavia.store.find("pools", load_balancer_id=lb)[0]["id"] for lb in lbs]
    for lb in lbs:
        octavia.wait_active(lb)
    monitor = ends(lab, octavia.create_health_monitor(pools[2], **MONITOR)).id
    member = octavia.store.find("members", pool_id=pools[0])[0]["id"]
    requests = [
        lambda: tenant.create_lb(2, 2, 2),
        lambda: octavia.update_member(member, weight=7),
        lambda: octavia.create_member(pools[1], **tenant.member(9)),
        lambda: octavia.update_health_monitor(monitor, delay=9),
    ]
    with (
        Delays(octavia, lambda: delays),
        concurrent.futures.ThreadPoolExecutor(len(requests)) as clients,
    ):
        operations = [done.result() for done in [clients.submit(each) for each in requests]]
    for operation in operations:
        ends(lab, operation)
    is_well(lab, *lbs, *(operation.lb_id for operation in operations))


def test_bare_load_balancer_with_a_late_commit(lab, tenant, flavor):
    """PostgreSQL loses its status until the commit, and nothing in the message waits for that."""
    with Delays(lab.octavia, lambda: (0.0, 2.5)):
        operation = lab.octavia.create_load_balancer(tenant.subnet["id"])
    ends(lab, operation)
    is_well(lab, operation.lb_id)


def test_member_updates_in_a_row(lab, tenant):
    """Each as soon as the load balancer is ACTIVE again, as a script would."""
    lb = ends(lab, tenant.create_lb(1, 1, 2)).id
    members = [row["id"] for row in lab.octavia.store.find("members")][-2:]
    began = len(lab.octavia.statuses)
    for number in range(UPDATES):
        ends(lab, lab.octavia.update_member(members[number % 2], weight=1 + number % 50))
    is_well(lab, lb)
    # One waits for the commit, one has the statuses; none is sent again.
    messages = [message.status for message in lab.octavia.statuses[began:]]
    assert len(messages) == 2 * UPDATES
    assert max(len(message.get("members", ())) for message in messages) <= 2


def test_two_hundred_load_balancers_by_four_clients(lab, tenant):
    def build():
        operation = ends(lab, tenant.create_lb(1, 1, 2))
        ends(lab, lab.octavia.create_listener(operation.id, protocol="TCP", protocol_port=443))
        return operation.id

    lbs = side_by_side(build, 200, clients=4)
    is_well(lab, *lbs[::20])
    assert lab.octavia.stuck() == []
