# SPDX-License-Identifier: Apache-2.0
"""Operating statuses of the whole tree, and what Octavia hears."""

import dataclasses

import pytest

from octavia_ovn.core import model, status
from octavia_ovn.core.health import Health, HealthState
from octavia_ovn.core.pending import Final, Kind, Pending, active, deleted
from tests.core.builders import balancer, health, listener, member, monitor, pool, web

MONITORED = {"monitor": monitor()}
TWO = (member(1), member(2))


def off(lb, *parts):
    """Switch parts of a load balancer off."""
    for part in parts:
        each = [dataclasses.replace(each, enabled=False) for each in getattr(lb, part)]
        lb = dataclasses.replace(lb, **{part: tuple(each)})
    return lb


def words(lb, **given):
    """The statuses in the order members, monitors, pools, listeners, load balancer."""
    found = status.tree(lb, health(**given))
    order = list(Kind)
    keys = sorted(found, key=lambda key: (order.index(key[0]), key[1]))
    return " ".join(found[key].value for key in keys)


CHECKED = web(*TWO, **MONITORED)
BOTH = ["10.0.0.1", "10.0.0.2"]

TREES = {
    "bare": (balancer(), {}, "ONLINE"),
    "no pool": (balancer([listener(pool_id=None)]), {}, "ONLINE ONLINE"),
    "no member": (web(), {}, "ONLINE ONLINE ONLINE"),
    "members": (web(*TWO), {}, "NO_MONITOR NO_MONITOR ONLINE ONLINE ONLINE"),
    "checked": (CHECKED, {"up": BOTH}, "ONLINE ONLINE ONLINE ONLINE ONLINE ONLINE"),
    "none checked yet": (CHECKED, {}, "OFFLINE OFFLINE ONLINE OFFLINE OFFLINE OFFLINE"),
    "one not checked yet": (
        CHECKED,
        {"up": ["10.0.0.2"]},
        "OFFLINE ONLINE ONLINE ONLINE ONLINE ONLINE",
    ),
    "one dead": (
        CHECKED,
        {"up": ["10.0.0.2"], "down": ["10.0.0.1"]},
        "ERROR ONLINE ONLINE DEGRADED DEGRADED DEGRADED",
    ),
    "one dead, the other not checked yet": (
        CHECKED,
        {"down": ["10.0.0.1"]},
        "ERROR OFFLINE ONLINE DEGRADED DEGRADED DEGRADED",
    ),
    "one that cannot be checked": (
        CHECKED,
        {"up": ["10.0.0.1"], "unchecked": [2]},
        "ONLINE NO_MONITOR ONLINE ONLINE ONLINE ONLINE",
    ),
    "one that cannot be reached": (
        CHECKED,
        {"up": BOTH, "unreachable": [2]},
        "ONLINE ERROR ONLINE DEGRADED DEGRADED DEGRADED",
    ),
    "one without monitor that cannot be reached": (
        web(*TWO),
        {"unreachable": [2]},
        "NO_MONITOR ERROR DEGRADED DEGRADED DEGRADED",
    ),
    "all dead": (
        CHECKED,
        {"down": ["10.0.0.1"], "unreachable": [2]},
        "ERROR ERROR ONLINE ERROR ERROR ERROR",
    ),
    "one listener not checked yet, one disabled": (
        balancer(
            [listener(), listener("l2", 81, None, enabled=False)],
            [pool(members=[member(1)], **MONITORED)],
        ),
        {},
        "OFFLINE ONLINE OFFLINE OFFLINE OFFLINE OFFLINE",
    ),
    "one listener not checked yet, one served": (
        balancer(
            [listener(), listener("l2", 81, "p2")],
            [pool(members=[member(1)], **MONITORED), pool("p2", [member(2)])],
        ),
        {},
        "OFFLINE NO_MONITOR ONLINE OFFLINE ONLINE OFFLINE ONLINE ONLINE",
    ),
    "dead where nobody checks": (
        web(*TWO),
        {"down": ["10.0.0.1"]},
        "NO_MONITOR NO_MONITOR ONLINE ONLINE ONLINE",
    ),
    "disabled monitor": (
        web(member(1), monitor=monitor(enabled=False)),
        {"down": ["10.0.0.1"]},
        "NO_MONITOR OFFLINE ONLINE ONLINE ONLINE",
    ),
    "disabled member": (
        web(member(1, enabled=False), member(2), **MONITORED),
        {"down": ["10.0.0.1"], "up": ["10.0.0.2"]},
        "OFFLINE ONLINE ONLINE ONLINE ONLINE ONLINE",
    ),
    "one disabled, the other dead": (
        web(member(1, enabled=False), member(2), **MONITORED),
        {"down": ["10.0.0.2"]},
        "OFFLINE ERROR ONLINE ERROR ERROR ERROR",
    ),
    "pool without listener": (
        balancer(pools=web(*TWO).pools),
        {},
        "NO_MONITOR NO_MONITOR OFFLINE ONLINE",
    ),
    "disabled pool": (off(web(member(1)), "pools"), {}, "NO_MONITOR OFFLINE ONLINE ONLINE"),
    "disabled listener": (
        off(web(member(1)), "listeners"),
        {},
        "NO_MONITOR ONLINE OFFLINE ONLINE",
    ),
    "disabled load balancer": (
        dataclasses.replace(web(member(1)), enabled=False),
        {},
        "NO_MONITOR ONLINE OFFLINE OFFLINE",
    ),
    "one listener fine, one in error": (
        balancer(
            [listener(), listener("l2", 81, "p2")],
            [pool(members=[member(1)], **MONITORED), pool("p2", [member(2)])],
        ),
        {"down": ["10.0.0.1"]},
        "ERROR NO_MONITOR ONLINE ERROR ONLINE ERROR ONLINE DEGRADED",
    ),
    "one listener off, one in error": (
        balancer(
            [listener(), listener("l2", 81, None, enabled=False)],
            [pool(members=[member(1)], **MONITORED)],
        ),
        {"down": ["10.0.0.1"]},
        "ERROR ONLINE ERROR ERROR OFFLINE ERROR",
    ),
}


