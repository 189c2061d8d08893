# SPDX-License-Identifier: Apache-2.0
"""Metrics of a running agent: exact numbers for exact operations."""

import collections
import re

import pytest

from tests.functional.drift.world import World
from tests.functional.ovsdb.server import free_ports
from tests.functional.scrape import PREFIX, Scraper
from tests.lab.env import wait_until
from tests.lab.tenant import Tenant

PATIENCE = 20
TCP = {"protocol": "TCP"}
MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
SUCCESS, ERROR = "success", "error"


@pytest.fixture
def ports():
    return free_ports(2)


@pytest.fixture
def scraper(ports):
    return Scraper(ports[0])


def options(port, **others):
    return {"ovn": {"metrics_port": str(port), "sync_interval": "0", **others}}


def end(lab, operation):
    """Wait until an operation has ended; return the id of its object."""
    assert lab.octavia.finish(operation, PATIENCE) is not None
    assert lab.settle()
    return operation.id


def shows(scraper, metric, wanted):
    """Whether a metric gets these values; it does so some moments after the operation."""
    wait_until(lambda: scraper.of(metric) == wanted, PATIENCE, 0.1)
    assert scraper.of(metric) == wanted
    return True


def test_every_request_is_counted_once(make_lab, ports, scraper):
    with make_lab(config=options(ports[0])) as lab:
        octavia, tenant = lab.octavia, Tenant(lab, "counted")
        tenant.vm(3)
        lb = end(lab, octavia.create_load_balancer(tenant.subnet["id"]))
        listener = end(lab, octavia.create_listener(lb, protocol_port=80, **TCP))
        pool = {"listener_id": listener, "lb_algorithm": "SOURCE_IP_PORT"}
        pool = end(lab, octavia.create_pool(**pool, **TCP))
        member, gone, _ = (
            end(lab, octavia.create_member(pool, **tenant.member(number))) for number in range(3)
        )
        end(lab, octavia.update_member(member, admin_state_up=False))
        end(lab, octavia.update_listener(listener, admin_state_up=False))
        end(lab, octavia.delete_member(gone))
        other = end(lab, tenant.create_lb(2, 2, 2))

        kinds = {
            "load_balancer_create": 2,
            "listener_put": 2,
            "pool_put": 1,
            "member_put": 4,
            "member_delete": 1,
        }
        assert shows(
            scraper, "requests_total", {(kind, SUCCESS): each for kind, each in kinds.items()}
        )
        assert scraper.of("request_duration_seconds_count") == kinds
        assert scraper.of("load_balancers") == {"ONLINE": 2}
        assert scraper.of("members") == {"NO_MONITOR": 5, "OFFLINE": 1}
        writes = len(lab.agent_tap.writes)
        assert scraper.of("transactions_total") == {SUCCESS: writes}
        assert scraper.of("transaction_duration_seconds_count") == {None: writes}
        sent = ("status", SUCCESS, "octavia-driver-agent")
        assert scraper.of("calls_total")[sent] == len(octavia.statuses)
        assert scraper.of("lock_held") == {None: 1}
        assert scraper.of("database_connected") == {"northbound": 1, "southbound": 1}
        zero = ("requests_pending", "oldest_request_age_seconds", "queue_length")
        zero += ("queue_age_seconds", "retries_total", "transaction_conflicts_total")
        assert [scraper.of(name) for name in zero] == [{}] * len(zero)

        end(lab, octavia.delete_load_balancer(other, cascade=True))
        assert shows(scraper, "load_balancers", {"ONLINE": 1})
        assert scraper.of("members") == {"NO_MONITOR": 1, "OFFLINE": 1}
        assert scraper.of("requests_total")["load_balancer_delete", SUCCESS] == 1
        asked = collections.Counter()
        for request, count in lab.agent_neutron.requests.items():
            asked[request.split()[0]] += count
        calls = scraper.of("call_duration_seconds_count")
        assert {what: count for (what, who), count in calls.items() if who == "neutron"} == asked
        check_format(scraper)


def test_failures_and_retries_are_counted(make_lab, ports, scraper):
    with make_lab(config=options(ports[0], retry_max_interval="1")) as lab:
        octavia, tenant = lab.octavia, Tenant(lab, "failing")
        end(lab, tenant.create_lb(1, 1, 2))
        (pool,) = octavia.store.find("pools")
        post = {"path": "/ports$", "method": "POST"}

        lab.agent_neutron.inject(**post, status=503, count=3)
        monitor = end(lab, octavia.create_health_monitor(pool["id"], **MONITOR))
        assert shows(scraper, "retries_total", {"task": 3})
        calls = scraper.of("calls_total")
        assert calls["POST", "unavailable", "neutron"] == 3
        assert calls["POST", SUCCESS, "neutron"] == 1
        assert scraper.of("call_duration_seconds_count")["POST", "neutron"] == 4

        end(lab, octavia.delete_health_monitor(monitor))
        lab.agent_neutron.inject(**post, status=409, kind="OverQuota")
        end(lab, octavia.create_health_monitor(pool["id"], **MONITOR))
        assert scraper.of("calls_total")["POST", "refused", "neutron"] == 1
        octavia.driver_listener.refuse_statuses(2)
        end(lab, octavia.create_member(pool["id"], **tenant.member(3)))
        assert shows(scraper, "retries_total", {"task": 3, "report": 2})
        assert scraper.of("requests_total") == {
            ("load_balancer_create", SUCCESS): 1,
            ("health_monitor_put", SUCCESS): 1,
            ("health_monitor_delete", SUCCESS): 1,
            ("health_monitor_put", ERROR): 1,
            ("member_put", SUCCESS): 1,
        }


