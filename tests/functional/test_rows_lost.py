# SPDX-License-Identifier: Apache-2.0
"""Rows that another client deletes come back at once; those that the agent deletes do not."""

import json
import time

import pytest

from octavia_ovn.controller.drift.periodic import FIRST_DELAY, MANY
from tests.functional.drift.world import PATIENCE, World
from tests.lab.env import wait_until
from tests.lab.ovsdb import delete, mutate, oset


@pytest.fixture(scope="module")
def seldom(make_lab):
    """A lab whose agent compares everything every ten minutes, and has done so."""
    with make_lab() as lab:
        own = World(lab)
        own.create()
        time.sleep(FIRST_DELAY + 1)
        yield own


def said(own, words):
    return (own.lab.env.directory / "agent.log").read_text().count(words)


@pytest.mark.parametrize("protocols", [["tcp", "udp"], ["udp"]])
def test_rows_that_another_client_deletes_come_back_at_once(seldom, protocols):
    lb_id = seldom.create_two_protocols()
    looks = seldom.looks(lb_id)
    seldom.settle()
    lost = [row["_uuid"] for row in seldom.rows(lb_id) if row["protocol"] in protocols]
    references = ["load_balancer", "delete", oset([["uuid", each] for each in lost])]
    seldom.lab.nb.transact(
        *(mutate(table, [], references) for table in ("Logical_Switch", "Logical_Router")),
        *(delete("Load_Balancer", [["_uuid", "==", ["uuid", each]]]) for each in lost),
    )
    assert wait_until(lambda: seldom.looks(lb_id) == looks, PATIENCE, 0.05) is not None
    assert said(seldom, f"A row of load balancer {lb_id} was deleted by another client") == len(
        lost
    )


def test_a_wiped_database_comes_back(seldom):
    lb_ids = [seldom.create() for _ in range(MANY + 2)]
    looks = {lb_id: seldom.looks(lb_id) for lb_id in lb_ids}
    seldom.settle()
    seldom.lab.nb.transact(
        *(
            mutate(table, [], ["load_balancer", "delete", oset(references(seldom))])
            for table in ("Logical_Switch", "Logical_Router")
        ),
        delete("Load_Balancer", []),
    )

    def is_back():
        return all(seldom.looks(lb_id) == looks[lb_id] for lb_id in lb_ids)

    assert wait_until(is_back, 90.0, 0.2) is not None


def references(own):
    return [["uuid", row["_uuid"]] for row in own.lab.nb.select("Load_Balancer")]


def test_rows_that_the_agent_deletes_cause_no_comparison(seldom):
    lb_id = seldom.create_two_protocols()
    octavia = seldom.lab.octavia
    (udp,) = octavia.store.find("listeners", load_balancer_id=lb_id, protocol="UDP")
    octavia.delete_listener(udp["id"])
    octavia.wait_active(lb_id)
    (pool,) = octavia.store.find("pools", load_balancer_id=lb_id, protocol="UDP")
    octavia.delete_pool(pool["id"])
    octavia.wait_active(lb_id)
    assert wait_until(lambda: len(seldom.rows(lb_id)) == 1, PATIENCE, 0.05) is not None
    octavia.delete_load_balancer(lb_id, cascade=True)
    assert wait_until(lambda: not seldom.rows(lb_id), PATIENCE, 0.05) is not None
    assert said(seldom, f"A row of load balancer {lb_id} was deleted by another client") == 0


def test_what_others_write_into_rows_deletes_nothing_in_octavia(seldom):
    mine, theirs = seldom.create(), seldom.create()
    looks = seldom.looks(mine)
    seldom.settle()
    octavia = seldom.lab.octavia
    (listener,) = octavia.store.find("listeners", load_balancer_id=theirs)
    (pool,) = octavia.store.find("pools", load_balancer_id=theirs)
    members = octavia.store.find("members", pool_id=pool["id"])
    objects = {
        "members": {each["id"]: "DELETED" for each in members},
        "pools": {pool["id"]: "DELETED"},
        "listeners": {listener["id"]: "DELETED"},
        "loadbalancers": {theirs: "DELETED"},
    }
    (row,) = seldom.rows(mine)
    pending = json.dumps({"requests": ["forged"], "objects": objects})
    seldom.edit(row, **{"octavia:pending": pending})
    seldom.done(mine)
    assert wait_until(lambda: seldom.looks(mine) == looks, PATIENCE, 0.05) is not None
    for table, row_id in (
        ("loadbalancers", mine),
        ("loadbalancers", theirs),
        ("listeners", listener["id"]),
        ("pools", pool["id"]),
        *(("members", each["id"]) for each in members),
    ):
        assert octavia.row(table, row_id)["provisioning_status"] == "ACTIVE"
    assert said(seldom, f"Load balancer {mine}: Octavia has no such part of it") >= 1
