# SPDX-License-Identifier: Apache-2.0
"""Events for billing."""

import pytest

from octavia_ovn.core.request.events import Event, events


def about(status):
    return {"loadbalancers": [{"id": "lb1", "provisioning_status": status}]}


@pytest.mark.parametrize(
    ("request_name", "status", "event"),
    [
        ("load_balancer_create:1", "ACTIVE", Event.CREATED),
        ("load_balancer_update:1", "ACTIVE", Event.UPDATED),
        ("load_balancer_delete:1", "DELETED", Event.DELETED),
        # Before a deletion.
        ("load_balancer_create:1", "DELETED", Event.CREATED),
        ("load_balancer_update:1", "DELETED", Event.UPDATED),
    ],
)
def test_a_request_that_has_succeeded(request_name, status, event):
    assert events([request_name], about(status)) == {request_name: event}


@pytest.mark.parametrize("status", ["ERROR", "ACTIVE"])
def test_a_deletion_that_has_failed(status):
    assert events(["load_balancer_delete:1"], about(status)) == {}


@pytest.mark.parametrize("kind", ["load_balancer_create", "load_balancer_update"])
def test_other_requests_that_have_failed(kind):
    assert events([f"{kind}:1"], about("ERROR")) == {}


@pytest.mark.parametrize("kind", ["member_put", "load_balancer_failover", "repair_restore", "odd"])
def test_requests_on_parts_and_repairs_are_no_events(kind):
    assert events([f"{kind}:1"], about("ACTIVE")) == {}


@pytest.mark.parametrize(
    "message",
    [{}, {"members": []}, {"loadbalancers": [{"id": "lb1", "operating_status": "ONLINE"}]}],
)
def test_a_report_that_ends_nothing_of_the_load_balancer(message):
    assert events(["load_balancer_create:1"], message) == {}


def test_events_keep_the_order_of_the_requests():
    requests = ("load_balancer_create:1", "listener_put:2", "load_balancer_update:3")

    assert list(events(requests, about("ACTIVE")).values()) == [Event.CREATED, Event.UPDATED]
