# SPDX-License-Identifier: Apache-2.0
"""Stories of VIPs with security groups."""

import dataclasses

import pytest

from octavia_ovn.core import codec
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import access_control
from octavia_ovn.core.pending import Kind, deleted
from octavia_ovn.core.request import changes
from octavia_ovn.core.rows import SetKeys
from octavia_ovn.core.security_groups import GroupRule
from octavia_ovn.errors import Refused, Unavailable
from tests.controller.agent import Agent
from tests.core.builders import VIP, balancer, listener, member, pool, vip

KNOWN = vip(cidr="10.0.0.0/24", user_port=False)
OPEN = balancer([listener()], [pool(members=[member(1)])], vips=(KNOWN,))
SITE = dataclasses.replace(OPEN, security_groups=frozenset({"sg1"}))
HALF = (GroupRule(4, "0.0.0.0/1"),)
MEMBERS = (GroupRule(4, "$pg_ip4"),)
UPDATE = changes.UpdateLoadBalancer(groups=True)
ALL = f"ip4.dst == {{{VIP}}} && tcp.dst == 80"


def agent_with(*rules, lb=SITE, **options):
    agent = Agent(**options)
    agent.nb.groups["sg1"] = rules
    agent.created(lb)
    return agent.settle()


def denied(agent):
    """Which networks are denied; `everything` where no set says which."""
    access = agent.db.access()
    if not access.sets:
        return "everything" if access.groups else set()
    (found,) = access.sets
    return set(found.addresses)


def groups(agent):
    return codec.vip_groups(agent.db.of("lb1"))


def test_clients_are_kept_out_in_the_transaction_that_begins_to_serve():
    agent = Agent()
    agent.nb.groups["sg1"] = HALF
    agent.created(SITE)
    before = agent.db.transactions

    agent.turn()

    assert agent.db.transactions == before + 1
    assert agent.db.vips()
    assert denied(agent) == {"128.0.0.0/1"}
    agent.settle().assert_ended(SITE)


def test_nothing_is_served_until_the_rules_are_known():
    agent = Agent()
    agent.nb.groups["sg1"] = None
    agent.created(SITE)
    agent.settle()
    assert agent.db.vips() == {}
    assert agent.octavia.messages == []

    agent.nb.groups["sg1"] = HALF
    agent.changed(("group", "sg1"))
    agent.settle()

    assert agent.db.vips()
    agent.assert_ended(SITE)


def test_nothing_is_served_until_the_members_are_known():
    agent = Agent()
    agent.nb.groups["sg1"] = MEMBERS
    agent.sb.sets["pg_ip4"] = None
    agent.created(SITE)
    agent.settle()
    assert agent.db.vips() == {}
    assert agent.octavia.messages == []

    agent.sb.sets["pg_ip4"] = frozenset({"128.0.0.0/1"})
    agent.changed(("address-set", "pg_ip4"))
    agent.settle()

    assert denied(agent) == {"0.0.0.0/1"}
    agent.assert_ended(SITE)


def test_follows_rules_and_members():
    agent = agent_with(*HALF)
    assert denied(agent) == {"128.0.0.0/1"}

    agent.nb.groups["sg1"] = MEMBERS
    agent.changed(("group", "sg1"))
    agent.settle()
    assert denied(agent) == "everything"

    agent.sb.sets["pg_ip4"] = frozenset({"0.0.0.0/1"})
    agent.changed(("address-set", "pg_ip4"))
    agent.settle()
    assert denied(agent) == {"128.0.0.0/1"}

    agent.nb.groups["sg1"] = ()
    agent.changed(("group", "sg1"))
    agent.settle()
    assert denied(agent) == "everything"
    assert agent.sb.forgotten == {"pg_ip4"}


def test_while_something_is_fetched_again_it_stays_as_it_was():
    agent = agent_with(*HALF)
    before = agent.db.access()
    agent.nb.groups["sg1"] = None
    agent.changed(("group", "sg1"))
    agent.settle()

    assert agent.db.access() == before
    assert agent.db.vips()


def test_a_successor_leaves_the_rows_until_it_knows_the_rules():
    agent = agent_with(*HALF)
    before = agent.db.access(), agent.db.vips()
    agent.nb.groups["sg1"] = None

    heir = agent.successor()
    heir.controller.enqueue_all()
    heir.settle()
    assert (heir.db.access(), heir.db.vips()) == before

    heir.nb.groups["sg1"] = MEMBERS
    heir.changed(("group", "sg1"))
    heir.settle()
    assert denied(heir) == "everything"


@pytest.mark.parametrize(
    "change",
    [
        changes.UpdateLoadBalancer(enabled=False),
        changes.DeleteListener("l1"),
        changes.DeleteLoadBalancer(SITE, deleted(Kind.LISTENER, ["l1"])),
        changes.Abandon("lb1"),
        changes.Restore(OPEN),
    ],
)
def test_what_needs_no_rows_has_none(change):
    agent = agent_with(*HALF)
    agent.asked(change)
    agent.settle()

    assert agent.db.access() == access_control.Access()
    assert agent.pending() is None
    assert "sg1" in agent.nb.forgotten


@pytest.mark.parametrize("missing", [None, frozenset()])
def test_a_restoration_takes_the_groups_from_octavia_if_it_says_any(missing):
    agent = agent_with(*HALF)
    agent.asked(changes.Restore(dataclasses.replace(OPEN, security_groups=missing)))
    agent.settle()

    assert groups(agent) == (SITE.security_groups if missing is None else frozenset())


# --- updates


