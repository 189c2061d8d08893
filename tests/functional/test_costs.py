# SPDX-License-Identifier: Apache-2.0
"""What each operation costs, in exact numbers: they guard the speed, and are the same anywhere.

Seconds depend on the machine; transactions, round trips, requests and rows do not.
"""

import dataclasses
import time

import pytest

from tests.lab import ovsdb
from tests.lab.env import wait_until
from tests.lab.harness import Lab
from tests.lab.ovn_mirror import ovn_name
from tests.lab.tenant import Tenant

PATIENCE = 20
QUIET = 0.2
OK = 200
MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
TCP = {"protocol": "TCP"}


@dataclasses.dataclass(frozen=True)
class Cost:
    """What an operation costs.

    :param recorded: transactions of the API's worker
    :param trips: round trips of the API's worker to the database
    :param realised: transactions of the agent: the rows, and the removal of the pending entry
    :param neutron: requests to Neutron, of both
    :param statuses: messages to Octavia: one that waits for the commit, unless the request creates
        or changes the load balancer alone, and one with the statuses
    """

    recorded: int = 1
    trips: int = 2
    realised: int = 2
    neutron: int = 0
    statuses: int = 2


class Meter:
    """Counts what operations cost, each from where the last one ended."""

    def __init__(self, lab):
        self._lab = lab
        self.costs = {}
        self._before = self._totals()

    def _totals(self):
        lab = self._lab
        return (
            len(lab.worker_tap.writes),
            lab.worker_tap.round_trips,
            len(lab.agent_tap.writes),
            lab.neutron.http.request_count(),
            len(lab.octavia.statuses),
        )

    def _cost(self):
        return Cost(*(new - old for new, old in zip(self._totals(), self._before, strict=True)))

    def settle(self):
        """Reset the counters once all is quiet."""
        wait_until(lambda: self._quiet(0.5), PATIENCE)
        self._before = self._totals()

    def _quiet(self, seconds):
        before = self._totals()
        time.sleep(seconds)
        return before == self._totals()

    def run(self, name, expected, call, *args, **kwargs):
        """Do an operation; wait until it has cost what is expected, and see that it stays so.

        What it costs too much later is found with the next operation.
        """
        operation = call(*args, **kwargs)
        assert self._lab.octavia.finish(operation, PATIENCE) is not None, f"{name} is stuck"
        self.expect(name, expected)
        return operation

    def expect(self, name, expected):
        wait_until(lambda: self._cost() == expected, 5)
        time.sleep(QUIET)
        self.costs[name] = self._cost()
        self._before = self._totals()


@pytest.fixture(scope="module")
def lab(own_run_dir):
    # Comparisons with Octavia come by the clock.
    with Lab(taps=True, config={"ovn": {"sync_interval": "0"}}) as lab:
        yield lab


@pytest.fixture(scope="module")
def tenant(lab):
    """A warm worker and a warm agent: subnets are known, connections are made."""
    tenant = Tenant(lab, "costs")
    tenant.vm(40)
    lb = tenant.create_lb(1, 1, 1)
    lab.octavia.wait_active(lb.id, PATIENCE)
    return tenant


@pytest.fixture
def meter(lab, tenant):
    meter = Meter(lab)
    meter.settle()
    return meter


