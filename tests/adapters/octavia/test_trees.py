# SPDX-License-Identifier: Apache-2.0
"""What belongs to a load balancer, as the driver agent shows it."""

import types

import pytest

from octavia_ovn.adapters.octavia import trees
from octavia_ovn.adapters.octavia.data_models import DriverDefaults
from octavia_ovn.adapters.octavia.trees import Octavia
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.request import limits
from octavia_ovn.errors import Refused

TREE = {
    "loadbalancer_id": "lb",
    "listeners": [{"listener_id": "l1", "default_pool": None, "l7policies": None}],
    "pools": [
        {
            "pool_id": "p1",
            "members": [{"member_id": "m1"}],
            "healthmonitor": {"healthmonitor_id": "hm1"},
        }
    ],
}
OBJECTS = {
    ("listeners", "l1"): {"loadbalancer_id": "lb"},
    ("listeners", "theirs"): {"loadbalancer_id": "other"},
    ("pools", "p1"): {"loadbalancer_id": "lb"},
    ("pools", "theirs"): {"loadbalancer_id": "other"},
    ("members", "m1"): {"pool_id": "p1"},
    ("members", "theirs"): {"pool_id": "theirs"},
    ("healthmonitors", "hm1"): {"pool_id": "p1"},
    ("healthmonitors", "theirs"): {"pool_id": "theirs"},
    ("l7policies", "policy"): {"listener_id": "l1"},
    ("l7policies", "theirs"): {"listener_id": "other"},
    ("l7rules", "rule"): {"l7policy_id": "policy"},
    ("l7rules", "theirs"): {"l7policy_id": "theirs"},
}


class Agent:
    def __init__(self, tree):
        self.tree = tree
        self.asked = []

    def get_load_balancer(self, lb_id):
        self.asked.append(lb_id)
        return self.tree

    def get(self, kind, object_id):
        self.asked.append(object_id)
        return OBJECTS.get((kind, object_id))


OWN = {
    (Kind.LOAD_BALANCER, "lb"),
    (Kind.LISTENER, "l1"),
    (Kind.POOL, "p1"),
    (Kind.MEMBER, "m1"),
    (Kind.HEALTH_MONITOR, "hm1"),
}
LAYER7 = {(Kind.L7POLICY, "policy"), (Kind.L7RULE, "rule")}


@pytest.mark.parametrize("kind", Kind)
def test_only_what_octavia_shows_below_it_belongs_to_it(kind):
    octavia = Octavia(Agent(TREE), DriverDefaults(), None)
    theirs = {(each, "theirs") for each in Kind} | {(kind, "unknown")}
    own = {key for key in OWN | LAYER7 if key[0] is kind}
    # A rule is known by its policy.
    asked = own | theirs | ({(Kind.L7POLICY, "policy")} if kind is Kind.L7RULE else set())
    assert octavia.belonging("lb", asked) == asked - theirs


def test_of_a_load_balancer_that_is_gone_nothing_is_left():
    octavia = Octavia(Agent(None), DriverDefaults(), None)
    assert octavia.belonging("lb", OWN | LAYER7) == {(Kind.LOAD_BALANCER, "lb")}


@pytest.mark.parametrize("tree", [TREE, None])
def test_whether_a_load_balancer_is_committed(tree):
    assert Octavia(Agent(tree), DriverDefaults(), None).exists("lb") == (tree is not None)


@pytest.mark.parametrize("keys", [OWN, *({key} for key in OWN)])
def test_it_costs_one_question(keys):
    agent = Agent(TREE)
    Octavia(agent, DriverDefaults(), None).belonging("lb", keys)
    assert agent.asked == ["lb"]


# --- once it has been asked about a load balancer


@pytest.fixture
def agent():
    return Agent(TREE)


@pytest.fixture
def asked(agent):
    octavia = Octavia(agent, DriverDefaults(), None)
    octavia.belonging("lb", OWN)
    agent.asked.clear()
    return octavia


@pytest.mark.parametrize("key", [*OWN, (Kind.L7POLICY, "policy")])
def test_of_one_object_only_that_is_asked_for(asked, agent, key):
    assert asked.belonging("lb", {key}) == {key}
    assert agent.asked == ([] if key[0] is Kind.LOAD_BALANCER else [key[1]])


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("object_id", ["theirs", "unknown"])
def test_one_object_of_others_does_not_belong_to_it(asked, kind, object_id):
    assert asked.belonging("lb", {(kind, object_id)}) == frozenset()


def test_one_object_that_is_gone_does_not_belong_to_it(asked, agent, monkeypatch):
    monkeypatch.delitem(OBJECTS, ("members", "m1"))
    agent.tree = TREE | {"pools": [{"pool_id": "p1", "members": [], "healthmonitor": None}]}
    assert asked.belonging("lb", {(Kind.MEMBER, "m1")}) == frozenset()


def test_one_object_of_a_new_pool_belongs_to_it(asked, agent, monkeypatch):
    monkeypatch.setitem(OBJECTS, ("members", "m2"), {"pool_id": "p2"})
    pool = {"pool_id": "p2", "members": [{"member_id": "m2"}], "healthmonitor": None}
    agent.tree = TREE | {"pools": [*TREE["pools"], pool]}
    for questions in (["m2", "lb"], ["m2"]):
        assert asked.belonging("lb", {(Kind.MEMBER, "m2")}) == {(Kind.MEMBER, "m2")}
        assert agent.asked == questions
        agent.asked.clear()


