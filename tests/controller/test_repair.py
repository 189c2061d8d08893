# SPDX-License-Identifier: Apache-2.0
"""Stories of rows that are wrong, broken or lost, and of Octavia, which knows better."""

from octavia_ovn.core import codec
from octavia_ovn.core.request import changes
from tests.controller.agent import Agent
from tests.controller.stories import DOWN, SITE, VIPS, agent_with, site
from tests.core.builders import VIP, member


class TestResync:
    def test_makes_the_rows_what_octavia_says(self):
        agent = agent_with()
        agent.octavia.trees["lb1"] = site(member(1), member(3))
        agent.asked(changes.Resync("lb1"))
        agent.settle()

        assert agent.db.vips() == {("tcp", f"{VIP}:80"): "10.0.0.1:80,10.0.0.3:80"}
        agent.assert_ended(agent.octavia.trees["lb1"])

    def test_makes_rows_that_are_lost(self):
        agent = Agent()
        agent.octavia.trees["lb1"] = SITE
        agent.asked(changes.Resync("lb1"))
        agent.settle()

        assert agent.db.vips() == VIPS
        agent.assert_ended(SITE)

    def test_changes_nothing_that_is_right(self):
        agent = agent_with()
        agent.asked(changes.Resync("lb1"))
        before = len(agent.history)
        agent.settle()

        assert agent.history[before:].count(VIPS) == len(agent.history[before:])
        agent.assert_ended(SITE)

    def test_waits_for_octavia(self):
        agent = agent_with()
        agent.octavia.error = DOWN
        agent.asked(changes.Resync("lb1"))
        agent.settle()
        assert agent.pending().resync

        agent.octavia.error = None
        agent.waits(1)

        agent.assert_ended(SITE)

    def test_of_what_octavia_does_not_know_leaves_the_rows(self):
        agent = agent_with()
        agent.octavia.trees.clear()
        agent.asked(changes.Resync("lb1"))
        agent.settle()

        assert agent.db.vips() == VIPS
        agent.assert_ended(SITE)

    def test_of_an_unknown_load_balancer_ends(self):
        agent = Agent()
        agent.asked(changes.Resync("lb1"))
        agent.settle()

        assert agent.db.vips() == {}


class TestDamage:
    def damaged(self, **keys):
        agent = agent_with()
        agent.db.edit(agent.row.uuid, external_ids={**agent.row.external_ids, **keys})
        agent.enqueue()
        return agent

    def test_is_repaired_from_octavia_and_interrupts_nothing(self):
        agent = self.damaged(**{"octavia:attributes_p1": "{", "pool_p1": "rubbish"})
        before = len(agent.history)
        agent.settle()

        assert set(map(str, agent.history[before:])) <= {str(VIPS)}
        assert codec.decode(agent.rows).problems == ()
        agent.assert_ended(SITE)

    def test_waits_for_octavia(self):
        agent = self.damaged(pool_p1="rubbish")
        agent.octavia.error = DOWN
        agent.settle()

        assert agent.db.vips() == VIPS

        agent.octavia.error = None
        agent.waits(1)

        agent.assert_ended(SITE)

    def test_does_not_wait_for_ever_for_a_request_that_octavia_has_rolled_back(self):
        agent = agent_with()
        agent.asked(changes.PutMember("p1", member(3)))
        keys = {**agent.row.external_ids, "listener_l1": "rubbish"}
        agent.db.edit(agent.row.uuid, external_ids=keys)
        agent.waits(30)
        assert agent.pending()

        for _ in range(10):
            agent.waits(61)
        assert agent.db.vips() == VIPS
        agent.assert_ended(SITE)

    def test_what_octavia_does_not_know_is_realised_as_far_as_it_can_be_read(self):
        agent = self.damaged(listener_l2="rubbish")
        agent.octavia.trees.clear()
        agent.settle()

        assert agent.db.vips() == VIPS
        agent.assert_ended(SITE)

    def test_rows_without_vip_are_made_whole(self):
        agent = agent_with()
        keys = {key: each for key, each in agent.row.external_ids.items() if key != "neutron:vip"}
        agent.db.edit(agent.row.uuid, external_ids=keys)
        agent.enqueue()
        agent.settle()

        assert agent.db.vips() == VIPS
        agent.assert_ended(SITE)
