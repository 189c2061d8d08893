# SPDX-License-Identifier: Apache-2.0
"""Three controllers: one agent acts, another takes over, and nothing harmful is done twice."""

import contextlib
import os
import signal
import time

import pytest

from tests.functional.ovsdb.server import free_ports, run
from tests.lab.env import wait_until
from tests.lab.invariants import Oracle
from tests.lab.ovsdb import insert, mutate, named, oset
from tests.lab.tenant import Tenant

PROBE = 1000  # milliseconds of silence after which server and agents probe each other
MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
ACTS, STANDS_BY = "Acquired OVSDB lock octavia_ovn_agent", "Lost OVSDB lock octavia_ovn_agent"


class Controllers:
    """Agents that reach the database over TCP, as those of several hosts do."""

    def __init__(self, lab):
        self.lab = lab
        self._config = lab.env.write_config(
            "tcp.conf",
            self._listen(),
            lab.keystone.auth_options(),
            lab.agent_neutron.url,
            {**lab._config, "ovn": {**lab._config["ovn"], "ovsdb_probe_interval": str(PROBE)}},
        )
        self.agents = []

    def _listen(self):
        """Have the server listen on TCP, where it probes its clients as often as they it."""
        (port,) = free_ports(1)
        connection = {"target": f"ptcp:{port}:127.0.0.1", "inactivity_probe": PROBE}
        self.lab.nb.transact(
            insert("Connection", connection, "new"),
            mutate("NB_Global", [], ("connections", "insert", oset([named("new")]))),
        )
        control = self.lab.env.nb.control
        run(
            "ovs-appctl",
            "-t",
            control,
            "ovsdb-server/add-remote",
            "db:OVN_Northbound,NB_Global,connections",
        )
        return f"tcp:127.0.0.1:{port}"

    def start(self):
        """Start one more; it is there when it follows the database."""
        agent = self.lab.new_agent(self._config)
        self.agents.append(agent)
        assert wait_until(lambda: "agent has started" in log_of(agent), 20) is not None
        return agent

    def acting(self):
        """The active agent, once there is exactly one."""
        assert wait_until(lambda: len(self._acting()) == 1, 15) is not None
        return self._acting()[0]

    def _acting(self):
        return [agent for agent in self.agents if does_act(agent)]

    def stop(self):
        for agent in self.agents:
            with contextlib.suppress(ProcessLookupError):
                if agent.pid:
                    os.kill(agent.pid, signal.SIGCONT)
            agent.stop()


def log_of(agent):
    return agent.log_file.read_text(encoding="utf-8")


def does_act(agent):
    """Whether the last that it said of the lock is that it has it."""
    log = log_of(agent)
    return agent.is_alive and log.rfind(ACTS) > log.rfind(STANDS_BY)


@pytest.fixture
def lab(make_lab):
    with make_lab(agent=False) as lab:
        yield lab


@pytest.fixture
def controllers(lab):
    controllers = Controllers(lab)
    yield controllers
    controllers.stop()


@pytest.fixture
def tenant(lab):
    tenant = Tenant(lab, "three")
    tenant.vm(9)
    return tenant


def ends(lab, operation, timeout=15):
    """Wait for the end of a request; return the seconds that it took from now."""
    began = time.monotonic()
    assert lab.octavia.finish(operation, timeout) is not None, lab.octavia.stuck()
    return time.monotonic() - began


def is_well(lab, *lb_ids):
    assert lab.settle(), (lab.octavia.stuck(), lab.waited_for())
    oracle = Oracle(lab)
    for lb_id in lb_ids:
        wait_until(lambda lb_id=lb_id: not oracle.complaints(lb_id), 10, 0.05)
        assert oracle.complaints(lb_id) == []
    assert lab.octavia.orphans() == lab.octavia.revived == []


def test_one_of_three_acts_and_each_end_of_it_is_made_good(lab, controllers, tenant):
    for _ in range(3):
        controllers.start()
    octavia = lab.octavia
    lb = tenant.create_lb(1, 1, 2)
    ends(lab, lb)
    pool = octavia.store.find("pools", load_balancer_id=lb.id)[0]["id"]

    # Killed: the kernel closes its connection, the server gives the lock away.
    first = controllers.acting()
    first.kill_all()
    operation = octavia.create_health_monitor(pool, **MONITOR)
    assert ends(lab, operation) < PROBE / 1000

    # Stopped as an operator does: at once as well.
    second = controllers.acting()
    assert second is not first
    second.stop()
    operation = octavia.create_member(pool, **tenant.member(5))
    assert ends(lab, operation) < 1

    # No agent is left: requests and events of that time are processed later.
    third = controllers.acting()
    assert third not in (first, second)
    third.kill_all()
    operation = octavia.create_listener(lb.id, protocol="TCP", protocol_port=443)
    vip_port = octavia.row("loadbalancers", lb.id)["vip_port_id"]
    fip = lab.neutron.associate_fip(vip_port, tenant.external["id"])
    assert octavia.finish(operation, 0.5) is None
    controllers.start()
    ends(lab, operation)
    is_well(lab, lb.id)
    row = lab.nb.select("Load_Balancer", [["name", "==", lb.id]])[0]
    assert f"{fip['floating_ip_address']}:80" in row["vips"]
    # Four agents have reconciled the monitor: there is one port to check from.
    assert lab.agent_neutron.requests["POST /v2.0/ports"] == 1


def test_an_agent_that_was_paused_cannot_do_harm(lab, controllers, tenant):
    """A paused process does not answer the server: it loses the lock and does not know it."""
    controllers.start()
    lb = tenant.create_lb(1, 1, 2)
    ends(lab, lb)
    pool = lab.octavia.store.find("pools", load_balancer_id=lb.id)[0]["id"]
    paused = controllers.acting()
    other = controllers.start()

    pid = paused.pid
    os.kill(pid, signal.SIGSTOP)
    operation = lab.octavia.create_member(pool, **tenant.member(5))
    # One interval of silence, one for the answer that does not come.
    assert ends(lab, operation) < 2 * PROBE / 1000 + 1
    ends(lab, lab.octavia.create_health_monitor(pool, **MONITOR))
    for number in range(20):
        operation = lab.octavia.update_pool(
            pool, lb_algorithm="SOURCE_IP" if number % 2 else "SOURCE_IP_PORT"
        )
        if number == 10:
            os.kill(pid, signal.SIGCONT)
        ends(lab, operation)
    assert does_act(other)
    assert wait_until(lambda: not does_act(paused), 5) is not None
    is_well(lab, lb.id)

    other.kill_all()
    ends(lab, lab.octavia.create_member(pool, **tenant.member(6)))
    is_well(lab, lb.id)


def test_an_orphan_does_not_act_on(lab, controllers, tenant):
    """octavia-driver-agent is killed; its provider agent does not outlive it for long."""
    agent = controllers.start()
    controllers.acting()
    pid = agent.pid
    agent.kill_parent()
    assert wait_until(lambda: not _exists(pid), 5) is not None
    successor = controllers.start()
    ends(lab, tenant.create_lb(1, 1, 1))
    assert controllers.acting() is successor


def _exists(pid):
    """Whether a process lives; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
