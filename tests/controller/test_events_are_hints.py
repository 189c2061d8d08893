# SPDX-License-Identifier: Apache-2.0
"""Losing, doubling or reordering events changes nothing in the end."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from octavia_ovn.core.codec import ROUTER_REF
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.request import changes
from tests.controller.agent import Agent
from tests.controller.stories import CHECKED, SITE, agent_with
from tests.core.builders import Cloud

ROUTERS = st.dictionaries(
    st.sampled_from(["R1", "R2", "R3"]),
    st.just({"neutron-net1": ("10.0.0.1/24",), "neutron-net2": ("10.1.0.1/24",)}),
)
FLOATING = st.sampled_from([{}, {("vip-port", "10.0.0.100"): "172.24.4.7"}])
STATES = st.lists(st.sampled_from(list(HealthState)), min_size=2, max_size=2)
WORLD = st.tuples(ROUTERS, FLOATING, STATES)
# What becomes of each event: it is lost, comes once, or comes twice.
HINTS = st.lists(st.integers(0, 2), min_size=8, max_size=8)
THINGS = (
    ("switch", "neutron-net1"),
    ("router", "R1"),
    ("router", "R2"),
    ("router", "R3"),
    ("port", "vip-port"),
    ("backend", "10.0.0.1"),
    ("backend", "10.0.0.2"),
    ("member", "10.0.0.1"),
)


def become(agent: Agent, world):
    """Change the world without any event."""
    routers, fips, states = world
    agent.nb.cloud = Cloud(routers, switches=("neutron-net1", "neutron-net2"), fips=fips)
    for number, state in enumerate(states, start=1):
        agent.sb.states[(f"port{number}", f"10.0.0.{number}", 80, "tcp")] = state


@settings(max_examples=60)
@given(worlds=st.lists(st.tuples(WORLD, HINTS, st.randoms()), min_size=1, max_size=4))
def test_the_end_depends_on_the_last_state_alone(worlds):
    agent = agent_with(CHECKED)

    for world, hints, order in worlds:
        become(agent, world)
        events = [thing for thing, count in zip(THINGS, hints, strict=True) for _ in range(count)]
        order.shuffle(events)
        for event in events:
            agent.changed(event)
        agent.settle()
    agent.enqueue()  # the look that comes now and then without any event
    agent.settle()

    fresh = agent_with(CHECKED)
    become(fresh, worlds[-1][0])
    fresh.enqueue()
    fresh.settle()
    assert content(agent) == content(fresh)
    assert agent.db.answers == fresh.db.answers
    assert agent.octavia.operating == fresh.octavia.operating
    agent.assert_ended(CHECKED)


def content(agent):
    """All that the rows say; of several right routers, the row keeps naming the one it named."""
    rows = []
    for row in agent.rows:
        keys = {key: value for key, value in row.external_ids.items() if key != ROUTER_REF}
        assert row.external_ids.get(ROUTER_REF) in (row.routers or {None})
        rows.append(dataclasses.replace(row, external_ids=keys))
    return rows


def test_a_change_that_is_recorded_while_events_are_lost_is_realised_all_the_same():
    agent = agent_with()
    agent.created(SITE)
    agent.asked(changes.UpdateLoadBalancer(enabled=False))
    agent.controller.queue.ready(100)  # the events are gone

    agent.enqueue()
    agent.settle()

    assert agent.row.vips == {}
