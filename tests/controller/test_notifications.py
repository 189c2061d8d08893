# SPDX-License-Identifier: Apache-2.0
"""When notifications for billing are sent: after Octavia has accepted how a request has ended."""

import dataclasses

import pytest

from octavia_ovn.controller.tasks import REFUSAL_AGE
from octavia_ovn.core.request import changes, names, record
from octavia_ovn.core.request.events import Event
from octavia_ovn.errors import Refused
from tests.controller.agent import Agent
from tests.controller.openstack import Port
from tests.controller.stories import CHECKED, DOWN, GONE, SITE
from tests.core.builders import member

UPDATE = changes.UpdateLoadBalancer(enabled=False)


class Billed(Agent):
    """An agent whose notifications are recorded; requests have the names that the driver gives."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.sent = []
        self.controller._announce = lambda *event: self.sent.append(event)

    def asked(self, change, lb_id="lb1"):
        self.count += 1
        name = names.name(change, str(self.count))
        self.db.write(record.record(self.db.of(lb_id), change, name))
        self.controller.enqueue(lb_id)

    def since(self, change):
        """What is sent because of a request."""
        self.asked(change)
        before = len(self.sent)
        self.settle()
        return self.sent[before:]


@pytest.fixture
def agent():
    agent = Billed()
    agent.neutron.ports["vip-port"] = Port("vip-port", "ovn-lb-vip-lb1")
    agent.created(SITE)
    return agent


def test_a_life(agent):
    agent.settle()
    assert agent.sent == [("lb1", Event.CREATED)]
    assert agent.since(UPDATE) == [("lb1", Event.UPDATED)]
    assert agent.since(GONE) == [("lb1", Event.DELETED)]


def test_requests_on_parts_and_changes_of_health_send_nothing(agent):
    agent.settle()
    assert agent.since(changes.PutMember("p1", member(3))) == []
    assert agent.since(changes.Resync("lb1")) == []
    agent.enqueue()
    agent.settle()
    assert agent.sent == [("lb1", Event.CREATED)]


def test_nothing_is_sent_before_octavia_has_accepted_the_report(agent):
    agent.octavia.error = DOWN
    agent.settle()
    assert agent.sent == []

    agent.octavia.error = None
    agent.waits(60)
    assert agent.sent == [("lb1", Event.CREATED)]


def test_a_request_merged_with_others_is_sent_once(agent):
    agent.asked(changes.PutMember("p1", member(3)))
    agent.asked(UPDATE)
    agent.settle()

    assert agent.sent == [("lb1", Event.CREATED), ("lb1", Event.UPDATED)]


def test_a_deletion_that_is_refused_is_sent_once_it_succeeds(agent):
    agent.settle()
    agent.neutron.error = Refused("port in use")
    assert agent.since(GONE) == []

    agent.neutron.error = None
    agent.waits(REFUSAL_AGE)
    assert agent.sent == [("lb1", Event.CREATED), ("lb1", Event.DELETED)]


def test_a_successor_sends_what_its_predecessor_has_only_reported(agent):
    """The pending entry is still in the row."""
    agent.until(lambda: agent.octavia.provisioning.get("lb1") == "ACTIVE")
    successor = Billed(outside=(agent.nb, agent.sb, agent.octavia, agent.neutron))
    successor.controller.enqueue_all()
    successor.settle()

    assert agent.sent == []
    assert successor.sent == [("lb1", Event.CREATED)]


def test_a_successor_sends_what_has_ended_before_a_deletion(agent):
    """Octavia has accepted it, so it has accepted the requests before it."""
    agent.settle()
    agent.asked(UPDATE)
    agent.until(lambda: agent.octavia.operating.get("lb1") == "OFFLINE")
    successor = Billed(outside=(agent.nb, agent.sb, agent.octavia, agent.neutron))
    successor.count = agent.count
    successor.asked(GONE)
    successor.controller.enqueue_all()
    successor.settle()

    assert agent.sent == [("lb1", Event.CREATED)]
    assert successor.sent == [("lb1", Event.UPDATED), ("lb1", Event.DELETED)]


def test_a_repair_is_no_event(agent):
    agent.settle()
    assert agent.since(changes.Restore(dataclasses.replace(CHECKED))) == []
    assert agent.since(changes.Abandon("lb1")) == []