@pytest.mark.parametrize(("lb", "given", "wanted"), TREES.values(), ids=TREES)
def test_tells_the_status_of_everything(lb, given, wanted):
    assert wanted == words(lb, **given)


class TestHealth:
    POOL = pool(members=[member(1), member(1, port=8080)], **MONITORED)

    def test_tells_ports_apart(self):
        found = Health({("10.0.0.1", 8080, "tcp"): HealthState.DOWN})

        assert [found.of(self.POOL, each) for each in self.POOL.members] == [
            HealthState.UNKNOWN,
            HealthState.DOWN,
        ]

    def test_tells_protocols_apart(self):
        found = Health({("10.0.0.1", 80, "udp"): HealthState.DOWN})

        assert found.may_serve(self.POOL, self.POOL.members[0])

    def test_what_is_not_checked_may_serve(self):
        assert health(down=["10.0.0.1"]).may_serve(pool(), member(1))
        assert not health(down=["10.0.0.1"]).may_serve(self.POOL, member(1))

    def test_what_cannot_be_checked_may_serve_and_what_cannot_be_reached_may_not(self):
        assert health(down=["10.0.0.1"], unchecked=[1]).may_serve(self.POOL, member(1))
        for checked in (pool(), self.POOL):
            assert not health(up=["10.0.0.1"], unreachable=[1]).may_serve(checked, member(1))


def test_keeps_the_members_statuses():
    statuses = status.tree(CHECKED, health(up=["10.0.0.1"], down=["10.0.0.2"]))

    assert status.member_statuses(statuses) == {"m1": "ONLINE", "m2": "ERROR", "hm1": "ONLINE"}


def test_a_monitor_in_error_turns_active_without_a_request():
    """Octavia holds no request on it, so nothing has to be told twice."""
    statuses = status.tree(CHECKED, health())
    known = {**status.member_statuses(statuses), "hm1": "ERROR"}

    report = status.report(CHECKED, statuses, None, known)

    assert report.message == {
        "healthmonitors": [
            {"id": "hm1", "provisioning_status": "ACTIVE", "operating_status": "ONLINE"}
        ]
    }
    assert report.first == {}
    failed = frozenset({(Kind.HEALTH_MONITOR, "hm1")})
    unchanged = status.tree(CHECKED, health(), failed)
    assert status.report(CHECKED, unchanged, None, known, failed).message == {}


def provisioning(object_id, word, operating=None):
    record = {"id": object_id, "provisioning_status": word}
    return record | ({"operating_status": operating} if operating else {})


SAME = object()


def report(lb, pending=None, known=None, *, failed=frozenset(), reported=SAME, **given):
    statuses = status.tree(lb, health(**{"up": BOTH, **given}))
    known = status.member_statuses(statuses) if known is None else known
    return status.report(
        lb, statuses, pending, known, failed, statuses if reported is SAME else reported
    )


