# SPDX-License-Identifier: Apache-2.0
"""Faults: what was accepted ends, what was refused leaves nothing, others continue."""

import concurrent.futures
import os
import signal

import pytest

from tests.lab.env import open_files, wait_until
from tests.lab.errors import ApiError
from tests.lab.ovsdb import delete
from tests.lab.store import POSTGRESQL
from tests.scenarios.steps import Project


@pytest.fixture
def own_lab(lab):
    """The shared laboratory; what a test stops or cuts is up again afterwards."""
    yield lab
    lab.neutron.http.heal()
    lab.worker_tap.resume()
    lab.agent_tap.resume()
    project = Project(lab)
    project.quiesce()


def start(project, name, /, *args, **fields):
    """Call the API without waiting for the end."""
    return getattr(project.lab.octavia, name)(*args, **fields)


def ends(project, operation, timeout=30):
    assert project.lab.octavia.finish(operation, timeout) is not None, project.lab.octavia.stuck()
    project.quiesce()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as listed:
        return [int(child) for child in listed.read().split()]


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def test_agent_killed_while_requests_run(project, own_lab):
    """What the API accepted before, during and after ends once an agent is back."""
    network = project.network()
    lb = project.serving(network)
    agent = own_lab.agent
    os.kill(agent.pid, signal.SIGKILL)
    member = start(
        project, "create_member", lb.pools()[0].id, address=network.vm(), protocol_port=80
    )
    own_lab.stop_agent()
    assert own_lab.octavia.row("members", member.id)["provisioning_status"] == "PENDING_CREATE"
    own_lab.start_agent()
    ends(project, member)
    project.settled(lb)
    assert len(lb.vips()[f"{lb.vip}:80"]) == 2


def test_d43_worker_killed_after_its_answer_loses_nothing(project, own_lab):
    """A request that was answered is in the database, even if the process dies."""
    network = project.network()
    own_lab.stop_agent()
    operation = start(project, "create_load_balancer", network.subnet)
    for worker in own_lab.octavia.workers.workers:
        os.kill(worker.pid, signal.SIGKILL)
    own_lab.stop_workers()
    own_lab.start_workers()
    own_lab.start_agent()
    ends(project, operation)
    own_lab.octavia.assert_active(operation.id)
    project.do("delete_load_balancer", operation.id)


def test_restart_of_the_agent_changes_nothing(project, own_lab):
    """A new agent finds all as it should be, and writes nothing."""
    network = project.network()
    project.router(network, external=project.external)
    lb = project.serving(network, members=2, monitor=True)
    project.floating_ip(lb.vip_port)
    isolated = project.serving(project.network())
    project.settled(lb, isolated)
    own_lab.stop_agent()
    writes = len(own_lab.agent_tap.writes)
    statuses = len(own_lab.octavia.statuses)
    own_lab.start_agent()
    another = project.load_balancer(network)
    by_agent = own_lab.agent_tap.writes[writes:]
    assert not [write for write in by_agent if another.id not in str(write.operations)][2:]
    for message in project.messages_since(statuses):
        for record in message.get("loadbalancers", ()):
            assert record["id"] == another.id or "provisioning_status" not in record


def test_d54_d6_what_happened_while_the_agent_was_down_is_caught_up(project, own_lab):
    """Floating IP, router interface and health found at the start."""
    network, other = project.network(), project.network()
    router = project.router(network, external=project.external)
    lb = project.serving(network, members=2, monitor=True)
    member = lb.pools()[0].members()[0]
    project.health(member.row["ip_address"], "online")
    own_lab.stop_agent()
    fip = project.floating_ip(lb.vip_port)
    router.connect(other)
    project.health(member.row["ip_address"], "offline")
    own_lab.start_agent()
    project.wait(lambda: member.operating == "ERROR", "the member is found to be down", 20)
    project.settled(lb)
    assert f"{fip['floating_ip_address']}:80" in lb.vips()
    assert lb.is_on(other)


def test_northbound_database_gone_for_the_api(project, own_lab):
    """The API answers with an error in bounded time, and nothing has changed."""
    lb = project.serving(project.network())
    before = lb.rows()
    own_lab.worker_tap.down()
    try:
        with pytest.raises(ApiError):
            lb.listener(81)
    finally:
        own_lab.worker_tap.up()
    assert lb.rows() == before
    assert lb.provisioning == "ACTIVE"
    assert lb.listener(81).provisioning == "ACTIVE"


