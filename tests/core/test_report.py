# SPDX-License-Identifier: Apache-2.0
"""Reports of statuses to Octavia."""

import dataclasses

import pytest

from octavia_ovn.core import model, status
from octavia_ovn.core.health import Health, HealthState
from octavia_ovn.core.pending import Final, Kind, Pending, active, deleted
from tests.core.builders import balancer, health, listener, member, pool, web
from tests.core.statuses import BOTH, CHECKED, MONITORED, TWO


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

    def test_layer_seven_is_between_pools_and_listeners_as_in_octavia(self):
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

    def test_members_without_a_reported_status(self):
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

    def test_a_new_agent_reports_all_with_the_first_request_and_nothing_without(self):
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
    def test_are_reported_as_an_error_of_the_load_balancer(self, reported):
        found = self.report(reported)

        assert found["loadbalancers"] == [{"id": "lb1", "operating_status": "ERROR"}]

    def test_are_reported_once(self):
        assert self.report(status.tree(self.LB, health(), lost=True)) == {}

    def test_a_new_agent_reports_that_all_vips_are_served_again(self):
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

    def test_a_deletion_is_waited_for(self):
        objects = deleted(Kind.MEMBER, ["m9"]) | active(Kind.LOAD_BALANCER, ["lb1"])

        assert self.report("r1", objects=objects).first

    def test_a_message_about_the_load_balancer_alone_waits_itself(self):
        objects = active(Kind.LOAD_BALANCER, ["lb1"])

        assert self.report("r1", objects=objects).first == {}


class TestFinal:
    GONE = Pending(
        ("r1",),
        dict.fromkeys([(Kind.LOAD_BALANCER, "lb1"), (Kind.MEMBER, "m1")], Final.DELETED),
    )

    def test_all_objects_are_reported_deleted(self):
        assert status.final(self.GONE) == status.Report(
            {
                "members": [provisioning("m1", "DELETED")],
                "loadbalancers": [provisioning("lb1", "DELETED", "OFFLINE")],
            },
            {"loadbalancers": [{"id": "lb1", "operating_status": "OFFLINE"}]},
        )

    def test_a_failed_deletion_is_reported(self):
        found = status.final(self.GONE, frozenset(self.GONE.objects)).message

        assert found["loadbalancers"] == [provisioning("lb1", "ERROR", "ERROR")]

    def test_an_orphan_is_not_reported(self):
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