class TestReport:
    CREATED = Pending(
        ("r1",),
        active(Kind.LOAD_BALANCER, ["lb1"])
        | active(Kind.LISTENER, ["l1"])
        | active(Kind.POOL, ["p1"])
        | active(Kind.HEALTH_MONITOR, ["hm1"])
        | active(Kind.MEMBER, ["m2", "m1"]),
        created=True,
    )

    def test_nothing_to_say(self):
        assert report(CHECKED) == status.Report()

    def test_all_that_octavia_waits_for_in_its_order(self):
        found = report(CHECKED, self.CREATED).message

        assert found == {
            "members": [
                provisioning("m1", "ACTIVE", "ONLINE"),
                provisioning("m2", "ACTIVE", "ONLINE"),
            ],
            "healthmonitors": [provisioning("hm1", "ACTIVE", "ONLINE")],
            "pools": [provisioning("p1", "ACTIVE", "ONLINE")],
            "listeners": [provisioning("l1", "ACTIVE", "ONLINE")],
            "loadbalancers": [provisioning("lb1", "ACTIVE", "ONLINE")],
        }
        layer7 = (Kind.L7RULE, Kind.L7POLICY)
        assert list(found) == [kind.value for kind in Kind if kind not in layer7]

    def test_layer_seven_goes_between_pools_and_listeners_as_octavia_does_it(self):
        layer7 = deleted(Kind.L7POLICY, ["x"]) | deleted(Kind.L7RULE, ["r"])
        waiting = Pending(("r1",), {**self.CREATED.objects, **layer7})

        found = report(CHECKED, waiting).message

        assert list(found) == [kind.value for kind in Kind]
        assert found["l7rules"] == [{"id": "r", "provisioning_status": "DELETED"}]
        assert found["l7policies"] == [{"id": "x", "provisioning_status": "DELETED"}]

    def test_health_alone_never_touches_the_provisioning_status(self):
        found = report(CHECKED, known={"m1": "ONLINE", "m2": "ONLINE"}, down=["10.0.0.2"])

        assert found.message == {
            "members": [{"id": "m2", "operating_status": "ERROR"}],
            "pools": [{"id": "p1", "operating_status": "DEGRADED"}],
            "listeners": [{"id": "l1", "operating_status": "DEGRADED"}],
            "loadbalancers": [{"id": "lb1", "operating_status": "DEGRADED"}],
        }
        assert found.first == {}

    def test_members_that_octavia_never_heard_of(self):
        assert report(web(member(1)), known={}).message["members"] == [
            {"id": "m1", "operating_status": "NO_MONITOR"}
        ]

    def test_deleted_objects(self):
        pending = Pending(
            ("r1",),
            deleted(Kind.LISTENER, ["l9"])
            | deleted(Kind.POOL, ["p9"])
            | deleted(Kind.MEMBER, ["m9"])
            | active(Kind.LOAD_BALANCER, ["lb1"]),
        )

        found = report(web(), pending)

        assert found.message == {
            "members": [provisioning("m9", "DELETED")],
            "pools": [provisioning("p9", "DELETED")],
            "listeners": [provisioning("l9", "DELETED", "OFFLINE")],
            "loadbalancers": [provisioning("lb1", "ACTIVE", "ONLINE")],
        }

    def test_what_cannot_be_done_ends_in_error(self):
        failed = frozenset({(Kind.HEALTH_MONITOR, "hm1")})

        found = report(CHECKED, self.CREATED, failed=failed).message

        assert found["healthmonitors"] == [provisioning("hm1", "ERROR", "ERROR")]
        assert found["pools"] == [provisioning("p1", "ACTIVE", "ONLINE")]

    def test_what_follows_from_a_request_about_another_object(self):
        enabled = Pending(("r1",), active(Kind.LOAD_BALANCER, ["lb1"]))
        reported = status.tree(web(member(1), enabled=False), health())

        found = report(
            web(member(1)), enabled, reported={**reported, (Kind.LISTENER, "l1"): "OFFLINE"}
        )

        assert found.message["listeners"] == [{"id": "l1", "operating_status": "ONLINE"}]
        assert (
            "pools" not in found.message or "provisioning_status" not in found.message["pools"][0]
        )

    def test_a_new_agent_tells_all_with_the_first_request_and_nothing_without(self):
        request = Pending(("r1",), active(Kind.LOAD_BALANCER, ["lb1"]))

        assert report(web(member(1)), reported=None).message == {}
        assert set(report(web(member(1)), request, reported=None).message) == {
            "pools",
            "listeners",
            "loadbalancers",
        }

    def test_what_octavia_knows_and_the_rows_do_not_still_ends(self):
        pending = Pending(("r1",), active(Kind.POOL, ["p9"]))

        assert report(web(), pending).message == {"pools": [provisioning("p9", "ACTIVE")]}


CHILDREN = {
    "members": ["m1", "m2"],
    "healthmonitors": ["hm1"],
    "pools": ["p1"],
    "listeners": ["l1"],
}