def test_every_operation(lab, tenant, meter):
    octavia = lab.octavia
    wanted = {}

    def run(name, expected, call, *args, **kwargs):
        wanted[name] = expected
        return meter.run(name, expected, call, *args, **kwargs)

    lb = run(
        "create LB",
        Cost(trips=3, neutron=1, statuses=1),
        octavia.create_load_balancer,
        tenant.subnet["id"],
    )
    listener = run(
        "create listener",
        Cost(realised=1),  # it has no pool yet: nothing to realise
        octavia.create_listener,
        lb.id,
        protocol_port=80,
        **TCP,
    )
    pool = run(
        "create pool",
        Cost(),
        octavia.create_pool,
        listener_id=listener.id,
        lb_algorithm="SOURCE_IP_PORT",
        **TCP,
    )
    # Only the first request on a pool must ask whose it is.
    member = run("create member", Cost(trips=3), octavia.create_member, pool.id, **tenant.member(0))
    run("create member 2", Cost(), octavia.create_member, pool.id, **tenant.member(1))
    # The first one of a subnet: the port that checks come from is made, and made not to answer ARP.
    monitor = run(
        "create monitor",
        Cost(realised=3, neutron=1),
        octavia.create_health_monitor,
        pool.id,
        **MONITOR,
    )
    run(
        "update monitor",
        Cost(),
        octavia.update_health_monitor,
        monitor.id,
        delay=7,
    )
    run(
        "update member",
        Cost(),
        octavia.update_member,
        member.id,
        admin_state_up=False,
    )
    run("update listener", Cost(), octavia.update_listener, listener.id, admin_state_up=False)
    silent = Cost(realised=1)  # nothing is served any more
    run("update pool", silent, octavia.update_pool, pool.id, admin_state_up=False)
    run(
        "update LB",
        Cost(realised=1, statuses=1),
        octavia.update_load_balancer,
        lb.id,
        admin_state_up=False,
    )
    # Neutron is asked whose a port is before it is deleted.
    run("delete monitor", Cost(neutron=2), octavia.delete_health_monitor, monitor.id)
    run("delete member", Cost(), octavia.delete_member, member.id)
    run(
        "set 40 members",
        Cost(),
        octavia.batch_update_members,
        pool.id,
        [tenant.member(number) for number in range(40)],
    )
    # 41 objects: Octavia deletes 20 in a message at most.
    run("delete pool", Cost(statuses=4), octavia.delete_pool, pool.id)
    run("delete listener", Cost(realised=1), octavia.delete_listener, listener.id)
    run("delete LB", Cost(neutron=2), octavia.delete_load_balancer, lb.id)
    lb = run(
        "create LB with 20 members",
        Cost(trips=3, neutron=1, statuses=1),
        tenant.create_lb,
        2,
        2,
        10,
    )
    run(
        "cascade delete",
        Cost(neutron=2, statuses=3),
        octavia.delete_load_balancer,
        lb.id,
        cascade=True,
    )
    wrong = {name: (meter.costs[name], cost) for name, cost in wanted.items()}
    assert {name: pair for name, pair in wrong.items() if pair[0] != pair[1]} == {}


def test_router_interface_for_many(lab):
    """All load balancers of a network are attached in at most two transactions."""
    tenant = Tenant(lab, "router", connected=False)
    lb_ids = tenant.create_lbs(30, listeners=1, pools=1, members=1)
    meter = Meter(lab)
    meter.settle()
    writes = len(lab.agent_tap.writes)
    tenant.connect()
    where = [["name", "==", ovn_name(tenant.router["id"])]]

    def attached():
        (row,) = lab.nb.select("Logical_Router", where, ["load_balancer"])
        return len(ovsdb.as_list(row["load_balancer"])) == len(lb_ids)

    assert wait_until(attached, PATIENCE)
    time.sleep(QUIET)
    assert len(lab.agent_tap.writes) - writes <= 2


def test_attaching_does_not_rewrite_the_sets_of_others(lab, tenant, meter):
    """One more load balancer is inserted into the sets of router and switches, not rewritten."""
    before = len(lab.agent_tap.writes)
    lb = tenant.create_lb(1, 1, 1)
    lab.octavia.wait_active(lb.id, PATIENCE)
    operations = [each for write in lab.agent_tap.writes[before:] for each in write.operations]
    parents = [
        each for each in operations if each.get("table") in ("Logical_Switch", "Logical_Router")
    ]
    assert parents
    assert {each["op"] for each in parents if each["op"] not in ("wait", "select")} == {"mutate"}


def test_worker_replicates_nothing(lab, tenant):
    assert not lab.worker_tap.rows


def test_agent_does_not_replicate_ports(lab):
    """Switch ports come only of VIPs and of switches with monitored members."""
    other = Tenant(lab, "others")
    lab.agent_tap.rows.clear()
    other.vm(5)
    lb = other.create_lb(1, 1, 1)
    lab.octavia.wait_active(lb.id, PATIENCE)
    assert lab.agent_tap.rows["Logical_Switch_Port"] == 1  # the VIP's


def test_another_agent_start_writes_nothing(lab, tenant, meter):
    lab.agent_tap.rows.clear()
    writes, requests = len(lab.agent_tap.writes), lab.neutron.http.request_count()
    lab.stop_agent()
    lab.start_agent()
    lb = tenant.create_lb()
    lab.octavia.wait_active(lb.id, PATIENCE)
    meter.settle()
    assert len(lab.agent_tap.writes) - writes == 2
    assert lab.neutron.http.request_count() - requests == 1  # the VIP port of the new one