def test_an_update_ends_when_the_groups_that_octavia_has_committed_are_enforced():
    agent = agent_with(*HALF, lb=OPEN)
    assert denied(agent) == set()

    agent.asked(UPDATE)
    agent.settle()
    assert agent.pending() is not None
    assert denied(agent) == set()
    reported = len(agent.octavia.messages)

    agent.octavia.updated["lb1"] = SITE.security_groups
    agent.waits(10)

    assert groups(agent) == {"sg1"}
    assert denied(agent) == {"128.0.0.0/1"}
    assert agent.pending() is None
    assert len(agent.octavia.messages) > reported


def test_an_update_removes_groups():
    agent = agent_with(*HALF)
    agent.octavia.updated["lb1"] = frozenset()
    agent.asked(UPDATE)
    agent.settle()

    assert denied(agent) == groups(agent) == set()
    assert agent.pending() is None


def test_an_update_that_octavia_has_rolled_back_changes_nothing():
    agent = agent_with(*HALF)
    agent.asked(UPDATE)
    agent.settle()
    agent.until(lambda: agent.pending() is None)

    assert agent.clock.now < 1000 + 600
    assert groups(agent) == {"sg1"}
    assert denied(agent) == {"128.0.0.0/1"}


@pytest.mark.parametrize("error", [Refused("no"), Unavailable("away")])
def test_an_update_does_not_end_while_octavia_does_not_answer(error):
    agent = agent_with(*HALF, lb=OPEN)
    agent.octavia.updated["lb1"] = SITE.security_groups
    agent.octavia.error = error
    agent.asked(UPDATE)
    agent.settle()
    agent.waits(100)
    assert agent.pending() is not None

    agent.octavia.error = None
    agent.waits(400)
    agent.until(lambda: agent.pending() is None)
    assert denied(agent) == {"128.0.0.0/1"}


def test_a_successor_asks_again():
    agent = agent_with(*HALF, lb=OPEN)
    agent.asked(UPDATE)
    agent.settle()

    heir = agent.successor()
    heir.octavia.updated["lb1"] = SITE.security_groups
    heir.controller.enqueue_all()
    heir.settle()

    assert denied(heir) == {"128.0.0.0/1"}
    assert heir.pending() is None


def test_a_deletion_does_not_wait_for_an_update():
    agent = agent_with(*HALF, lb=OPEN)
    agent.asked(UPDATE)
    agent.asked(changes.DeleteLoadBalancer(OPEN, {}))
    agent.settle()

    assert agent.db.of("lb1") == ()


def test_damaged_rows_are_repaired_before_groups_are_written_into_them():
    agent = agent_with(*HALF, lb=OPEN)
    agent.octavia.updated["lb1"] = SITE.security_groups
    agent.octavia.trees["lb1"] = dataclasses.replace(OPEN, security_groups=None)
    agent.asked(UPDATE)
    (row,) = agent.db.of("lb1")
    agent.db.write([SetKeys(row.uuid, "external_ids", put={"listener_l1": "nonsense"})])
    agent.settle()

    assert codec.decode(agent.db.of("lb1")).lb.listeners == OPEN.listeners
    assert denied(agent) == {"128.0.0.0/1"}


def test_a_vip_that_cannot_be_read_does_not_open_the_door():
    """Octavia's groups do not count where the operator has switched the option off."""
    agent = agent_with(*HALF)
    agent.octavia.trees["lb1"] = dataclasses.replace(SITE, security_groups=None)
    (row,) = agent.db.of("lb1")
    agent.db.write([SetKeys(row.uuid, "external_ids", put={"neutron:vip": "nonsense"})])
    agent.enqueue()
    agent.settle()

    assert codec.decode(agent.db.of("lb1")).lb.vips[0].address == SITE.vips[0].address
    assert groups(agent) == SITE.security_groups
    assert denied(agent) == {"128.0.0.0/1"}


# --- limits


def test_beyond_the_limit_nobody_gets_in_and_octavia_shows_error():
    agent = agent_with(*MEMBERS, max_denied=8)
    agent.sb.sets["pg_ip4"] = frozenset({"10.0.0.7"})
    agent.changed(("address-set", "pg_ip4"))
    agent.settle()

    assert denied(agent) == "everything"
    assert agent.db.vips() == {}
    assert agent.octavia.operating["lb1"] == "ERROR"
    assert agent.octavia.provisioning["lb1"] == "ACTIVE"
    (why,) = codec.read_lost_vips(agent.db.of("lb1")).values()
    assert "max_denied_cidrs" in why

    agent.sb.sets["pg_ip4"] = frozenset({"0.0.0.0/1"})
    agent.changed(("address-set", "pg_ip4"))
    agent.settle()

    assert denied(agent) == {"128.0.0.0/1"}
    assert agent.db.vips()
    assert agent.octavia.operating["lb1"] == "ONLINE"
    assert codec.read_lost_vips(agent.db.of("lb1")) is None


# --- rows of others


def test_rows_without_the_groups_do_not_open_the_door():
    """As a version that does not know them makes a row for another protocol."""
    agent = agent_with(*HALF)
    (row,) = agent.db.of("lb1")
    bare = {key: each for key, each in row.external_ids.items() if key != k.VIP_GROUPS}
    agent.db.insert(dataclasses.replace(row, uuid="0", protocol="udp", external_ids=bare, vips={}))
    agent.enqueue()
    agent.settle()

    assert denied(agent) == {"128.0.0.0/1"}
    assert groups(agent) == {"sg1"}


@pytest.mark.parametrize("text", ["no group", "", ","])
def test_ids_that_are_none_let_nobody_in(text):
    agent = agent_with(*HALF)
    (row,) = agent.db.of("lb1")
    agent.db.write([SetKeys(row.uuid, "external_ids", put={k.VIP_GROUPS: text})])
    agent.enqueue()
    agent.settle()

    assert denied(agent) == "everything"
