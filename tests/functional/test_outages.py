# SPDX-License-Identifier: Apache-2.0
"""Services that are gone for a while: refused connections, silence, errors.

While one is away the API answers in bounded time, what it refuses leaves nothing, and the agent
works on for whom it can. When it is back all is as if it had never been away.
"""

import contextlib
import re
import time

import pytest

from tests.lab.env import wait_until
from tests.lab.errors import ApiError
from tests.lab.invariants import Oracle
from tests.lab.tenant import Tenant

pytestmark = pytest.mark.slow

TIMEOUT = 2  # [ovn] ovsdb_connection_timeout
CONFIG = {
    "ovn": {
        "ovsdb_connection_timeout": str(TIMEOUT),
        "sync_interval": "2",
        "pending_grace": "2",
        "retry_max_interval": "1",
    },
    "neutron": {"timeout": "1"},
}
MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}


@pytest.fixture(scope="module")
def lab(make_lab):
    with make_lab(config=CONFIG) as lab:
        yield lab


@pytest.fixture
def tenant(lab):
    return new_tenant(lab)


def new_tenant(lab):
    tenant = Tenant(lab, "outage")
    tenant.vm(9)
    return tenant


@pytest.fixture
def serving(lab, tenant):
    """A load balancer with a listener, a pool and two members; and the pool."""
    return serve(lab, tenant)


def serve(lab, tenant):
    operation = tenant.create_lb(1, 1, 2)
    lab.octavia.wait_active(operation.id)
    assert wait_until(lambda: operation.id not in lab.waited_for(), 10) is not None
    return operation.id, lab.octavia.store.find("pools", load_balancer_id=operation.id)[0]["id"]


@contextlib.contextmanager
def fault(http, **what):
    injected = http.inject(**what)
    try:
        yield
    finally:
        http.heal(injected)


def ends(lab, operation, timeout=15):
    assert lab.octavia.finish(operation, timeout) is not None, lab.octavia.stuck()


def is_well(lab, *lb_ids):
    assert lab.settle(), (lab.octavia.stuck(), lab.waited_for())
    oracle = Oracle(lab)
    for lb_id in lb_ids:
        wait_until(lambda lb_id=lb_id: not oracle.complaints(lb_id), 15, 0.05)
        assert oracle.complaints(lb_id) == []
        if not lab.octavia.is_deleted(lb_id):
            lab.octavia.assert_active(lb_id)


def vip_ports(lab):
    with lab.neutron.locked():
        return {port["name"] for port in lab.neutron.ports.values() if "vip" in port["name"]}


def qos_policies(lab):
    with lab.neutron.locked():
        return {port.get("qos_policy_id") for port in lab.neutron.ports.values()} - {None}


def with_old_policy(lab, lb_id):
    """Have a QoS policy on the VIP's port, as earlier releases put it there."""
    with lab.octavia.store.begin() as transaction:
        transaction.update("loadbalancers", lb_id, vip_qos_policy_id="old")
    (row,) = lab.octavia.store.find("loadbalancers", id=lb_id)
    with lab.neutron.locked():
        lab.neutron.ports[row["vip_port_id"]]["qos_policy_id"] = "old"


# The Northbound database


@pytest.mark.parametrize("half_open", [False, True], ids=["refused", "half-open"])
def test_the_api_says_that_the_database_is_gone(lab, tenant, serving, half_open):
    lb_id, pool_id = serving
    octavia, tap = lab.octavia, lab.worker_tap
    rows, ports = lab.nb.select("Load_Balancer"), vip_ports(lab)
    with_old_policy(lab, lb_id)
    requests = [
        lambda: octavia.create_member(pool_id, **tenant.member(5)),
        lambda: tenant.create_lb(1, 1, 1),
        lambda: octavia.update_load_balancer(lb_id, vip_qos_policy_id=None),
        lambda: octavia.delete_load_balancer(lb_id, cascade=True),
    ]
    (tap.stall if half_open else tap.down)()
    try:
        for request in requests:
            began = time.monotonic()
            with pytest.raises(ApiError, match="service that the provider needs") as caught:
                request()
            assert "OVN_Northbound at unix" in caught.value.trace
            assert caught.value.kind == "DriverError"
            assert time.monotonic() - began < TIMEOUT + 1.5
            octavia.assert_active(lb_id)
        assert lab.nb.select("Load_Balancer") == rows
        assert qos_policies(lab) == {"old"}
    finally:
        (tap.resume if half_open else tap.up)()
    # What was on its way to a silent server may arrive now; then the agent's comparison takes it
    # back, or the load balancer goes as its user has asked for.
    assert wait_until(lambda: vip_ports(lab) <= ports, 15, 0.05) is not None
    is_well(lab, lb_id)
    ends(lab, tenant.create_lb(1, 1, 1))


@pytest.mark.parametrize("half_open", [False, True], ids=["refused", "half-open"])
def test_what_was_accepted_while_the_agent_had_no_database(lab, tenant, serving, half_open):
    lb_id, pool_id = serving
    tap = lab.agent_tap
    (tap.stall if half_open else tap.down)()
    operation = lab.octavia.create_member(pool_id, **tenant.member(5))
    assert lab.octavia.finish(operation, 1.0) is None
    (tap.resume if half_open else tap.up)()
    ends(lab, operation)
    is_well(lab, lb_id)


