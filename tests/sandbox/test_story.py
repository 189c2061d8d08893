# SPDX-License-Identifier: Apache-2.0
"""The main job: made through Octavia, carried by packets, gone without a trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sandbox import shell
from tests.sandbox.scenery import BACKENDS

if TYPE_CHECKING:
    from tests.sandbox.scenery import Scenery


@pytest.mark.parametrize("client", ["near", "far"])
def test_both_servers_answer_through_the_vip(scenery: Scenery, client: str) -> None:
    lb = scenery.complete()

    answers = scenery.ask(client, lb["vip_address"])

    assert set(answers) == set(BACKENDS)


def test_both_servers_answer_through_a_floating_ip(scenery: Scenery) -> None:
    floating = scenery.floating_ip(scenery.complete())

    answers = scenery.ask("outside", floating)

    assert set(answers) == set(BACKENDS)


def test_a_stopped_server_does_not_answer(scenery: Scenery) -> None:
    lb = scenery.complete()
    scenery.stack.guests.stop_server("web1")
    try:
        answers = scenery.ask("near", lb["vip_address"])
    finally:
        scenery.stack.guests.start_server("web1")

    assert answers["web1"] == 0
    assert answers["web2"] > 0


def test_everything_is_active(scenery: Scenery) -> None:
    tree = scenery.statuses(scenery.complete())

    listener = tree["listeners"][0]
    pool = listener["pools"][0]
    found = [tree, listener, pool, *pool["members"]]
    assert [one["provisioning_status"] for one in found] == ["ACTIVE"] * 5
    assert [one["operating_status"] for one in found] == ["ONLINE"] * 3 + ["NO_MONITOR"] * 2


def test_deleting_member_pool_and_listener_one_by_one(scenery: Scenery) -> None:
    lb = scenery.complete()
    cloud = scenery.cloud
    pool = cloud.octavia("GET", "/pools")["pools"][0]

    cloud.octavia("DELETE", f"/pools/{pool['id']}/members/{pool['members'][0]['id']}")
    cloud.wait_for(lb["id"])
    assert len(cloud.octavia("GET", f"/pools/{pool['id']}/members")["members"]) == 1
    cloud.octavia("DELETE", f"/pools/{pool['id']}")
    cloud.wait_for(lb["id"])
    cloud.octavia("DELETE", f"/listeners/{pool['listeners'][0]['id']}")
    cloud.wait_for(lb["id"])
    cloud.octavia("DELETE", f"/loadbalancers/{lb['id']}")
    cloud.wait_for(lb["id"], "DELETED")

    assert scenery.left_in_nb() == {}
    assert scenery.left_in_neutron() == []


def test_deletion_with_cascade_leaves_nothing(scenery: Scenery) -> None:
    lb = scenery.complete()
    scenery.floating_ip(lb)

    scenery.cloud.octavia("DELETE", f"/loadbalancers/{lb['id']}?cascade=true")
    scenery.cloud.wait_for(lb["id"], "DELETED")

    assert scenery.left_in_nb() == {}
    assert scenery.left_in_neutron() == []


def test_the_same_with_the_openstack_command(scenery: Scenery) -> None:
    subnet = scenery.web

    made = json.loads(
        _openstack(
            scenery,
            f"loadbalancer create --provider ovn --vip-subnet-id {subnet} --name typed --wait",
        )
    )
    _openstack(
        scenery,
        "loadbalancer listener create --protocol TCP --protocol-port 80 typed --wait",
    )
    listed = json.loads(_openstack(scenery, "loadbalancer list"))

    assert made["provisioning_status"] == "ACTIVE"
    assert [(one["name"], one["provider"]) for one in listed] == [("typed", "ovn")]


def _openstack(scenery: Scenery, words: str) -> str:
    settings = scenery.stack.settings
    environment = {**settings.base_environment, **settings.client_environment}
    return shell.run(["openstack", *words.split(), "-f", "json"], env=environment)