# --- what it has, or has had


def test_what_octavia_has_shown_is_not_asked_for_again(asked, agent):
    agent.tree = None  # gone since: Octavia ignores that it is reported as DELETED once more
    assert asked.owned("lb", OWN) == OWN
    assert agent.asked == []


def test_only_what_octavia_has_not_shown_is_asked_for(asked, agent, monkeypatch):
    monkeypatch.setitem(OBJECTS, ("members", "m2"), {"pool_id": "p1"})
    assert asked.owned("lb", {(Kind.MEMBER, "m2"), *OWN}) == {(Kind.MEMBER, "m2"), *OWN}
    assert agent.asked == ["m2"]


def test_what_octavia_has_shown_of_a_new_load_balancer_is_not_asked_for(agent):
    octavia = Octavia(agent, DriverDefaults(), None)
    assert octavia.exists("lb")
    agent.asked.clear()
    assert octavia.owned("lb", OWN) == OWN
    assert agent.asked == []


def test_of_the_first_child_of_a_new_load_balancer_one_question_is_asked(agent):
    octavia = Octavia(agent, DriverDefaults(), None)
    agent.tree = {"loadbalancer_id": "lb", "listeners": None, "pools": None}
    assert octavia.exists("lb")
    agent.tree = TREE
    agent.asked.clear()
    assert octavia.owned("lb", {(Kind.MEMBER, "m1")}) == {(Kind.MEMBER, "m1")}
    assert agent.asked == ["lb"]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("object_id", ["theirs", "unknown"])
def test_what_others_have_is_asked_for_each_time(asked, agent, kind, object_id):
    for _ in range(2):
        assert asked.owned("lb", {(kind, object_id), *OWN}) == OWN
        assert agent.asked
        agent.asked.clear()


def test_what_one_load_balancer_has_shown_is_not_anothers(asked, agent):
    agent.tree = {}
    assert asked.owned("other", OWN) == frozenset()


def test_what_is_shown_is_forgotten_when_it_is_too_much(asked, agent, monkeypatch):
    monkeypatch.setattr(trees, "_REMEMBERED", len(OWN))
    asked.belonging("other", OWN)
    agent.asked.clear()
    assert asked.owned("lb", OWN) == OWN
    assert agent.asked == ["lb"]


# --- whether it is leaving


@pytest.mark.parametrize(
    ("listed", "leaving"),
    [("PENDING_DELETE", True), ("ACTIVE", False), ("ERROR", None), (None, True)],
)
def test_a_load_balancer_is_leaving_when_octavia_says_so(listed, leaving):
    class Listing:
        def load_balancer(self, _):
            return listed and types.SimpleNamespace(provisioning_status=listed)

        def provider(self, _):
            return listed and "ovn"

    assert Octavia(Agent(TREE), DriverDefaults(), Listing()).is_leaving("lb") is leaving


@pytest.mark.parametrize(("provider", "leaving"), [("amphora", False), ("ovn", True), (None, True)])
def test_a_load_balancer_of_another_provider_is_not_leaving(provider, leaving):
    """Rows can be named after any: its deletion would be reported, and its VIP port deleted."""

    class Listing:
        def load_balancer(self, _):
            return None

        def provider(self, _):
            return provider

    assert Octavia(Agent(TREE), DriverDefaults(), Listing()).is_leaving("lb") is leaving


def test_an_account_that_may_not_see_it_does_not_keep_it():
    class Listing:
        def load_balancer(self, _):
            raise Refused("forbidden")

    assert Octavia(Agent(TREE), DriverDefaults(), Listing()).is_leaving("lb")


# --- security groups of an update


class Listing:
    """Octavia's API: each question has the next answer."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def load_balancer(self, _):
        return self.answers.pop(0)


def listed(status, *groups):
    return types.SimpleNamespace(provisioning_status=status, security_groups=groups)


def test_the_groups_of_an_update_are_those_of_the_time_after_the_commit():
    before, after = listed("ACTIVE", "old"), listed("PENDING_UPDATE", "new", "newer")
    pauses = []
    octavia = Octavia(None, DriverDefaults(), Listing(before, None, before, after), pauses.append)

    assert octavia.updated_groups("lb") == {"new", "newer"}
    assert len(pauses) == 3


def test_without_a_commit_no_groups_are_known():
    octavia = Octavia(None, DriverDefaults(), Listing(*[listed("ACTIVE", "old")] * 9), [].append)

    assert octavia.updated_groups("lb") is None


@pytest.mark.parametrize(
    ("permitted", "groups"), [((), None), (("vip_sg_ids",), frozenset({"sg1", "sg2"}))]
)
def test_groups_that_octavia_has_count_if_the_operator_permits_them(permitted, groups):
    vip = {"vip_address": "10.0.0.5", "vip_sg_ids": ["sg2", "sg1"]}
    agent = Agent({"loadbalancer_id": "lb", **vip})
    usual = limits.Usual(permitted=frozenset(permitted))

    tree = Octavia(agent, DriverDefaults(usual=usual), None).tree("lb")

    assert tree.security_groups == groups
