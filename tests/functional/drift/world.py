# SPDX-License-Identifier: Apache-2.0
"""A cloud with load balancers to damage."""

import json
import subprocess
import time

from tests.lab.env import wait_until
from tests.lab.ovsdb import delete, mutate, omap, oset, update
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
        return self.python("-m", "octavia_ovn.cli", *arguments)

    def python(self, *arguments):
        return subprocess.run(
            [self.lab.python, *arguments, "--config-file", self.lab.worker_config],
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


def comes_back(world, lb_id, looks):
    wait_until(lambda: world.looks(lb_id) == looks, PATIENCE, 0.05)
    assert world.looks(lb_id) == looks
    world.settle()
    assert world.check("--loadbalancer", lb_id) == (0, {lb_id: "right"})
