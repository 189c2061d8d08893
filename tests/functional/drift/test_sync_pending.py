# SPDX-License-Identifier: Apache-2.0
"""Repairing objects in PENDING, and what Octavia shows of requests that bypass a provider."""

import pytest

from tests.functional.drift.world import PATIENCE, comes_back
from tests.lab import rows
from tests.lab.env import wait_until


@pytest.mark.parametrize("there", [True, False])
def test_stuck_in_pending(world, healthy, there):
    lb_id = world.create()
    looks = world.looks(lb_id)
    world.settle()
    if not there:
        world.wipe(lb_id)
    world.set_status("PENDING_CREATE", lb_id)
    assert world.check()[1][lb_id] == "stuck"
    world.sync()
    world.lab.octavia.wait_active(lb_id)
    comes_back(world, lb_id, looks)


@pytest.mark.parametrize("there", [True, False])
def test_stuck_in_deletion(world, healthy, there):
    lb_id = world.create()
    world.settle()
    if not there:
        world.wipe(lb_id)
    world.set_status("PENDING_DELETE", lb_id, "loadbalancers")
    world.do_sync()
    assert wait_until(lambda: world.lab.octavia.is_deleted(lb_id), PATIENCE) is not None
    assert wait_until(lambda: not world.rows(lb_id), PATIENCE) is not None
    assert world.lab.octavia.orphans() == []


@pytest.mark.parametrize("table", ["listeners", "pools", "members"])
def test_child_stuck_alone(world, table):
    lb_id = world.create()
    world.settle()
    world.set_status("PENDING_UPDATE", lb_id, table)
    assert world.check("--loadbalancer", lb_id) == (1, {lb_id: "stuck"})
    world.sync("--loadbalancer", lb_id)
    world.lab.octavia.wait_active(lb_id)


def test_l7_policies_of_a_populated_create(world):
    """Octavia makes them without the driver's knowledge."""
    lb_id = world.create()
    world.settle()
    octavia = world.lab.octavia
    (listener,) = octavia.store.find("listeners", load_balancer_id=lb_id)
    policy = rows.l7policy(listener["id"], {"action": "REJECT"})
    path = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/admin"}
    rule = rows.l7rule(policy["id"], path)
    with octavia.store.begin() as transaction:
        for table, row in (("l7policies", policy), ("l7rules", rule)):
            transaction.insert(table, {**row, "provisioning_status": "PENDING_CREATE"})
    assert world.check()[1][lb_id] == "stuck"
    world.sync()

    def statuses():
        found = octavia.row("l7policies", policy["id"]), octavia.row("l7rules", rule["id"])
        return [each["provisioning_status"] for each in found]

    assert wait_until(lambda: statuses() == ["ERROR", "ERROR"], PATIENCE, 0.05) is not None
    assert octavia.row("listeners", listener["id"])["provisioning_status"] == "ACTIVE"
    world.done(lb_id)
    assert world.check("--loadbalancer", lb_id) == (0, {lb_id: "right"})


def test_security_groups_that_an_update_has_set(world):
    """Octavia does not pass them on, and shows them."""
    lb_id = world.create()
    world.settle()
    with world.lab.octavia.store.begin() as transaction:
        transaction.update("loadbalancers", lb_id, vip_sg_ids=["sg1"])
    before = world.settle()
    assert world.check("--loadbalancer", lb_id) == (1, {lb_id: "unenforced"})
    done = world.command("sync", "--loadbalancer", lb_id)
    assert done.returncode == 1
    assert "left to its owner" in done.stdout
    assert world.settle() == before
    with world.lab.octavia.store.begin() as transaction:
        transaction.update("loadbalancers", lb_id, vip_sg_ids=[])
    assert world.check("--loadbalancer", lb_id) == (0, {lb_id: "right"})
