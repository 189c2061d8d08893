"""What Octavia wants deleted, asked of a small server that answers as Octavia does."""

import dataclasses

import pytest
from oslo_config import cfg

from octavia_ovn import config
from octavia_ovn.adapters.octavia_api import OctaviaApi
from octavia_ovn.adapters.octavia_deletions import Deletions
from octavia_ovn.core.pending import Final, Kind, active
from octavia_ovn.core.pending import deleted as to_be_deleted
from tests.core.builders import member, web
from tests.functional.test_octavia_api import Octavia, child, load_balancer, pool

GOING, STAYS = "PENDING_DELETE", "ACTIVE"
LB = (Kind.LOAD_BALANCER, "lb")


class World:
    """An Octavia with one load balancer, and what asks it."""

    def __init__(self, fake):
        self.fake = fake
        self.pauses = []
        self.known = None
        service = dataclasses.replace(
            config.load(cfg.ConfigOpts()).octavia,
            auth_type="none",
            auth={"endpoint": fake.http.url},
        )
        self.deletions = Deletions(OctaviaApi(service).rest, self, self.pause)
        self.committed = lambda: None

    def tree(self, lb_id):
        return self.known

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.committed()

    def has(
        self, *, lb=STAYS, listener=STAYS, pool_=STAYS, members=("m1",), going=(), policy=STAYS
    ):
        self.fake.answers.update(
            {
                "loadbalancers/lb": {
                    "loadbalancer": load_balancer(
                        "lb",
                        provisioning_status=lb,
                        listeners=[{"id": "l1"}, {"id": "l2"}],
                        pools=[{"id": "p1"}],
                    )
                },
                "listeners/l1": {"listener": child("l1", listener, "lb")},
                "listeners/l2": {"listener": child("l2", STAYS, "lb")},
                "listeners/other": {"listener": child("other", GOING, "theirs")},
                "pools/p1": {"pool": pool("p1", pool_, members, "hm1", lb_id="lb")},
                "pools/other": {"pool": pool("other", GOING, ["m9"], "hm9", lb_id="theirs")},
                "pools/p1/members": [
                    child(each, GOING if each in going else STAYS) for each in members
                ],
                "healthmonitors/hm1": {
                    "healthmonitor": child("hm1", GOING if "hm1" in going else STAYS)
                },
                "l7policies/policy": {
                    "l7policy": {
                        **child("policy", policy),
                        "listener_id": "l1",
                        "rules": [{"id": "rule"}],
                    }
                },
                "l7policies/policy/rules/rule": {
                    "rule": child("rule", GOING if "rule" in going else STAYS)
                },
                "l7policies/other": {
                    "l7policy": {**child("other", GOING), "listener_id": "other", "rules": []}
                },
            }
        )
        for each in members:
            self.fake.answers[f"pools/p1/members/{each}"] = {
                "member": child(each, GOING if each in going else STAYS)
            }

    def confirmed(self, *parts):
        objects = {}
        for each in parts:
            objects |= each
        return self.deletions.confirmed("lb", objects)


@pytest.fixture
def world():
    fake = Octavia()
    fake.http.start()
    yield World(fake)
    fake.http.stop()


def keys(*parts):
    return {key for each in parts for key in each}


LISTENER = to_be_deleted(Kind.LISTENER, ["l1"])
POOL = to_be_deleted(Kind.POOL, ["p1"])
MEMBER = to_be_deleted(Kind.MEMBER, ["m1"])
MONITOR = to_be_deleted(Kind.HEALTH_MONITOR, ["hm1"])
POLICY = to_be_deleted(Kind.L7POLICY, ["policy"])
RULE = to_be_deleted(Kind.L7RULE, ["rule"])
WHOLE = {LB: Final.DELETED}
THEIRS = {
    **to_be_deleted(Kind.LISTENER, ["other"]),
    **to_be_deleted(Kind.POOL, ["other"]),
    **to_be_deleted(Kind.MEMBER, ["m9", "unknown"]),
    **to_be_deleted(Kind.HEALTH_MONITOR, ["hm9"]),
    **to_be_deleted(Kind.L7POLICY, ["other"]),
    **to_be_deleted(Kind.L7RULE, ["any"]),
    **active(Kind.L7RULE, ["another"]),
}
STAYING_POLICY = active(Kind.L7POLICY, ["policy"])
STAYING = active(Kind.L7POLICY, ["policy"]) | active(Kind.L7RULE, ["rule"])
IN_POOL = active(Kind.POOL, ["p1"])


@pytest.mark.parametrize(
    ("state", "asked", "expected"),
    [
        ({"listener": GOING}, [LISTENER], LISTENER),
        ({"pool_": GOING}, [POOL, MEMBER, MONITOR], [*POOL, *MEMBER, *MONITOR]),
        ({"going": ["m1"]}, [MEMBER, IN_POOL], MEMBER),
        ({"going": ["hm1"]}, [MONITOR, IN_POOL], MONITOR),
        ({"lb": GOING}, [WHOLE, LISTENER, POOL, MEMBER], [*WHOLE, *LISTENER, *POOL, *MEMBER]),
        ({"policy": GOING}, [POLICY, RULE], [*POLICY, *RULE]),
        ({"listener": GOING}, [LISTENER, POLICY, RULE], [*LISTENER, *POLICY, *RULE]),
        ({"going": ["rule"]}, [RULE, STAYING_POLICY], [*RULE, *STAYING_POLICY]),
        ({"lb": GOING}, [WHOLE, LISTENER, POLICY], [*WHOLE, *LISTENER, *POLICY]),
        ({}, [STAYING], STAYING),
    ],
)
def test_what_is_on_its_way_out(world, state, asked, expected):
    world.has(**state)
    assert world.confirmed(*asked) == set(expected)
    assert world.pauses == []
    assert world.confirmed(*asked, THEIRS) == set(expected)


@pytest.mark.parametrize("asked", [LISTENER, {**POOL, **MEMBER}, WHOLE, {**MEMBER, **IN_POOL}])
def test_what_octavia_keeps_is_not(world, asked):
    world.has()
    assert world.confirmed(asked) == set()
    assert len(world.pauses) > 3


def test_many_members(world):
    names = [f"m{number}" for number in range(20)]
    world.has(members=names, going=names[:10])
    asked = to_be_deleted(Kind.MEMBER, names)
    assert world.confirmed(asked, IN_POOL) == keys(to_be_deleted(Kind.MEMBER, names[:10]))


def test_a_request_that_is_not_committed_yet_is_waited_for(world):
    world.has()
    world.committed = lambda: world.has(listener=GOING)
    assert world.confirmed(LISTENER) == set(LISTENER)
    assert len(world.pauses) == 1


def test_a_load_balancer_that_is_gone(world):
    assert world.confirmed(WHOLE, LISTENER, THEIRS) == {LB}
    assert world.confirmed(LISTENER, POOL, MEMBER) == set()


def test_without_the_right_to_see_it_the_driver_agent_knows_what_belongs_to_it(world):
    world.fake.http.inject(status=403, path="/lbaas")
    lb = dataclasses.replace(web(member(1)), id="lb")
    world.known = lb
    assert world.confirmed(POOL, MEMBER, THEIRS) == keys(POOL, MEMBER)
    world.known = None
    assert world.confirmed(WHOLE, MEMBER) == {LB}


def test_a_deletion_costs_few_requests(world):
    world.has(going=["m1"], listener=GOING)
    for asked, most in ((LISTENER, 1), ({**MEMBER, **IN_POOL}, 2)):
        world.fake.queries.clear()
        world.confirmed(asked)
        assert len(world.fake.queries) <= most
