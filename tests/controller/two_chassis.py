# SPDX-License-Identifier: Apache-2.0
"""Two members on two chassis that probe them."""

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.model import HealthMonitor, MonitorType
from tests.controller.agent import Agent
from tests.controller.chassis import Chassis, Program
from tests.controller.outside import SwitchPort
from tests.controller.stories import VIPS, site
from tests.core.builders import VIP, member

UP, DOWN = HealthState.UP, HealthState.DOWN
HTTP = HealthMonitor("hm1", MonitorType.HTTP, 5, 3, 2, 3, url_path="/up")
WEB = site(member(1), member(2), monitor=HTTP)
SOURCE = SwitchPort(
    "a3a4c9a2-1111-4222-8333-444444444444", addresses=("10.0.0.7",), mac="fa:16:3e:00:00:07"
)
PLACES = {"port1": "a", "port2": "b"}


def network(agent):
    """Two members on one network, with a port to probe from."""
    ports = agent.nb.ports["neutron-net1"]
    ports.names = {"10.0.0.1": "port1", "10.0.0.2": "port2"}
    ports.probe_sources = {"sub1": SOURCE}
    return agent


def with_two_chassis():
    """Return an agent with two chassis, whose programs are not connected yet."""
    return network(Agent(chassis=Chassis(**PLACES)))


def with_programs(lb):
    """Return the same, with the programs `a` and `b`, after a load balancer has been created."""
    agent = with_two_chassis()
    agent.a, agent.b = Program(agent, "a"), Program(agent, "b")
    agent.created(lb)
    return agent.settle()


def with_both_up(lb=WEB):
    """Return the same, after both members have been found UP."""
    agent = with_programs(lb)
    agent.a.finds()
    agent.b.finds()
    assert agent.db.vips() == VIPS
    return agent


def successor_of(agent, *programs):
    """Return the agent that takes over, to which these programs connect."""
    found = network(agent.successor(chassis=Chassis(**PLACES)))
    found.controller.enqueue_all()
    found.settle()
    for each in programs:
        each.connect(found)
    return found


def only(number):
    return {("tcp", f"{VIP}:80"): f"10.0.0.{number}:80" if number else ""}


def passes(agent, seconds, *alive):
    """Let time pass, with signs of life of some programs."""
    for _ in range(seconds):
        agent.clock.passes(1.0)
        for each in alive:
            each.beats()
        agent.settle()
