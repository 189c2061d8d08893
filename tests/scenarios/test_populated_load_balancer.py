# SPDX-License-Identifier: Apache-2.0
"""Load balancers that are created with all that belongs to them, and their cascading deletion."""

import pytest

from tests.lab.networks import new_id
from tests.lab.ovsdb import delete


def populated(project, network, **pool):
    return {
        "listeners": [
            {"protocol": "TCP", "protocol_port": 80 + number, "default_pool": f"pool-{number}"}
            for number in range(2)
        ],
        "pools": [
            {
                "name": f"pool-{number}",
                "protocol": "TCP",
                "lb_algorithm": "SOURCE_IP_PORT",
                "members": [{"address": network.vm(), "protocol_port": 80} for _ in range(2)],
            }
            | pool
            for number in range(2)
        ],
    }


def test_b13_d49_fully_populated_create_ends_active_and_cascade_takes_all(project):
    """All objects become ACTIVE, the load balancer last; a cascade delete reports each."""
    network = project.network()
    lb = project.load_balancer(network, **populated(project, network))
    assert [len(backends) for backends in lb.vips().values()] == [2, 2]
    project.lab.octavia.assert_active(lb.id)
    lb.delete(cascade=True)
    assert lb.rows() == []


def test_b14_d22_populated_create_with_monitors_and_its_cascade(project):
    """Monitors become ACTIVE, and are reported DELETED with everything else."""
    monitor = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
    network = project.network()
    lb = project.load_balancer(network, **populated(project, network, healthmonitor=monitor))
    assert len(lb.checks()) == 2
    assert len(lb.mappings()) == 4
    checks = set(lb.checks())
    store = project.lab.octavia.store
    monitors = {
        monitor["id"]
        for pool in store.find("pools", load_balancer_id=lb.id)
        for monitor in store.find("healthmonitors", pool_id=pool["id"])
    }
    assert len(monitors) == 2

    statuses = len(project.lab.octavia.statuses)
    lb.delete(cascade=True)
    reported = {
        record["id"]
        for message in project.messages_since(statuses)
        for record in message.get("healthmonitors", ())
    }
    assert monitors <= reported
    left = {row["vip"] for row in project.lab.nb.select("Load_Balancer_Health_Check")}
    assert not checks & left
    project.wait(lambda: not project.monitor_ports(network), "the probing port is removed")


def test_d22_d23_cascade_without_a_row_reports_every_child(project):
    """Although the rows are lost, all children are reported DELETED, so that quota is returned."""
    lb = project.serving(project.network(), members=2, monitor=True)
    project.lab.nb.transact(delete("Load_Balancer", [["name", "==", lb.id]]))
    lb.delete(cascade=True)
    assert lb.provisioning == "DELETED"
    assert project.lab.octavia.orphans() == []


def test_b15_members_of_a_populated_create_belong_to_the_vip_subnet(project):
    """A member without subnet is on the VIP's, and its checks work."""
    network = project.network()
    monitor = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
    lb = project.load_balancer(network, **populated(project, network, healthmonitor=monitor))
    for key, value in lb.external_ids().items():
        if key.startswith("pool_"):
            assert all(member.endswith(network.subnet) for member in value.split(","))


def test_b15_d21_populated_create_refuses_a_member_off_every_subnet(project):
    """An address that no subnet holds is refused, and nothing is left behind."""
    network = project.network()
    wanted = populated(project, network, members=[{"address": "203.0.113.9", "protocol_port": 80}])
    project.refused("create_load_balancer", network.subnet, **wanted)


@pytest.mark.parametrize(
    "pool",
    [
        {"lb_algorithm": "LEAST_CONNECTIONS"},
        {"protocol": "PROXY"},
        {"session_persistence": {"type": "HTTP_COOKIE"}},
        {"healthmonitor": {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 3}},
    ],
    ids=["algorithm", "protocol", "persistence", "monitor"],
)
def test_d13_x3_refused_populated_create_leaves_nothing(project, pool):
    """Everything is validated before anything is written: 501, and no row or port remains."""
    network = project.network()
    lb_id = new_id()
    project.refused(
        "create_load_balancer", network.subnet, id=lb_id, **populated(project, network, **pool)
    )
    assert project.lab.nb.select("Load_Balancer", [["name", "==", lb_id]]) == []