def test_b22_northbound_database_gone_for_the_agent(project, own_lab):
    """What the API accepted meanwhile ends after recovery."""
    lb = project.serving(project.network())
    own_lab.agent_tap.down()
    operation = start(project, "update_pool", lb.pools()[0].id, lb_algorithm="SOURCE_IP")
    own_lab.agent_tap.up()
    ends(project, operation)
    project.settled(lb)
    own_lab.octavia.assert_active(lb.id)


def test_half_open_connection_of_the_api(project, own_lab):
    """A database that does not answer any more makes a clear error, not a hang."""
    lb = project.serving(project.network())
    own_lab.worker_tap.stall()
    with pytest.raises(ApiError):
        start(project, "create_listener", lb.id, protocol="TCP", protocol_port=81)
    own_lab.worker_tap.resume()
    project.quiesce()
    assert lb.provisioning == "ACTIVE"


def test_driver_agent_sockets_gone_for_a_while(project, own_lab):
    """Statuses are delivered when the driver agent is back."""
    network = project.network()
    own_lab.octavia.driver_listener.stop()
    operation = start(project, "create_load_balancer", network.subnet)
    own_lab.octavia.driver_listener.start()
    ends(project, operation)
    project.do("delete_load_balancer", operation.id)


def test_d41_one_deletion_that_must_wait_does_not_delay_other_load_balancers(project, own_lab):
    """While Neutron refuses to delete one VIP port, others progress."""
    network = project.network()
    slow = project.load_balancer(network)
    fault = own_lab.neutron.http.inject(path=f"/ports/{slow.vip_port}", method="DELETE", status=503)
    deletion = start(project, "delete_load_balancer", slow.id)
    operation = start(project, "create_load_balancer", network.subnet)
    assert own_lab.octavia.finish(operation, 10) is not None
    assert slow.provisioning != "DELETED"
    own_lab.neutron.http.heal(fault)
    ends(project, deletion, 60)
    project.do("delete_load_balancer", operation.id)


def test_d51_d52_status_sent_again_does_not_unlock_a_load_balancer(project, own_lab):
    """While a deletion waits for Neutron, nothing makes the load balancer ACTIVE."""
    lb = project.load_balancer(project.network())
    fault = own_lab.neutron.http.inject(path=f"/ports/{lb.vip_port}", method="DELETE", status=503)
    deletion = start(project, "delete_load_balancer", lb.id)
    try:
        assert wait_until(lambda: lb.provisioning != "PENDING_DELETE", 2) is None, lb.provisioning
    finally:
        own_lab.neutron.http.heal(fault)
        ends(project, deletion, 60)


def test_neutron_gone_while_members_are_monitored(project, own_lab):
    """The probing port is made when Neutron is back; the request ends well."""
    lb = project.serving(project.network())
    own_lab.neutron.http.stop()
    operation = start(
        project,
        "create_health_monitor",
        lb.pools()[0].id,
        type="TCP",
        delay=5,
        timeout=3,
        max_retries=3,
    )
    own_lab.neutron.http.start()
    ends(project, operation, 60)
    project.settled(lb)
    own_lab.octavia.assert_active(lb.id)


def test_keystone_gone_while_a_vip_is_wanted(project, own_lab):
    """Without a token for Neutron the API refuses, or has one already; later all is well."""
    network = project.network()
    own_lab.keystone.http.inject(status=503)
    own_lab.stop_workers()
    own_lab.start_workers()
    with pytest.raises(ApiError):
        start(project, "create_load_balancer", network.subnet)
    own_lab.keystone.http.heal()
    assert project.load_balancer(network).provisioning == "ACTIVE"


def test_b86_b84_many_requests_leak_neither_descriptors_nor_threads(project, own_lab):
    """A worker is as large after a hundred driver objects as before."""
    lb = project.load_balancer(project.network())
    worker = own_lab.octavia.workers.workers[0]
    before = open_files(worker.pid), threads(worker.pid)
    for _ in range(100):
        with own_lab.octavia.workers.session():
            pass
    lb.update(description="once more")
    assert (open_files(worker.pid), threads(worker.pid)) <= before


def test_d44_driver_object_needs_no_service(project, own_lab):
    """Its constructor succeeds while every service is down, and at once."""
    own_lab.worker_tap.down()
    own_lab.octavia.driver_listener.stop()
    own_lab.stop_workers()
    own_lab.start_workers()
    try:
        with own_lab.octavia.workers.session() as session:
            assert session.open_seconds < 5
    finally:
        own_lab.octavia.driver_listener.start()
        own_lab.worker_tap.up()


