# SPDX-License-Identifier: Apache-2.0
"""What an API worker says of a request whose fate is not known."""

import pytest

from octavia_ovn.adapters.northbound.intents import IntentRows
from octavia_ovn.adapters.ovsdb.session import NotSent
from octavia_ovn.controller.record import Recorder
from octavia_ovn.core.request import changes
from octavia_ovn.core.request.admission import Admission
from octavia_ovn.errors import NotFound, Unanswered
from tests.core.builders import balancer, member


class Session:
    """A server that takes a transaction, dies before it answers, and does not come back."""

    def __init__(self):
        self._dead = False

    def select(self, *_):
        if self._dead:
            raise NotSent("no server is there")
        return []

    def transact(self, *_):
        self._dead = True
        raise Unanswered("the connection was lost")


def test_a_lost_answer_stays_the_reason_when_no_server_can_be_reached_afterwards():
    """The driver takes back the ports of a request that surely was not recorded, and no others."""
    recorder = Recorder(IntentRows(Session()), 5.0, lambda _: None, Admission())

    with pytest.raises(Unanswered, match="connection was lost"):
        recorder.record(changes.CreateLoadBalancer(balancer()), lb_id="lb1")


class Empty:
    """A server whose database has been wiped."""

    def select(self, *_):
        return []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (changes.UpdateLoadBalancer(enabled=True), {"lb_id": "lb1"}),
        (changes.DeleteListener("l1"), {"lb_id": "lb1"}),
        (changes.DeleteMember("p1", "m1"), {"pool_id": "p1"}),
        (changes.PutMember("p1", member(1)), {"pool_id": "p1"}),
    ],
)
def test_a_request_on_lost_rows_names_the_remedy(change, where):
    recorder = Recorder(IntentRows(Empty()), 5.0, lambda _: None, Admission())
    with pytest.raises(NotFound) as refused:
        recorder.record(change, **where)
    for words in ("try again soon", "loadbalancer failover", "octavia-ovn sync"):
        assert words in str(refused.value)