def test_the_database_server_is_killed_and_started_again(lab, tenant, serving):
    lb_id, pool_id = serving
    for number in range(5, 8):
        operation = lab.octavia.create_member(pool_id, **tenant.member(number))
        lab.restart_nb()
        ends(lab, operation)
    is_well(lab, lb_id)


# The Southbound database


def test_only_health_needs_the_southbound_database(lab, tenant, serving):
    lb_id, pool_id = serving
    lab.env.sb.kill()
    try:
        ends(lab, lab.octavia.create_health_monitor(pool_id, **MONITOR))
        ends(lab, lab.octavia.create_member(pool_id, **tenant.member(5)))
        lab.stop_agent()
        lab.start_agent()
        ends(lab, lab.octavia.create_member(pool_id, **tenant.member(6)), 20)
    finally:
        lab.env.sb.start()
    is_well(lab, lb_id)


# Neutron and Keystone

FAULTS = {
    "503": {"status": 503},
    "500": {"status": 500},
    "reset": {"reset": True},
    "silent": {"latency": 1.5, "reset": True},
    "answer lost": {"served": True, "method": "POST"},
}


@pytest.mark.parametrize("name", FAULTS)
def test_no_port_is_left_when_neutron_fails_the_api(lab, tenant, name):
    ports = vip_ports(lab)
    began = time.monotonic()
    with fault(lab.neutron.http, path="/ports", **FAULTS[name]):
        if name == "answer lost":
            # Its port is found again by its name.
            operation = tenant.create_lb(1, 1, 1)
            ends(lab, operation)
            ends(lab, lab.octavia.delete_load_balancer(operation.id, cascade=True))
        else:
            with pytest.raises(ApiError, match="service that the provider needs") as caught:
                tenant.create_lb(1, 1, 1)
            assert "Neutron" in caught.value.trace
            assert caught.value.kind == "DriverError"
    assert time.monotonic() - began < 10
    assert wait_until(lambda: vip_ports(lab) == ports, 15, 0.05) is not None


@pytest.mark.parametrize("name", FAULTS)
def test_others_continue_while_neutron_fails_the_agent(lab, tenant, serving, name):
    lb_id, pool_id = serving
    with fault(lab.agent_neutron, path="/ports", **FAULTS[name]):
        waiting = lab.octavia.create_health_monitor(pool_id, **MONITOR)
        other, _ = serve(lab, new_tenant(lab))
        ends(lab, lab.octavia.create_listener(other, protocol="TCP", protocol_port=443), 2)
        if name != "answer lost":
            assert lab.octavia.finish(waiting, 0.5) is None
    ends(lab, waiting)
    is_well(lab, lb_id, other)


def test_a_quota_that_is_used_up_is_an_error_with_its_reason(lab, tenant, serving):
    lb_id, pool_id = serving
    quota = {"path": "/ports$", "method": "POST", "status": 409, "kind": "OverQuota"}
    with fault(lab.agent_neutron, **quota):
        before = lab.agent_neutron.requests["POST /v2.0/ports"]
        operation = lab.octavia.create_health_monitor(pool_id, **MONITOR)
        ends(lab, operation)
        time.sleep(1)
        assert lab.agent_neutron.requests["POST /v2.0/ports"] - before <= 2
    assert lab.octavia.row("healthmonitors", operation.id)["provisioning_status"] == "ERROR"
    assert lab.octavia.row("loadbalancers", lb_id)["provisioning_status"] == "ACTIVE"
    assert "Injected" in lab.agent_log()
    ends(lab, lab.octavia.delete_health_monitor(operation.id))
    is_well(lab, lb_id)

    ports = vip_ports(lab)
    with fault(lab.neutron.http, **quota), pytest.raises(ApiError, match="Injected"):
        tenant.create_lb(1, 1, 1)
    assert vip_ports(lab) == ports


def test_keystone_is_needed_for_ports_only(lab, tenant, serving):
    lb_id, pool_id = serving
    lab.kill_worker(0)  # the new one has no token yet
    lab.keystone.http.stop()
    try:
        with pytest.raises(ApiError, match="service that the provider needs") as caught:
            tenant.create_lb(1, 1, 1)
        assert re.search("Keystone|Neutron", caught.value.trace)
        ends(lab, lab.octavia.create_member(pool_id, **tenant.member(5)))
    finally:
        lab.keystone.http.start()
    ends(lab, tenant.create_lb(1, 1, 1))
    is_well(lab, lb_id)


# Octavia's driver agent


def test_statuses_wait_for_the_driver_agent(lab, tenant, serving):
    lb_id, pool_id = serving
    lab.octavia.driver_listener.stop()
    operation = lab.octavia.create_member(pool_id, **tenant.member(5))
    assert lab.octavia.finish(operation, 1.0) is None
    lab.octavia.driver_listener.start()
    ends(lab, operation)
    is_well(lab, lb_id)