def test_several_clients_at_once_none_stuck(project, own_lab):
    """Twenty load balancers built by four clients on two workers: all ACTIVE, all right."""
    network = project.network()
    own_lab.stop_workers()
    own_lab.start_workers(2)
    members = [{"address": network.vm(), "protocol_port": 80} for _ in range(2)]

    def build(number):
        octavia = own_lab.octavia
        operation = octavia.create_load_balancer(network.subnet, name=f"lb-{number}")
        octavia.wait_active(operation.id)
        listener = octavia.create_listener(operation.id, protocol="TCP", protocol_port=80)
        octavia.wait_active(operation.id)
        pool = octavia.create_pool(
            listener_id=listener.id, protocol="TCP", lb_algorithm="SOURCE_IP_PORT"
        )
        octavia.wait_active(operation.id)
        octavia.batch_update_members(pool.id, members)
        octavia.wait_active(operation.id)
        return operation.id

    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        lb_ids = list(clients.map(build, range(20)))
    project.quiesce()
    assert own_lab.octavia.stuck() == []
    for lb_id in lb_ids:
        own_lab.octavia.assert_active(lb_id)
        project.do("delete_load_balancer", lb_id, cascade=True)


def test_b80_lost_rows_are_rebuilt_by_failover(project, own_lab):
    """Octavia is the source of truth, floating IP and monitor included."""
    network = project.network()
    project.router(network, external=project.external)
    lb = project.serving(network, members=2, monitor=True)
    lb.pool(lb.listener(53, "UDP"), "UDP").member(network.vm(), 53)
    project.floating_ip(lb.vip_port)
    project.settled(lb)
    vips, checks = lb.vips(), set(lb.checks())
    own_lab.nb.transact(delete("Load_Balancer", [["name", "==", lb.id]]))
    operation = start(project, "failover_load_balancer", lb.id)
    ends(project, operation)
    project.settled(lb)
    assert (lb.vips(), set(lb.checks())) == (vips, checks)


def test_d12_d14_failover_of_a_healthy_load_balancer_writes_no_vips(project):
    """Two protocols, a disabled member: nothing is drained, revived or turned over."""
    network = project.network()
    lb = project.serving(network, members=2)
    lb.pools()[0].members()[0].update(admin_state_up=False)
    lb.pool(lb.listener(53, "UDP"), "UDP").member(network.vm(), 53)
    before = {row["protocol"]: row["vips"] for row in lb.rows()}
    project.lab.nb_log.skip()
    lb.failover()
    for record in project.lab.nb_log.read():
        assert not any("vips" in row for row in record.get("Load_Balancer", {}).values() if row)
    assert {row["protocol"]: row["vips"] for row in lb.rows()} == before


def test_duplicate_of_a_row_is_healed(project, own_lab):
    """Two writers both inserted the first row: one of them stays, and is complete."""
    lb = project.serving(project.network())
    row = lb.rows()[0]
    copy = {"name": lb.id, "protocol": "tcp"}
    copy["external_ids"] = ["map", [list(item) for item in row["external_ids"].items()]]
    own_lab.nb.transact({"op": "insert", "table": "Load_Balancer", "row": copy})
    project.wait(lambda: len(lb.rows()) == 1, "one row is left")
    project.settled(lb)


def test_d50_d51_nothing_is_lost_on_a_database_that_does_not_block(lab):
    """On PostgreSQL a status for a row that is not committed is lost silently: ours is not."""
    flavor, lab.octavia.store.flavor = lab.octavia.store.flavor, POSTGRESQL
    try:
        project = Project(lab)
        network = project.network()
        lb = project.serving(network)
        for _ in range(5):
            lb.pools()[0].member(network.vm())
        project.clean_up()
    finally:
        lab.octavia.store.flavor = flavor


def test_agents_that_stop_leave_the_lock_to_another(project, own_lab):
    """A second agent stands by, and takes over when the first is killed."""
    first = own_lab.agent
    own_lab.start_agent()
    second = own_lab.agent
    try:
        assert wait_until(lambda: second.pid, 10) is not None
        lb = project.serving(project.network())
        os.kill(first.pid, signal.SIGKILL)
        first.stop()
        lb.listener(81)
        assert lb.provisioning == "ACTIVE"
    finally:
        first.stop()
