# SPDX-License-Identifier: Apache-2.0
"""What an API worker says of a request whose fate is not known."""

import pytest

from octavia_ovn.adapters.northbound.intents import IntentRows
from octavia_ovn.adapters.ovsdb.session import NotSent
from octavia_ovn.controller.record import Recorder
from octavia_ovn.core.request import changes, limits
from octavia_ovn.core.request.admission import Admission
from octavia_ovn.errors import NotFound, Unanswered
from tests.core.builders import balancer, listener, member, monitor, pool


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


class Asked:
    """A server that answers about NB_Global and nothing else, and knows how often."""

    def __init__(self, external_ids):
        self._external_ids = external_ids
        self.asked = 0

    def select(self, table, _, columns, *__):
        if table != "NB_Global":
            return []
        assert columns == ["external_ids"]
        self.asked += 1
        return [{"external_ids": self._external_ids}]

    def transact(self, *_):
        pass


REPORTING = {"octavia-ovn-probes": "true"}
HTTP = changes.CreateLoadBalancer(balancer(pools=[pool(monitor=monitor("HTTP"))]))


def record(session, *, enabled, request=HTTP):
    rows = IntentRows(session)
    recorder = Recorder(rows, 5.0, lambda _: None, Admission(probes=enabled))
    return recorder.record(request, lb_id="lb1")


def test_a_check_that_ovn_cannot_make_is_recorded_while_a_program_on_a_chassis_reports():
    session = Asked(REPORTING)

    assert record(session, enabled=True)
    assert session.asked == 1


@pytest.mark.parametrize("external_ids", [{}, {"octavia-ovn-probes": "false"}])
def test_and_else_it_is_refused_with_the_way_out(external_ids):
    with pytest.raises(limits.Unsupported, match="octavia-ovn-chassis, and none reports"):
        record(Asked(external_ids), enabled=True)


def test_where_the_operator_has_not_enabled_it_the_database_is_not_asked():
    session = Asked(REPORTING)

    with pytest.raises(limits.Unsupported, match=r"not by HTTP; .*\[ovn_health\] enabled\.$"):
        record(session, enabled=False)
    assert session.asked == 0


@pytest.mark.parametrize("enabled", [True, False])
def test_other_requests_do_not_ask(enabled):
    """Nor does a comparison with Octavia: it must be able to restore what tenants have."""
    session = Asked({})
    for request in (
        changes.CreateLoadBalancer(balancer(pools=[pool(monitor=monitor())])),
        changes.Restore(HTTP.lb),
    ):
        assert record(session, enabled=enabled, request=request)
    assert session.asked == 0


LIMIT = changes.CreateLoadBalancer(balancer([listener(connection_limit=5)]))


def test_a_limit_of_connections_is_recorded_while_chassis_count():
    session = Asked({"octavia-ovn-statistics": "true"})

    assert record(session, enabled=False, request=LIMIT)
    assert session.asked == 1


@pytest.mark.parametrize("external_ids", [{}, REPORTING, {"octavia-ovn-statistics": "false"}])
def test_a_limit_of_connections_is_refused_while_none_does(external_ids):
    with pytest.raises(limits.Unsupported, match=r"^connection_limit: OVN does not count"):
        record(Asked(external_ids), enabled=True, request=LIMIT)
