# SPDX-License-Identifier: Apache-2.0
"""Stories of routers, floating IPs and networks that change around a load balancer."""

from octavia_ovn.core import codec
from tests.controller.agent import Agent
from tests.controller.outside import member_fip
from tests.controller.stories import GONE, SITE, VIPS, agent_with
from tests.core.builders import VIP, Cloud

FIP = "10.73.1.171"
ANSWERS = {("lb1", "neutron-net1"): {"10.0.0.100/24"}}


class TestEvents:
    def test_a_floating_ip_comes_and_goes(self):
        agent = agent_with()
        agent.nb.cloud = Cloud(
            {"R1": {"neutron-net1": ("10.0.0.1/24",)}}, fips={("vip-port", VIP): FIP}
        )
        agent.changed(("port", "vip-port"))
        agent.settle()

        assert agent.db.vips() == {**VIPS, ("tcp", f"{FIP}:80"): VIPS["tcp", f"{VIP}:80"]}
        assert agent.row.external_ids["neutron:vip_fip"] == FIP

        agent.nb.cloud = Cloud({"R1": {"neutron-net1": ("10.0.0.1/24",)}})
        agent.changed(("port", "vip-port"))
        agent.settle()

        assert agent.db.vips() == VIPS
        assert "neutron:vip_fip" not in agent.row.external_ids
        assert len(agent.octavia.messages) == 1

    def test_a_router_comes_and_goes(self):
        agent = agent_with()
        agent.nb.cloud = Cloud(switches=["neutron-net1"])
        agent.changed(("router", "R1"))
        agent.settle()

        assert (agent.row.switches, agent.row.routers) == ({"neutron-net1"}, set())

        agent.nb.cloud = Cloud(
            {"R2": {"neutron-net1": ("10.0.0.1/24",), "neutron-net2": ("10.2.0.1/24",)}}
        )
        agent.changed(("switch", "neutron-net1"))
        agent.settle()

        assert agent.row.switches == {"neutron-net1", "neutron-net2"}
        assert agent.row.routers == {"R2"}
        assert agent.row.external_ids["lr_ref"] == "R2"

    def test_an_event_that_changes_nothing_writes_nothing(self):
        agent = agent_with()
        before = agent.db.transactions
        agent.changed(("switch", "neutron-net1"))
        agent.settle()

        assert agent.db.transactions == before


class TestAMembersFloatingIp:
    """Neutron centralises it when it is touched, because the port is a member's."""

    ROUTED = Cloud({"R1": {"neutron-net1": ("10.0.0.1/24",)}})
    WITH_FIP = Cloud({"R1": {"neutron-net1": ("10.0.0.1/24",)}}, fips={("vip-port", VIP): FIP})

    def with_fip(self):
        agent = agent_with()
        agent.nb.cloud = self.WITH_FIP
        agent.changed(("port", "vip-port"))
        return agent.settle()

    def becomes(self, agent, *, distributed):
        agent.nb.member_fips["10.0.0.1"] = [
            member_fip("fip1", "R1", distributed=distributed),
            member_fip("fip2", "R9", distributed=True),
        ]
        agent.changed(("member", "10.0.0.1"))
        agent.settle()

    def test_is_centralised_once_while_the_vip_has_one(self):
        agent = self.with_fip()
        self.becomes(agent, distributed=True)
        self.becomes(agent, distributed=True)
        assert agent.neutron.touched == ["fip1"]

        self.becomes(agent, distributed=False)
        self.becomes(agent, distributed=True)
        assert agent.neutron.touched == ["fip1", "fip1"]

    def test_is_left_alone_while_the_vip_has_none(self):
        agent = agent_with()
        self.becomes(agent, distributed=True)

        assert agent.neutron.touched == []

    def test_is_left_alone_once_the_vip_has_none_any_more(self):
        """Neutron itself lets it go then; touching it would have it centralised again."""
        agent = self.with_fip()
        self.becomes(agent, distributed=True)
        self.becomes(agent, distributed=False)
        agent.nb.cloud = self.ROUTED
        agent.changed(("port", "vip-port"))
        agent.settle()
        self.becomes(agent, distributed=True)
        assert agent.neutron.touched == ["fip1"]
        assert agent.index.of(("member-fip", "fip1")) == {"lb1"}

        agent.nb.cloud = self.WITH_FIP
        agent.changed(("port", "vip-port"))
        agent.settle()
        assert agent.neutron.touched == ["fip1", "fip1"]


class TestAVipWithoutRouter:
    """A responder answers for it, as long as no router leads there."""

    ISOLATED = Cloud(switches=["neutron-net1"])
    ROUTED = Cloud({"R1": {"neutron-net1": ("10.0.0.1/24",)}})

    def isolated(self):
        agent = Agent()
        agent.nb.cloud = self.ISOLATED
        agent.created(SITE)
        return agent.settle()

    def moved_to(self, agent, cloud):
        agent.nb.cloud = cloud
        before = agent.db.transactions
        agent.changed(("switch", "neutron-net1"))
        agent.settle()
        return agent.db.transactions - before

    def test_is_answered_for(self):
        agent = self.isolated()

        assert agent.db.answers == ANSWERS
        assert agent.row.switches == {"neutron-net1"}
        assert agent.row.routers == frozenset()
        assert codec.ROUTER_REF not in agent.row.external_ids
        agent.assert_ended(SITE)

    def test_is_not_when_there_is_a_router(self):
        assert agent_with().db.answers == {}

    def test_changes_hands_in_one_transaction(self):
        agent = self.isolated()

        assert self.moved_to(agent, self.ROUTED) == 1
        assert agent.db.answers == {}
        assert agent.row.routers == {"R1"}

        assert self.moved_to(agent, self.ISOLATED) == 1
        assert agent.db.answers == ANSWERS
        assert agent.row.routers == frozenset()

    def test_is_answered_for_again_when_another_client_broke_it(self):
        agent = self.isolated()
        agent.db.answers[("lb1", "neutron-net1")] = frozenset()
        agent.enqueue()
        agent.settle()

        assert agent.db.answers == ANSWERS

    def test_is_not_when_the_load_balancer_is_being_deleted(self):
        agent = self.isolated()
        agent.asked(GONE)
        agent.turn()

        assert agent.db.answers == {}
        agent.settle()
        assert agent.rows == ()

    def test_is_not_when_its_rows_are_lost(self):
        agent = self.isolated()
        for found in agent.rows:
            del agent.db[found.uuid]
        assert agent.nb.names() == {"lb1"}
        agent.enqueue()
        agent.settle()

        assert agent.db.answers == {}
