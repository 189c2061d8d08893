# SPDX-License-Identifier: Apache-2.0
"""Comparing and repairing, through real databases, the agent and the commands."""

import time

import pytest

from tests.functional.drift.world import PATIENCE, TABLE, comes_back
from tests.lab.env import wait_until
from tests.lab.ovsdb import delete, insert, mutate, omap, oset


def test_nothing_is_written_for_what_is_right(world, healthy):
    before = world.settle()
    world.do_sync()
    world.sync()
    assert world.check()[0] == 0
    assert world.settle() == before


def test_check_asks_octavia_only_for_what_differs(world, healthy):
    """Each question costs octavia-driver-agent a process; the first one is whether it is there."""
    driver_listener = world.lab.octavia.driver_listener
    lb_id = world.create()
    world.settle()
    before = driver_listener.questions
    assert world.check()[0] == 0
    assert driver_listener.questions - before == 1

    world.wipe(lb_id)
    before = driver_listener.questions
    assert world.check()[1][lb_id] == "missing"
    assert driver_listener.questions - before == 2
    world.sync()
    world.done(lb_id)


@pytest.mark.parametrize("how", ["do_sync", "sync"])
def test_rows_deleted(world, healthy, how):
    lb_id = world.create_two_protocols()
    looks = world.looks(lb_id)
    world.settle()
    world.wipe(lb_id)
    status, found = world.check()
    assert (status, found.pop(lb_id)) == (1, "missing")
    assert set(found.values()) == {"right"}
    getattr(world, how)()
    comes_back(world, lb_id, looks)
    before = world.settle()
    getattr(world, how)()
    assert world.settle() == before


def test_one_row_of_two_deleted(world):
    lb_id = world.create_two_protocols()
    looks = world.looks(lb_id)
    tcp = next(row for row in world.rows(lb_id) if row["protocol"] == "tcp")
    udp = next(row for row in world.rows(lb_id) if row["protocol"] == "udp")
    world.settle()
    world.lab.nb.transact(
        *(
            mutate(table, [], ["load_balancer", "delete", oset([["uuid", udp["_uuid"]]])])
            for table in ("Logical_Switch", "Logical_Router")
        ),
        delete(TABLE, [["_uuid", "==", ["uuid", udp["_uuid"]]]]),
    )
    world.sync()
    comes_back(world, lb_id, looks)
    now = next(row for row in world.rows(lb_id) if row["protocol"] == "tcp")
    assert (now["_uuid"], now["vips"]) == (tcp["_uuid"], tcp["vips"])


def test_members_lost(world, healthy):
    lb_id = world.create()
    looks = world.looks(lb_id)
    (row,) = world.rows(lb_id)
    pool = next(key for key in row["external_ids"] if key.startswith("pool_"))
    world.edit(row, **{pool: ""})
    assert wait_until(lambda: world.vips(lb_id) == {}, PATIENCE) is not None
    assert world.check("--loadbalancer", lb_id) == (1, {lb_id: "different"})
    world.sync("--loadbalancer", lb_id)
    comes_back(world, lb_id, looks)


@pytest.mark.parametrize(
    "garbage",
    [
        {"listener_x": "garbage"},
        {"octavia:pending": "{"},
        {"octavia:loadbalancer": "[]"},
        {"neutron:vip": "nowhere"},
        {"neutron:vip": None},
        {"pool_1234": "member_;drop"},
    ],
    ids=lambda garbage: next(iter(garbage)),
)
def test_garbage_is_repaired_by_the_agent_itself(world, healthy, garbage):
    lb_id = world.create()
    looks = world.looks(lb_id)
    (row,) = world.rows(lb_id)
    world.settle()
    world.edit(row, **garbage)
    comes_back(world, lb_id, looks)
    log = (world.lab.env.directory / "agent.log").read_text()
    assert log.count(f"Load balancer {lb_id} is damaged") == 1
    assert f"Load balancer {lb_id}: next attempt" not in log


def test_traffic_continues_while_garbage_waits_for_octavia(world):
    lb_id = world.create()
    looks = world.looks(lb_id)
    (row,) = world.rows(lb_id)
    world.settle()
    pool = next(key for key in row["external_ids"] if key.startswith("pool_"))
    world.lab.octavia.driver_listener.stop()
    try:
        world.edit(row, **{pool: row["external_ids"][pool] + ",garbage"})
        time.sleep(1.0)
        assert world.vips(lb_id) == looks[1]
    finally:
        world.lab.octavia.driver_listener.start()
    comes_back(world, lb_id, looks)


def test_keys_all_lost(world, healthy):
    lb_id = world.create()
    looks = world.looks(lb_id)
    (row,) = world.rows(lb_id)
    world.settle()
    world.edit(row, **dict.fromkeys(row["external_ids"]))
    assert world.check("--loadbalancer", lb_id) == (1, {lb_id: "different"})
    world.sync()
    comes_back(world, lb_id, looks)
    assert [each["_uuid"] for each in world.rows(lb_id)] == [row["_uuid"]]


def test_duplicate_row(world, healthy):
    lb_id = world.create()
    looks = world.looks(lb_id)
    (row,) = world.rows(lb_id)
    world.settle()
    columns = {key: omap(row[key]) for key in ("external_ids", "vips", "options")}
    world.lab.nb.transact(insert(TABLE, {"name": lb_id, "protocol": "tcp", **columns}))
    world.sync()
    comes_back(world, lb_id, looks)


def test_orphan(world, healthy):
    lb_id = world.create()
    world.settle()
    port = world.lab.octavia.row("loadbalancers", lb_id)["vip_port_id"]
    world.forget(lb_id)
    assert world.check()[1][lb_id] == "orphaned"
    world.sync()
    assert wait_until(lambda: not world.rows(lb_id), PATIENCE) is not None
    assert port not in world.lab.neutron.ports
    assert world.check()[0] == 0


def test_one_that_cannot_be_compared_does_not_stop_the_others(world, healthy):
    bad, missing = world.create(), world.create()
    looks = world.looks(missing)
    world.settle()
    world.wipe(missing)
    listener = world.lab.octavia.store.find("listeners", load_balancer_id=bad)[0]
    with world.lab.octavia.store.begin() as transaction:
        transaction.update("listeners", listener["id"], protocol="PROMETHEUS")
    status, found = world.check("--deep")
    assert status == 2
    assert (found[bad], found[missing]) == ("unclear", "missing")
    done = world.command("sync")
    assert done.returncode == 2
    assert bad in done.stdout
    comes_back(world, missing, looks)
    with world.lab.octavia.store.begin() as transaction:
        transaction.update("listeners", listener["id"], protocol="TCP")


def test_dry_run_writes_nothing(world):
    lb_id = world.create()
    looks = world.looks(lb_id)
    world.settle()
    world.wipe(lb_id)
    before = world.settle()
    done = world.command("sync", "--dry-run")
    assert done.returncode == 1
    assert "1 missing" in done.stdout
    assert world.settle() == before
    former = "import sys; from octavia_ovn.cli.db_sync import main; sys.exit(main())"
    done = world.python("-c", former)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Load balancer {lb_id}: missing" in done.stdout
    comes_back(world, lb_id, looks)


def test_octavia_that_does_not_answer(world):
    world.lab.octavia.http.inject(path="/lbaas/loadbalancers", status=503)
    try:
        done = world.command("check")
    finally:
        world.lab.octavia.http.heal()
    assert done.returncode == 2
    assert "Octavia answered 503" in done.stderr