class TestLostVips:
    LB = web(member(1))

    def report(self, reported, *, lost=True):
        statuses = status.tree(self.LB, health(), lost=lost)
        known = status.member_statuses(statuses)
        return status.report(self.LB, statuses, None, known, reported=reported, marked=True).message

    @pytest.mark.parametrize("reported", [None, {}, {(Kind.LOAD_BALANCER, "lb1"): "ONLINE"}])
    def test_are_told_as_an_error_of_the_load_balancer(self, reported):
        found = self.report(reported)

        assert found["loadbalancers"] == [{"id": "lb1", "operating_status": "ERROR"}]

    def test_are_told_once(self):
        assert self.report(status.tree(self.LB, health(), lost=True)) == {}

    def test_that_none_is_lost_any_more_is_told_by_a_new_agent(self):
        found = self.report(None, lost=False)

        assert found == {"loadbalancers": [{"id": "lb1", "operating_status": "ONLINE"}]}

    def test_a_disabled_load_balancer_is_offline(self):
        lb = dataclasses.replace(self.LB, enabled=False)

        assert status.tree(lb, health(), lost=True)[(Kind.LOAD_BALANCER, "lb1")] == "OFFLINE"


class TestCommit:
    """Octavia writes some statuses after the driver's answer, and commits then."""

    def report(self, *requests, created=False, objects=None):
        objects = objects or TestReport.CREATED.objects
        return report(CHECKED, Pending(requests, objects, created=created))

    def test_a_new_load_balancer_is_committed_with_all_it_has(self):
        found = self.report("r1", created=True)

        assert found.new
        assert found.first == {}

    @pytest.mark.parametrize(("requests", "created"), [(("r1",), False), (("r1", "r2"), True)])
    def test_a_request_about_an_existing_one_is_waited_for_by_its_lock(self, requests, created):
        found = self.report(*requests, created=created)

        assert not found.new
        assert found.first == {"loadbalancers": [{"id": "lb1", "operating_status": "ONLINE"}]}

    def test_not_of_what_octavia_writes_before(self):
        objects = deleted(Kind.MEMBER, ["m9"]) | active(Kind.LOAD_BALANCER, ["lb1"])

        assert self.report("r1", objects=objects).first == {}


class TestFinal:
    GONE = Pending(
        ("r1",),
        dict.fromkeys([(Kind.LOAD_BALANCER, "lb1"), (Kind.MEMBER, "m1")], Final.DELETED),
    )

    def test_says_that_all_is_gone(self):
        assert status.final(self.GONE) == status.Report(
            {
                "members": [provisioning("m1", "DELETED")],
                "loadbalancers": [provisioning("lb1", "DELETED", "OFFLINE")],
            }
        )

    def test_says_that_it_failed(self):
        found = status.final(self.GONE, frozenset(self.GONE.objects)).message

        assert found["loadbalancers"] == [provisioning("lb1", "ERROR", "ERROR")]

    def test_an_orphan_is_nobodys(self):
        assert status.final(Pending(("r1",), {}, orphaned=True)) == status.Report()


def test_udp_members_are_checked_as_udp():
    lb = balancer(
        [listener(protocol=model.Protocol.UDP)],
        [pool(members=[member(1)], protocol=model.Protocol.UDP, **MONITORED)],
    )
    dead = Health({("10.0.0.1", 80, "udp"): HealthState.DOWN})

    assert status.tree(lb, dead)[(Kind.MEMBER, "m1")] is status.Operating.ERROR


@pytest.mark.parametrize("kind", [Kind.L7POLICY, Kind.L7RULE])
def test_what_ovn_cannot_serve_ends_in_error_and_lets_the_others_go(kind):
    objects = (
        active(kind, ["x"]) | active(Kind.LISTENER, ["l1"]) | active(Kind.LOAD_BALANCER, ["lb1"])
    )
    lb = web(*TWO)
    told = status.report(lb, status.tree(lb, Health()), Pending(("r",), objects), {}).message
    assert told[kind.value] == [
        {"id": "x", "provisioning_status": "ERROR", "operating_status": "ERROR"}
    ]
    assert told["listeners"][0]["provisioning_status"] == "ACTIVE"
    assert told["loadbalancers"][0]["provisioning_status"] == "ACTIVE"


@pytest.mark.parametrize("kind", [Kind.L7POLICY, Kind.L7RULE])
def test_what_ovn_cannot_serve_can_be_deleted(kind):
    lb = web(*TWO)
    pending = Pending(("r",), deleted(kind, ["x"]))
    told = status.report(lb, status.tree(lb, Health()), pending, {}).message
    assert told[kind.value] == [{"id": "x", "provisioning_status": "DELETED"}]


def test_octavias_order_of_kinds():
    assert [each.value for each in Kind] == [
        *("members", "healthmonitors", "pools", "l7rules", "l7policies"),
        *("listeners", "loadbalancers"),
    ]
    assert [each.singular for each in Kind] == [
        *("member", "healthmonitor", "pool", "l7rule", "l7policy", "listener", "loadbalancer")
    ]
