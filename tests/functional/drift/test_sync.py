# SPDX-License-Identifier: Apache-2.0
"""Comparing and repairing, through real databases, the agent and the commands."""

import json
import subprocess
import time

import pytest

from tests.lab import rows
from tests.lab.env import wait_until
from tests.lab.ovsdb import delete, insert, mutate, omap, oset, update
from tests.lab.tenant import Tenant

TABLE = "Load_Balancer"
PATIENCE = 20.0
LATE = 1.5  # seconds after which the agent has sent all statuses again
QUIET = 0.4  # seconds without a change after which the agent has finished


class World:
    """A lab with a tenant, and words for what the tests do."""

    def __init__(self, lab):
        self.lab = lab
        self.tenant = Tenant(lab, "demo")

    # --- what there is

    def create(self, **shape):
        shape = {"listeners": 1, "pools": 1, "members": 2} | shape
        (lb_id,) = self.tenant.create_lbs(1, **shape)
        return self.done(lb_id)

    def done(self, lb_id):
        """Wait until no request on it is pending."""
        assert wait_until(lambda: not self.is_waited_for(lb_id), PATIENCE, 0.02) is not None
        return lb_id

    def create_two_protocols(self):
        lb_id = self.create()
        octavia = self.lab.octavia
        pool = {"protocol": "UDP", "lb_algorithm": "SOURCE_IP_PORT"}
        listener = octavia.create_listener(lb_id, protocol="UDP", protocol_port=53)
        octavia.wait_active(lb_id)
        pool = octavia.create_pool(listener_id=listener.id, **pool)
        octavia.wait_active(lb_id)
        octavia.create_member(pool.id, **self.tenant.member(3, 53))
        octavia.wait_active(lb_id)
        return self.done(lb_id)

    def is_waited_for(self, lb_id):
        return any("octavia:pending" in row["external_ids"] for row in self.rows(lb_id))

    def rows(self, lb_id):
        return self.lab.nb.select(TABLE, [["name", "==", lb_id]])

    def vips(self, lb_id):
        return {
            (row["protocol"], vip): members
            for row in self.rows(lb_id)
            for vip, members in row["vips"].items()
        }

    def attached(self, lb_id):
        uuids = {row["_uuid"] for row in self.rows(lb_id)}
        return sorted(
            row["name"]
            for table in ("Logical_Switch", "Logical_Router")
            for row in self.lab.nb.select(table)
            if uuids & set(_list(row["load_balancer"]))
        )

    def looks(self, lb_id):
        """All of a load balancer that must come back."""
        keys = [sorted(row["external_ids"].items()) for row in self.rows(lb_id)]
        return sorted(keys), self.vips(lb_id), self.attached(lb_id)

    def versions(self):
        return {row["_uuid"]: row["_version"] for row in self.lab.nb.select(TABLE)}

    def settle(self):
        """Wait until there are no more writes."""
        before, since = None, time.monotonic()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and time.monotonic() - since < QUIET:
            now = self.versions()
            if now != before:
                before, since = now, time.monotonic()
            time.sleep(0.05)
        return before

    # --- what is done to it

    def set_status(self, status, lb_id, *tables):
        """Set it in the whole tree, or only in some tables."""
        time.sleep(LATE)
        octavia = self.lab.octavia
        tree = list(octavia.tree(octavia.row("loadbalancers", lb_id)))
        with octavia.store.begin() as transaction:
            for table, row in tree:
                if not tables or table in tables:
                    transaction.update(table, row["id"], provisioning_status=status)

    def forget(self, lb_id):
        """Have Octavia know nothing of a load balancer any more."""
        octavia = self.lab.octavia
        tree = list(octavia.tree(octavia.row("loadbalancers", lb_id)))
        with octavia.store.begin() as transaction:
            for table, row in tree:
                transaction.delete(table, row["id"])

    def wipe(self, lb_id):
        self.lab.nb.transact(
            *(
                mutate(table, [], ["load_balancer", "delete", oset(self._refs(lb_id))])
                for table in ("Logical_Switch", "Logical_Router")
            ),
            delete(TABLE, [["name", "==", lb_id]]),
        )

    def _refs(self, lb_id):
        return [["uuid", row["_uuid"]] for row in self.rows(lb_id)]

    def edit(self, row, **keys):
        """Set keys of external_ids; None removes one."""
        found = {**row["external_ids"], **keys}
        found = {key: value for key, value in found.items() if value is not None}
        self.lab.nb.transact(
            update(TABLE, [["_uuid", "==", ["uuid", row["_uuid"]]]], {"external_ids": omap(found)})
        )

    # --- commands

    def command(self, *arguments):
        return subprocess.run(
            [
                self.lab.python,
                "-m",
                "octavia_ovn.cli",
                *arguments,
                "--config-file",
                self.lab.worker_config,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def check(self, *arguments):
        done = self.command("check", "--json", *arguments)
        assert done.stdout, done.stderr
        found = json.loads(done.stdout)["load_balancers"]
        return done.returncode, {each["id"]: each["finding"] for each in found}

    def sync(self, *arguments):
        done = self.command("sync", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def do_sync(self, **filters):
        with self.lab.octavia.workers.session() as session:
            session.call("do_sync", provider="ovn", **filters)


def _list(value):
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def world(make_lab):
    with make_lab(config={"ovn": {"sync_interval": "0", "pending_grace": "0"}}) as lab:
        yield World(lab)


@pytest.fixture
def healthy(world):
    """Load balancers that must not be touched."""
    lb_ids = [world.create(), world.create_two_protocols(), world.create(listeners=0, pools=0)]
    before = world.settle()
    kept = {row["_uuid"] for lb_id in lb_ids for row in world.rows(lb_id)}
    yield lb_ids
    now = world.settle()
    assert {uuid: now[uuid] for uuid in kept} == {uuid: before[uuid] for uuid in kept}
    for lb_id in lb_ids:
        world.lab.octavia.delete_load_balancer(lb_id, cascade=True)


def comes_back(world, lb_id, looks):
    wait_until(lambda: world.looks(lb_id) == looks, PATIENCE, 0.05)
    assert world.looks(lb_id) == looks
    world.settle()
    assert world.check("--loadbalancer", lb_id) == (0, {lb_id: "right"})


def test_nothing_is_written_for_what_is_right(world, healthy):
    before = world.settle()
    world.do_sync()
    world.sync()
    assert world.check()[0] == 0
    assert world.settle() == before


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


def test_one_that_cannot_be_compared_does_not_stop_the_others(world, healthy):
    bad, missing = world.create(), world.create()
    looks = world.looks(missing)
    world.settle()
    world.wipe(missing)
    listener = world.lab.octavia.store.find("listeners", load_balancer_id=bad)[0]
    with world.lab.octavia.store.begin() as transaction:
        transaction.update("listeners", listener["id"], protocol="PROMETHEUS")
    status, found = world.check()
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
    done = subprocess.run(
        [
            world.lab.python,
            "-c",
            "import sys; from octavia_ovn.cli.db_sync import main; sys.exit(main())",
            "--config-file",
            world.lab.worker_config,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
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
