# SPDX-License-Identifier: Apache-2.0
"""Stories of listeners that not everybody may use."""

import dataclasses

import pytest

from octavia_ovn.core.desired import access_control
from octavia_ovn.core.pending import Kind, deleted
from octavia_ovn.core.request import changes
from octavia_ovn.core.rows import SetKeys
from tests.controller.agent import Agent
from tests.core.builders import VIP, Cloud, balancer, listener, member, pool, vip

KNOWN = vip(cidr="10.0.0.0/24", user_port=False)
RESTRICTED = listener(allowed_cidrs=("10.0.0.0/8",))
SITE = balancer([RESTRICTED], [pool(members=[member(1)])], vips=(KNOWN,))
ENTRANCE = "R1-neutron-net1"
ENTRANCES = {ENTRANCE, "vip-port"}


def agent_with(lb=SITE):
    agent = Agent()
    agent.created(lb)
    return agent.settle()


def group(agent):
    (found,) = agent.db.access().groups
    return found


def test_clients_are_kept_out_in_the_transaction_that_begins_to_serve():
    agent = Agent()
    agent.created(SITE)
    before = agent.db.transactions

    agent.turn()

    assert agent.db.transactions == before + 1
    assert agent.db.vips()
    assert group(agent).ports == ENTRANCES
    assert len(group(agent).acls) == len(agent.db.access().sets) == 1
    agent.settle().assert_ended(SITE)


def test_nothing_is_served_until_it_is_known_where_clients_enter():
    agent = Agent()
    agent.nb.fetching = {ENTRANCE}
    agent.created(SITE)
    agent.settle()
    assert agent.db.vips() == {}
    assert agent.octavia.messages == []

    agent.nb.fetching = frozenset()
    agent.changed(("port", ENTRANCE))
    agent.settle()

    assert agent.db.vips()
    agent.assert_ended(SITE)


@pytest.mark.parametrize(
    "change",
    [
        changes.PutListener(listener()),
        changes.PutListener(listener(allowed_cidrs=("0.0.0.0/0",))),
        changes.PutListener(dataclasses.replace(RESTRICTED, enabled=False)),
        changes.UpdateLoadBalancer(enabled=False),
        changes.DeleteListener("l1"),
        changes.DeleteLoadBalancer(SITE, deleted(Kind.LISTENER, ["l1"])),
        changes.Abandon("lb1"),
    ],
)
def test_all_may_come_in_again(change):
    agent = agent_with()
    agent.asked(change)
    agent.settle()

    assert agent.db.access() == access_control.Access()
    assert agent.pending() is None


def test_follows_floating_ips_and_networks():
    agent = agent_with()
    agent.nb.cloud = Cloud(
        {"R1": {"neutron-net1": ("10.0.0.1/24",), "neutron-net2": ("10.2.0.1/24",)}},
        provider=["neutron-ext"],
        gateways={"R1": ("neutron-ext", ("10.73.1.1/24",))},
        fips={("vip-port", VIP): "10.73.1.171"},
    )
    agent.changed(("router", "R1"))
    agent.settle()

    assert group(agent).ports == ENTRANCES | {"R1-neutron-net2", "gw-R1"}
    assert [acl.match.partition(" &&")[0] for acl in group(agent).acls] == [
        f"ip4.dst == {{{VIP}, 10.73.1.171}}"
    ]

    agent.nb.cloud = Cloud({"R1": {"neutron-net1": ("10.0.0.1/24",)}})
    agent.changed(("router", "R1"))
    agent.settle()

    assert group(agent).ports == ENTRANCES
    assert "10.73.1.171" not in group(agent).acls[0].match


def test_what_another_client_changed_is_repaired():
    agent = agent_with()
    wanted = agent.db.access()
    agent.db.put_access(dataclasses.replace(group(agent), acls=()))
    agent.db.delete_access(wanted.sets[0].uuid)
    agent.enqueue()
    agent.settle()

    assert agent.db.access().groups == wanted.groups
    assert agent.db.access().sets == wanted.sets


def test_what_a_vanished_load_balancer_left_goes():
    agent = agent_with()
    del agent.db[agent.row.uuid]
    agent.enqueue()
    agent.settle()

    assert agent.db.access() == access_control.Access()


def test_clients_stay_out_while_a_row_says_nothing():
    """It may serve all the same."""
    agent = agent_with()
    agent.nb.rows = lambda _: ()
    agent.enqueue()
    agent.settle()

    assert group(agent)


def test_a_listener_that_is_unreadable_is_restored():
    agent = agent_with()
    agent.db.write([SetKeys(agent.row.uuid, "external_ids", {"octavia:listener:l1": "?"})])
    agent.octavia.error = RuntimeError("unreachable")
    agent.enqueue()
    agent.turn()
    assert group(agent)

    agent.octavia.error = None
    agent.waits(60)

    assert agent.row.external_ids["octavia:listener:l1"] == '{"allowed_cidrs":["10.0.0.0/8"]}'
    assert group(agent)
