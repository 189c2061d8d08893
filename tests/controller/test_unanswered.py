# SPDX-License-Identifier: Apache-2.0
"""Reports that Octavia has applied without an answer, and requests that it has accepted since."""

import pytest

from octavia_ovn.core.request import changes
from octavia_ovn.errors import Unanswered
from tests.controller.agent import Agent
from tests.controller.openstack import Port
from tests.controller.stories import CHECKED, DOWN, GONE


@pytest.fixture
def agent():
    """An agent that is about to send a report again."""
    agent = Agent()
    agent.neutron.ports["vip-port"] = Port("vip-port", "ovn-lb-vip-lb1")
    agent.created(CHECKED)
    apply = agent.octavia.update_status

    def apply_in_silence(status):
        apply(status)
        raise Unanswered("time-out")

    agent.octavia.update_status = apply_in_silence
    agent.settle()
    agent.octavia.update_status = apply
    assert agent.octavia.provisioning["lb1"] == "ACTIVE"
    return agent


def test_they_do_not_end_a_deletion(agent):
    agent.neutron.error = DOWN
    agent.asked(GONE)
    agent.waits(1)
    assert agent.octavia.provisioning["lb1"] == "PENDING_DELETE"

    agent.neutron.error = None
    agent.waits(61)
    assert agent.rows == ()
    assert agent.octavia.provisioning["lb1"] == "DELETED"


def test_they_do_not_end_another_request(agent):
    owned, problem = agent.octavia.owned, [DOWN]

    def ask(*question):
        if problem:
            raise problem[0]
        return owned(*question)

    agent.octavia.owned = ask
    agent.octavia.provisioning["lb1"] = "PENDING_UPDATE"
    agent.asked(changes.DeleteMember("p1", "m1"))
    agent.waits(1)
    assert agent.octavia.provisioning["lb1"] == "PENDING_UPDATE"

    problem.clear()
    agent.waits(61)
    assert agent.octavia.provisioning["m1"] == "DELETED"
    assert agent.ended("lb1")
