# SPDX-License-Identifier: Apache-2.0
"""Where members are probed, and where not: addresses that tenants name, and places that end."""

import dataclasses

import pytest

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.model import HealthMonitor, MonitorType
from octavia_ovn.core.probing.messages import Result, Results
from tests.controller.chassis import Program
from tests.controller.outside import TENANT
from tests.controller.stories import site
from tests.controller.two_chassis import HTTP, only, passes, with_two_chassis
from tests.core.builders import member


@pytest.fixture
def agent():
    return with_two_chassis()


@pytest.mark.parametrize("kind", [MonitorType.HTTP, MonitorType.HTTPS, MonitorType.TLS_HELLO])
@pytest.mark.parametrize("named", [{}, {"monitor_address": "10.0.0.2"}])
def test_no_request_is_sent_to_a_machine_of_another_project(agent, kind, named):
    """On a shared network, whatever its security groups say."""
    victim = member(1, **named) if named else member(2)
    ours = dataclasses.replace(
        site(victim, monitor=HealthMonitor("hm1", kind, 5, 3, 2)), project_id="attacker"
    )
    b = Program(agent, "b")
    agent.created(ours)
    agent.settle()
    assert b.probes == {}
    assert agent.db.access().groups == ()
    assert agent.octavia.operating[victim.id] == "NO_MONITOR"


@pytest.mark.parametrize("kind", [MonitorType.TCP, MonitorType.PING])
def test_that_it_is_there_may_be_asked_as_ovn_does(agent, kind):
    ours = site(member(2), monitor=HealthMonitor("hm1", kind, 5, 3, 2))
    b = Program(agent, "b")
    agent.created(dataclasses.replace(ours, project_id="other"))
    agent.settle()
    assert set(b.probes) == {"m2"}


def test_a_machine_of_the_same_project_is_asked(agent):
    b = Program(agent, "b")
    agent.created(dataclasses.replace(site(member(2), monitor=HTTP), project_id=TENANT))
    agent.settle()
    assert set(b.probes) == {"m2"}


def test_nobody_is_called_healthy_whose_monitor_address_is_on_no_hypervisor(agent):
    ports = agent.nb.ports["neutron-net1"]
    ports.names["10.0.0.99"] = "port9"
    agent.chassis.places["port9"] = "b"
    b = Program(agent, "b")
    agent.created(site(member(1, monitor_address="10.0.0.99"), monitor=HTTP))
    agent.settle()
    b.finds()
    assert agent.db.vips() == only(1)
    ports.down.add("port9")
    agent.chassis.moves("port9")
    agent.controller.enqueue("lb1")
    passes(agent, 6, b)
    assert agent.db.vips() == only(0)
    assert agent.octavia.operating["m1"] == "ERROR"


def test_results_that_come_without_end_do_not_hold_the_main_loop(agent):
    b = Program(agent, "b")
    agent.created(site(member(2), monitor=HTTP))
    agent.settle()
    (wanted,) = b.probes.values()
    turns = []

    def answer(*_):
        """Say the next as soon as the last is processed."""
        turns.append(1)
        assert len(turns) < 100, "the loop does not turn"
        said = Results((Result(wanted.id, wanted.version, HealthState.UP),))
        agent.probing.received(b, said)
        return frozenset()

    agent.probing.registry.receive = answer
    agent.probing.received(b, Results())
    agent.probing.turn(settled=True)
    assert len(turns) == 1
