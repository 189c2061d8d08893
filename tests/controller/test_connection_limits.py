# SPDX-License-Identifier: Apache-2.0
"""Stories of listeners that may have so many connections, and not more."""

import dataclasses

import pytest

from octavia_ovn.controller import connection_limits
from octavia_ovn.controller.connection_limits import PAUSE
from octavia_ovn.core.codec.keys import COUNTS_MARK
from octavia_ovn.core.desired import access_control
from octavia_ovn.core.pending import Kind, deleted
from octavia_ovn.core.request import changes
from octavia_ovn.core.statistics.limited import Counts
from octavia_ovn.core.statistics.totals import SILENCE
from octavia_ovn.core.statistics.traffic import Key
from octavia_ovn.errors import Refused, Unavailable
from octavia_ovn.observer import Observer
from tests.controller.agent import Agent
from tests.core.builders import balancer, listener, member, pool, vip

KNOWN = vip(cidr="10.0.0.0/24", user_port=False)
LIMITED = listener(connection_limit=100)
SITE = balancer([LIMITED], [pool(members=[member(1)])], vips=(KNOWN,))
ENTRANCE = "R1-neutron-net1"


class Story:
    """An agent, and what chassis count."""

    def __init__(self, agent=None, lb=SITE, **options):
        self.agent = agent or Agent(**options)
        if agent is None:
            self.agent.created(lb)
        self.agent.settle()

    def counts(self, *numbers, complete=True, seconds=PAUSE):
        """Chassis count so many connections of each listener; some time has passed."""
        self.agent.clock.passes(seconds)
        keys = sorted(self.agent.limits.keys)
        counts = Counts(dict(zip(keys, numbers, strict=True)), complete, counting=True)
        self.agent.limits.counted(counts)
        self.agent.settle()
        return self

    def silent(self, seconds):
        self.agent.waits(seconds)
        return self

    @property
    def closed(self):
        """The listeners that let none in."""
        return {
            acl.external_ids["octavia:listener_id"]
            for group in self.agent.db.access().groups
            for acl in group.acls
        }

    def successor(self):
        agent = self.agent.successor()
        agent.controller.enqueue_all()
        return Story(agent)


@pytest.fixture
def story():
    return Story()


def test_closed_at_the_limit_and_opened_below_95_percent(story, caplog):
    caplog.set_level("INFO")
    for count, closed in ((99, False), (100, True), (95, True), (94, False), (99, False)):
        assert bool(story.counts(count).closed) is closed, count

    lines = [each.message for each in caplog.records if each.message.startswith("Listener")]
    assert lines == [
        f"Listener l1 of load balancer lb1 has {count} open connections, its limit is 100: new ones"
        f" are {what}"
        for count, what in ((100, "not let in"), (94, "let in again"))
    ]


def test_closed_in_one_transaction_where_clients_enter(story):
    before = story.agent.db.transactions
    story.counts(150)

    (group,) = story.agent.db.access().groups
    assert group.ports == {ENTRANCE, "vip-port"}
    assert story.agent.db.transactions == before + 1
    story.agent.assert_ended(SITE)


def test_nothing_is_written_while_nothing_changes(story):
    story.counts(150)
    before = story.agent.db.transactions
    for count in (151, 120, 96, 200):
        story.counts(count)

    assert story.agent.db.transactions == before


def test_one_change_a_second_at_most(story):
    story.counts(100)
    for _ in range(3):
        assert story.counts(0, seconds=PAUSE / 4).closed
    assert not story.counts(0, seconds=PAUSE / 4).closed

    story.counts(100, seconds=0)
    assert not story.closed
    assert story.silent(PAUSE).closed


def test_who_comes_and_goes_has_ovn_compute_seldom(story):
    """Each change has ovn-northd compute, and is a line in the log."""
    before = story.agent.db.transactions
    for _ in range(100):
        story.counts(100).counts(0)

    # 20 at once, and 200 s.
    assert story.agent.db.transactions - before <= 2 * (20 + 20) + 2


def test_the_limit_holds_however_often_it_was_reached(story):
    for _ in range(30):
        story.counts(100).counts(0)

    story.silent(10)
    assert not story.closed
    assert story.counts(100).closed


def test_what_cannot_be_written_is_tried_with_a_growing_pause(story, caplog):
    story.counts(0)
    story.agent.nb.error = Refused("no")
    story.counts(100)
    for _ in range(120):
        story.silent(0.25)
    tries = [each for each in caplog.records if "next attempt" in each.message]
    story.agent.nb.error = None

    assert len(tries) < 20
    assert story.silent(60).closed


def test_each_listener_by_itself():
    two = [LIMITED, listener("l2", 81, "p2", connection_limit=10)]
    story = Story(lb=balancer(two, [*SITE.pools, pool("p2", [member(2)])], vips=(KNOWN,)))

    assert story.counts(99, 10).closed == {"l2"}
    assert story.counts(100, 9).closed == {"l1"}
    assert story.counts(0, 10).closed == {"l2"}