def test_a_request_that_waits_grows_old(make_lab, ports, scraper):
    with make_lab(config=options(ports[0])) as lab:
        tenant = Tenant(lab, "waiting")
        end(lab, tenant.create_lb(1, 1, 1))
        (pool,) = lab.octavia.store.find("pools")
        fault = lab.agent_neutron.inject(path="/ports$", method="POST", status=503)
        operation = lab.octavia.create_health_monitor(pool["id"], **MONITOR)
        assert shows(scraper, "requests_pending", {None: 1})
        assert wait_until(
            lambda: scraper.of("oldest_request_age_seconds").get(None, 0) > 1, PATIENCE
        )
        lab.agent_neutron.heal(fault)
        end(lab, operation)
        assert shows(scraper, "requests_pending", {})
        assert scraper.of("request_duration_seconds_sum")["health_monitor_put"] > 1


def test_drift_is_counted_when_found_and_when_repaired(make_lab, ports, scraper):
    config = options(ports[0], sync_interval="1", pending_grace="1")
    with make_lab(config=config) as lab:
        own = World(lab)
        missing, stuck, orphan = (own.create() for _ in range(3))
        own.settle()
        unused = {"name": "ovn-lb-vip-gone", "device_id": "lb-gone"}
        lab.neutron.create_port(own.tenant.network["id"], **unused)
        own.forget(orphan)
        own.wipe(missing)
        own.set_status("PENDING_UPDATE", stuck)

        drift = {"missing": 1, "stuck": 1, "orphaned": 1, "left_port": 1}
        assert shows(scraper, "drift_repaired_total", drift)
        assert scraper.of("drift_found_total") == drift
        requests = {
            ("load_balancer_create", SUCCESS): 3,
            ("repair_restore", SUCCESS): 1,
            ("repair_abandon", "removed"): 1,
        }
        assert shows(scraper, "requests_total", requests)
        compared = scraper.of("comparisons_total")
        assert compared.keys() == {SUCCESS}
        assert compared[SUCCESS] >= 2


def test_two_agents_of_a_host(make_lab, ports, scraper):
    """One has the address; the other says so, works without, and gets it when it is free."""
    with make_lab(config=options(ports[0])) as lab:
        assert shows(scraper, "lock_held", {None: 1})
        other = lab.new_agent()
        try:
            complaint = rf"metrics_port {ports[0]}: .*Address already in use"
            log = other.log_file.read_text
            assert wait_until(lambda: re.search(complaint, log()), PATIENCE) is not None
            lab.stop_agent()
            tenant = Tenant(lab, "two")
            end(lab, tenant.create_lb(1, 1, 1))
            assert shows(scraper, "requests_total", {("load_balancer_create", SUCCESS): 1})
            assert "Metrics are served at 127.0.0.1" in log()
            assert log().count("cannot be served") == 1
        finally:
            other.stop()


def test_a_stand_by_says_so_and_counts_no_load_balancers(make_lab, ports, scraper):
    with make_lab(config=options(ports[0])) as lab:
        end(lab, Tenant(lab, "three").create_lb(1, 1, 1))
        port = {"metrics_port": str(ports[1])}
        config = {**lab._config, "ovn": {**lab._config["ovn"], **port}}
        config = lab.env.write_config(
            "other.conf",
            lab.env.nb.remote,
            lab.keystone.auth_options(),
            lab.agent_neutron.url,
            config,
        )
        other, its = lab.new_agent(config), Scraper(ports[1])
        try:
            assert shows(its, "database_connected", {"northbound": 1, "southbound": 1})
            assert its.of("lock_held") == its.of("load_balancers") == its.of("queue_length") == {}
            lab.stop_agent()
            assert shows(its, "load_balancers", {"ONLINE": 1})
            assert its.of("lock_held") == {None: 1}
        finally:
            other.stop()


def check_format(scraper):
    """What `promtool check metrics` complains about: names, units, help."""
    families = [each for each in scraper.families() if each.name.startswith(PREFIX)]
    assert families
    for family in families:
        assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z]", family.name)
        assert re.match(r"[A-Z].*\.$", family.documentation)
        assert ("Seconds" in family.documentation or "seconds" in family.documentation) == (
            family.name.endswith("_seconds")
        )
        units = re.findall("milli|micro|minutes|hours|ms$|count$|gauge|histogram", family.name)
        assert not units
        for sample in family.samples:
            assert (family.type == "counter") == sample.name.endswith("_total")
            assert all(re.fullmatch("[a-z_]+", label) for label in sample.labels)
