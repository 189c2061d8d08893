# SPDX-License-Identifier: Apache-2.0
"""Marks for chassis that record connections: which load balancers, and of which project."""

import dataclasses

import pytest

from tests.controller.agent import Agent
from tests.core.builders import balancer, listener, member, pool, vip

SITE = balancer(
    [listener()],
    [pool(members=[member(1)])],
    vips=(vip(cidr="10.0.0.0/24", user_port=False),),
)
OURS = dataclasses.replace(SITE, project_id="p1")
MARKS = {"octavia_flow_records": "true", "octavia_project": "p1"}


def marks(agent):
    """The marks of the only row."""
    agent.settle()
    (row,) = agent.rows
    return {key: value for key, value in row.options.items() if key.startswith("octavia_")}


@pytest.mark.parametrize(
    ("lb", "recorded", "expected"),
    [
        (OURS, (), {}),
        (OURS, ("p1", "p2"), MARKS),
        (OURS, ("*",), MARKS),
        (OURS, ("p2",), {}),
        (SITE, ("p1",), {}),
        (SITE, ("*",), {"octavia_flow_records": "true"}),
    ],
    ids=["none", "listed", "all", "not listed", "unknown project", "unknown among all"],
)
def test_marks(lb, recorded, expected):
    agent = Agent(recorded=recorded)
    agent.created(lb)

    assert marks(agent) == expected


def test_an_agent_with_other_options_takes_over():
    agent = Agent()
    agent.created(OURS)
    assert marks(agent) == {}

    for recorded, expected in ((["p1"], MARKS), (["p2"], {}), (["*"], MARKS), ([], {})):
        agent = agent.successor(recorded=recorded)
        agent.controller.enqueue_all()
        assert marks(agent) == expected