@pytest.mark.parametrize(
    "change",
    [
        changes.PutListener(listener()),
        changes.PutListener(dataclasses.replace(LIMITED, connection_limit=200)),
        changes.PutListener(dataclasses.replace(LIMITED, enabled=False)),
        changes.UpdateLoadBalancer(enabled=False),
        changes.DeleteListener("l1"),
        changes.DeleteLoadBalancer(SITE, deleted(Kind.LISTENER, ["l1"])),
        changes.Abandon("lb1"),
    ],
)
def test_open_again_when_the_limit_is_changed_or_gone(story, change):
    story.counts(150)
    story.agent.asked(change)
    story.silent(PAUSE)

    assert story.agent.db.access() == access_control.Access()
    assert story.agent.pending() is None


def test_a_lower_limit_closes_at_once(story):
    story.counts(50)
    story.agent.asked(changes.PutListener(dataclasses.replace(LIMITED, connection_limit=50)))
    story.agent.settle()

    assert story.closed == {"l1"}


def test_nothing_is_kept_of_a_load_balancer_that_is_gone(story):
    story.counts(150)
    story.agent.asked(changes.Abandon("lb1"))
    story.agent.settle()

    assert story.agent.limits.keys == frozenset()
    assert story.agent.limits.next_due() is None


def test_another_agent_continues_from_the_rows(story):
    story.counts(150)
    before = story.agent.db.transactions
    other = story.successor()
    assert other.closed == {"l1"}

    # Not all chassis have reported yet.
    assert other.counts(3, complete=False).closed
    assert other.counts(50, complete=False).closed
    assert story.agent.db.transactions == before
    assert not other.counts(50).closed


def test_another_agent_closes_as_soon_as_it_knows_enough(story):
    other = story.successor()

    assert other.counts(100, complete=False).closed


def test_while_nobody_counts_it_stays_as_it_is_and_is_open_after_a_while(story):
    story.counts(150)
    assert story.silent(SILENCE - 1).closed
    assert not story.silent(2).closed


def test_another_agent_that_nobody_reports_to_opens_after_a_while(story):
    other = story.counts(150).successor()

    assert other.silent(SILENCE - 1).closed
    assert not other.silent(2).closed


def test_what_another_client_changed_is_repaired(story):
    story.counts(150)
    (group,) = story.agent.db.access().groups
    story.agent.db.put_access(dataclasses.replace(group, ports=frozenset({"other"})))
    story.agent.enqueue()
    story.agent.settle()

    assert story.agent.db.access().groups == (group,)


def test_follows_the_row_of_the_listener(story):
    """Another algorithm has the listener move to another row, which chassis know by its UUID."""
    (before,) = story.agent.limits.keys
    other = pool(algorithm=SITE.pools[0].algorithm.__class__.SOURCE_IP)
    story.agent.asked(changes.PutPool(other))
    story.agent.settle()
    (after,) = story.agent.limits.keys

    assert after == (story.agent.row.uuid[:8], 80)
    assert before.port == after.port
    assert story.counts(100).closed


def test_a_new_leader_gathers_the_listeners_of_all_load_balancers_at_once(story):
    """For each anew, 10,000 load balancers would block the main loop for long."""
    limits = story.agent.limits
    before = limits.keys
    for number in range(2, 5):
        others = connection_limits._Listener(f"l{number}", Key("aaaaaaaa", number), 1, False, False)
        limits.follow(connection_limits.Decision(f"lb{number}", (others,)))
    assert limits.keys is before
    assert limits.next_due() == 0

    limits.turn()
    assert len(limits.keys) == 4


def test_a_listener_without_a_limit_is_not_counted():
    story = Story(lb=balancer([listener()], SITE.pools, vips=(KNOWN,)))
    assert story.agent.limits.keys == frozenset()

    story.counts()
    assert not story.closed


class Seen(Observer):
    def __init__(self):
        self.states = []

    def limits(self, *, limited, closed):
        self.states.append((limited, closed))


def test_metrics():
    seen = Seen()
    story = Story(observer=seen)
    story.agent.defects = seen
    seen.met = []
    story.counts(150).silent(PAUSE)

    assert seen.states[0] == (0, 0)
    assert (1, 0) in seen.states
    assert seen.states[-1] == (1, 1)


class TestMark:
    """Whether API workers are told that chassis count."""

    def test_while_chassis_count(self, story):
        assert COUNTS_MARK not in story.agent.nb.marks
        story.counts(1)
        assert COUNTS_MARK in story.agent.nb.marks

    def test_another_agent_leaves_it_until_it_knows(self, story):
        other = story.counts(1).successor()
        assert COUNTS_MARK in other.silent(SILENCE - 1).agent.nb.marks
        assert COUNTS_MARK not in other.silent(2).agent.nb.marks

    def test_is_written_later_when_the_database_does_not_answer(self, story):
        story.agent.nb.error = Unavailable("down")
        story.counts(1)
        story.agent.nb.error = None
        story.silent(4)
        assert COUNTS_MARK not in story.agent.nb.marks
        story.counts(2, seconds=2)
        assert COUNTS_MARK in story.agent.nb.marks
