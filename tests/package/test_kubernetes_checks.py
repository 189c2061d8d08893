# SPDX-License-Identifier: Apache-2.0
"""Requests of Kubernetes' controller for externalTrafficPolicy Local: HTTP checks of another port.

It asks so of other providers today.
"""

import types

import pytest
from octavia_lib.api.drivers import data_models, exceptions

from octavia_ovn import driver, wiring
from octavia_ovn.adapters.northbound.intents import IntentRows
from octavia_ovn.adapters.octavia.data_models import DriverDefaults
from octavia_ovn.controller.record import Recorder
from octavia_ovn.core import codec
from octavia_ovn.core.request.admission import Admission
from octavia_ovn.core.topology import Subnet
from tests.core.database import Database

CIDR = "10.0.0.0/24"
NODE_PORTS = {"TCP": 30080, "UDP": 30053}
CHECK = {"type": "HTTP", "url_path": "/healthz", "http_method": "GET", "expected_codes": "200"}


class Rows(IntentRows):
    """A program on a chassis reports, or none does."""

    reports = True

    def announces(self, mark, deadline):
        return self.reports

    def router_subnets(self, network_ids, deadline):
        return iter(())


class Worker:
    """What the driver needs of an API worker, over rows in memory."""

    def __init__(self):
        self.defaults = DriverDefaults()
        self.recorder = self
        self.cidr = {"sub1": CIDR}.get
        self.vip_ports = types.SimpleNamespace(is_user_port=lambda _: False, undo=lambda _: None)
        self.db = Database()
        self.rows = Rows(None)
        self.enable()

    def enable(self, *, enabled=True):
        subnet = Subnet("sub1", "net1", CIDR)
        self._recorder = Recorder(self.rows, 5.0, lambda _: subnet, Admission(probes=enabled))

    def record(self, request, **_):
        self.db.write(self._recorder.plan(request, self.db.of("lb1")))

    def pool(self, protocol):
        return codec.decode(self.db.of("lb1")).lb.pool(f"pool-{protocol}")


@pytest.fixture
def worker(monkeypatch):
    found = Worker()
    monkeypatch.setattr(wiring, "get", lambda: found)
    return found


def members(protocol, *nodes, port=30200):
    """Return nodes as Octavia passes them."""
    return [
        data_models.Member(
            member_id=f"{protocol}-{node}",
            address=f"10.0.0.{node}",
            protocol_port=NODE_PORTS[protocol],
            subnet_id="sub1",
            monitor_port=port,
            monitor_address=None,
        )
        for node in nodes
    ]


def ensure(*nodes):
    """Ask for the load balancer of a Service with a TCP and a UDP port."""
    monitor = {**CHECK, "delay": 5, "timeout": 3, "max_retries": 1, "max_retries_down": 3}
    pools = [
        data_models.Pool(
            pool_id=f"pool-{each}",
            protocol=each,
            lb_algorithm="SOURCE_IP_PORT",
            members=members(each, *nodes),
            healthmonitor=data_models.HealthMonitor(healthmonitor_id=f"hm-{each}", **monitor),
        )
        for each in NODE_PORTS
    ]
    given = data_models.LoadBalancer(
        loadbalancer_id="lb1",
        vip_address="10.0.0.100",
        vip_port_id="port",
        vip_subnet_id="sub1",
        vip_network_id="net1",
        pools=pools,
    )
    driver.OvnProviderDriver().loadbalancer_create(given)


def update(protocol, *nodes, **fields):
    driver.OvnProviderDriver().member_batch_update(
        f"pool-{protocol}", members(protocol, *nodes, **fields)
    )


def test_a_service_is_checked_at_the_node_port_for_health(worker):
    ensure(1, 2)
    for protocol in NODE_PORTS:
        update(protocol, 2, 3)

        pool = worker.pool(protocol)
        assert {each.address: each.monitor_port for each in pool.members} == {
            "10.0.0.2": 30200,
            "10.0.0.3": 30200,
        }
        assert {name: getattr(pool.monitor, name) for name in CHECK} == CHECK


def test_it_is_refused_where_nothing_would_check_it(worker):
    worker.rows.reports = False
    with pytest.raises(exceptions.UnsupportedOptionError, match="none reports to the agent"):
        ensure(1, 2)
    worker.enable(enabled=False)
    with pytest.raises(exceptions.UnsupportedOptionError, match="not by HTTP"):
        ensure(1, 2)
    assert worker.db.all() == ()


@pytest.mark.parametrize("enabled", [True, False], ids=["no program reports", "switched off"])
def test_nodes_can_leave_and_come_under_other_checks_when_it_ends(worker, enabled):
    ensure(1, 2, 3)
    worker.rows.reports = False
    worker.enable(enabled=enabled)

    update("TCP", 1, 2)
    update("UDP", 1, port=None)

    assert [each.monitor_port for each in worker.pool("TCP").members] == [30200, 30200]
    assert [each.monitor_port for each in worker.pool("UDP").members] == [None]
    reason = "none reports to the agent" if enabled else "monitor_port: OVN checks members at"
    for nodes, port in (((1, 2), 30201), ((1, 2, 4), 30200)):
        with pytest.raises(exceptions.UnsupportedOptionError, match=reason):
            update("TCP", *nodes, port=port)
    assert len(worker.pool("TCP").members) == 2


@pytest.mark.parametrize("enabled", [True, False], ids=["no program reports", "switched off"])
def test_an_http_monitor_can_be_changed_and_deleted_when_it_ends(worker, enabled):
    ensure(1)
    worker.rows.reports = False
    worker.enable(enabled=enabled)
    known = {"healthmonitor_id": "hm-TCP", "pool_id": "pool-TCP"}
    provider, old = driver.OvnProviderDriver(), data_models.HealthMonitor(**known, **CHECK)

    for fields in ({"name": "other"}, {"delay": 9, "type": "HTTP"}, {"url_path": "/livez"}):
        new = data_models.HealthMonitor(healthmonitor_id="hm-TCP", **fields)
        provider.health_monitor_update(old, new)
    assert (worker.pool("TCP").monitor.delay, worker.pool("TCP").monitor.url_path) == (9, "/livez")

    provider.health_monitor_delete(old)
    assert worker.pool("TCP").monitor is None
    with pytest.raises(exceptions.UnsupportedOptionError):
        provider.health_monitor_create(
            data_models.HealthMonitor(**known, **CHECK, delay=5, timeout=3, max_retries=1)
        )
