"""What an API worker says of a request whose fate is not known."""

import pytest

from octavia_ovn.adapters.intent_store import IntentStore
from octavia_ovn.adapters.ovsdb_session import NotSent
from octavia_ovn.core import changes
from octavia_ovn.core.admission import Admission
from octavia_ovn.errors import Unanswered
from tests.core.builders import balancer


class Session:
    """A server that takes a transaction, dies before it answers, and does not come back."""

    def __init__(self):
        self._dead = False

    def select(self, *_):
        if self._dead:
            raise NotSent("nobody is there")
        return []

    def transact(self, *_):
        self._dead = True
        raise Unanswered("the connection was lost")


def test_a_lost_answer_stays_the_reason_when_nobody_can_be_asked_any_more():
    """The driver takes back the ports of a request that surely was not recorded, and no others."""
    store = IntentStore(Session(), 5.0, lambda _: None, Admission())

    with pytest.raises(Unanswered, match="connection was lost"):
        store.record(changes.CreateLoadBalancer(balancer()), lb_id="lb1")
