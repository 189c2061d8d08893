# SPDX-License-Identifier: Apache-2.0
"""What the stories of load balancers start from: two members on one network, behind one router."""

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.pending import Kind, deleted
from octavia_ovn.core.request import changes
from octavia_ovn.errors import Unavailable
from tests.controller.agent import Agent
from tests.core.builders import VIP, balancer, listener, member, monitor, pool, vip

KNOWN = vip(cidr="10.0.0.0/24", user_port=False)
DOWN = Unavailable("503")


def site(*members, **fields):
    """A load balancer as the driver records it: all about its VIP is known."""
    return balancer([listener()], [pool(members=members, **fields)], vips=(KNOWN,))


SITE = site(member(1), member(2))
CHECKED = site(member(1), member(2), monitor=monitor())
VIPS = {("tcp", f"{VIP}:80"): "10.0.0.1:80,10.0.0.2:80"}
GONE = changes.DeleteLoadBalancer(balancer(vips=(KNOWN,)), deleted(Kind.MEMBER, ["m9"]))


def agent_with(lb=SITE, *, ports=(1, 2), source="10.0.0.9"):
    """An agent after it has realised a load balancer whose members have answered their checks."""
    agent = Agent()
    for number in ports:
        agent.sb.states[(f"port{number}", f"10.0.0.{number}", 80, "tcp")] = HealthState.UP
    switch = agent.nb.ports["neutron-net1"]
    switch.names = {f"10.0.0.{number}": f"port{number}" for number in ports}
    switch.sources = {"sub1": source} if source else {}
    agent.created(lb)
    return agent.settle()
