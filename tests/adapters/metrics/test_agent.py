# SPDX-License-Identifier: Apache-2.0
"""Metrics without an agent: what is remembered, what is forgotten, and what they cost."""

import subprocess
import sys
import textwrap

import pytest

from octavia_ovn.adapters.metrics.agent import Metrics
from octavia_ovn.adapters.metrics.exporter import served
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.status import Operating
from octavia_ovn.errors import BadConfiguration, Conflict, NotFound, Refused, Unanswered
from tests.controller.outside import Clock
from tests.functional.ovsdb.server import free_ports
from tests.functional.scrape import Scraper

ONE, TWO = "member_put:1", "pool_put:2"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def metrics(clock):
    metrics = Metrics(clock)
    metrics.leads(is_leader=True)
    return metrics


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"octavia_ovn_{name}", labels)


def test_a_request_takes_its_time_from_when_it_was_seen_first(metrics, clock):
    metrics.waits("lb1", (ONE,))
    clock.passes(2)
    metrics.waits("lb1", (ONE, TWO))
    clock.passes(1)

    assert value(metrics, "requests_pending") == 2
    assert value(metrics, "oldest_request_age_seconds") == 3

    metrics.ends("lb1", (ONE,), failed=False)

    assert value(metrics, "request_duration_seconds_sum", kind="member_put") == 3
    assert value(metrics, "requests_total", kind="member_put", result="success") == 1
    assert value(metrics, "requests_pending") == 1
    assert value(metrics, "oldest_request_age_seconds") == 1


def test_a_request_that_was_never_seen_is_counted_without_a_time(metrics):
    metrics.ends("lb1", (ONE,), failed=True)

    assert value(metrics, "requests_total", kind="member_put", result="error") == 1
    assert value(metrics, "request_duration_seconds_count", kind="member_put") is None


def test_a_request_that_is_not_pending_any_more_is_forgotten(metrics):
    metrics.waits("lb1", (ONE,))
    metrics.waits("lb1", ())

    assert value(metrics, "requests_pending") == 0
    assert value(metrics, "oldest_request_age_seconds") == 0


def test_what_vanishes_with_its_load_balancer_is_removed(metrics):
    metrics.waits("lb1", (ONE,))
    metrics.vanishes("lb1")
    metrics.vanishes("lb1")

    assert value(metrics, "requests_total", kind="member_put", result="removed") == 1
    assert value(metrics, "requests_pending") == 0


def statuses(lb_id, status, *members):
    found = {(Kind.LOAD_BALANCER, lb_id): status, (Kind.POOL, "p1"): status}
    return found | {(Kind.MEMBER, str(number)): each for number, each in enumerate(members)}


def test_load_balancers_move_from_one_status_to_another(metrics):
    metrics.shows("lb1", statuses("lb1", Operating.ONLINE, Operating.ONLINE, Operating.ONLINE))
    metrics.shows("lb2", statuses("lb2", Operating.ONLINE))
    metrics.shows("lb1", statuses("lb1", Operating.DEGRADED, Operating.ONLINE, Operating.ERROR))

    assert value(metrics, "load_balancers", operating_status="ONLINE") == 1
    assert value(metrics, "load_balancers", operating_status="DEGRADED") == 1
    assert value(metrics, "members", operating_status="ONLINE") == 1
    assert value(metrics, "members", operating_status="ERROR") == 1


def test_a_standby_agent_exports_nothing_of_its_last_term(metrics):
    metrics.follows(lambda: 7, lambda: 8.5)
    metrics.waits("lb1", (ONE,))
    metrics.shows("lb1", statuses("lb1", Operating.ONLINE, Operating.ONLINE))

    assert value(metrics, "queue_length") == 7
    assert value(metrics, "queue_age_seconds") == 8.5

    metrics.leads(is_leader=False)

    for name in ("lock_held", "requests_pending", "queue_length", "queue_age_seconds"):
        assert value(metrics, name) == 0
    assert value(metrics, "load_balancers", operating_status="ONLINE") == 0
    assert value(metrics, "members", operating_status="ONLINE") == 0


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (NotFound("x"), "not_found"),
        (Conflict("x"), "refused"),
        (Unanswered("x"), "unavailable"),
        (BadConfiguration("x"), "failed"),
        (ZeroDivisionError("x"), "failed"),
    ],
)
def test_the_result_of_a_call_is_its_error(metrics, clock, error, result):
    def call():
        with metrics.calls("neutron", "GET"):
            clock.passes(0.5)
            raise error

    with pytest.raises(type(error)):
        call()

    labels = {"service": "neutron", "operation": "GET"}
    assert value(metrics, "calls_total", **labels, result=result) == 1
    assert value(metrics, "calls_total", **labels, result="success") == 0
    assert value(metrics, "call_duration_seconds_sum", **labels) == 0.5


def test_only_transactions_that_have_written_are_timed(metrics):
    metrics.commits(0.2)
    metrics.commits(30.0, Unanswered("x"))
    metrics.commits(0.1, Refused("x"))
    metrics.conflicts()

    for result in ("success", "unavailable", "refused"):
        assert value(metrics, "transactions_total", result=result) == 1
    assert value(metrics, "transaction_duration_seconds_sum") == 0.2
    assert value(metrics, "transaction_conflicts_total") == 1


def test_chassis_that_probe(metrics):
    metrics.probes(connected=3, silent=1, members=50)
    metrics.flips(HealthState.DOWN, 2)

    assert value(metrics, "chassis", state="connected") == 3
    assert value(metrics, "chassis", state="silent") == 1
    assert value(metrics, "probed_members") == 50
    assert value(metrics, "probe_results_total", state="down") == 2
    assert value(metrics, "probe_results_total", state="up") == 0

    metrics.leads(is_leader=False)
    assert value(metrics, "chassis", state="silent") == 0


def test_an_agent_that_starts_as_standby_exports_no_load_balancers():
    assert value(Metrics(), "load_balancers", operating_status="ONLINE") == 0


def test_the_address_is_free_again_afterwards(metrics):
    """octavia-driver-agent calls an agent that has failed again, in the same process."""
    (port,) = free_ports(1)
    for _ in range(2):
        with served(metrics.registry, "127.0.0.1", port):
            assert "octavia_ovn_lock_held 1.0" in Scraper(port).text()


def run(code):
    """Run code in a fresh interpreter."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_without_metrics_the_library_is_not_loaded():
    loaded = run(
        """
        import sys
        from octavia_ovn import agent, driver
        print("prometheus_client" in sys.modules, "http.server" in sys.modules)
        """
    )

    assert loaded.split() == ["False", "False"]


def test_a_library_that_is_missing_is_named_with_the_option():
    message = run(
        """
        import sys, types
        from octavia_ovn import agent
        sys.modules["prometheus_client"] = None
        try:
            with agent._observer(types.SimpleNamespace(metrics_port=9000)):
                pass
        except agent.BadConfiguration as error:
            print(error)
        """
    )

    assert "[ovn] metrics_port is 9000" in message
    assert "install octavia-ovn[metrics]" in message
