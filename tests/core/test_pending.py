# SPDX-License-Identifier: Apache-2.0
"""What Octavia waits for, merged over several requests."""

import pytest

from octavia_ovn.core.pending import Final, Kind, Pending, active, deleted

LB = (Kind.LOAD_BALANCER, "lb1")
UPDATE = Pending(("update",), active(Kind.LOAD_BALANCER, ["lb1"]))
DELETE = Pending(("delete",), deleted(Kind.LOAD_BALANCER, ["lb1"]))


def test_a_later_request_decides_how_an_object_ends():
    merged = UPDATE.merge(DELETE)

    assert merged.requests == ("update", "delete")
    assert merged.objects == {LB: Final.DELETED}
    assert merged.deleting


def test_a_failover_after_a_deletion_that_was_refused_ends_it():
    merged = DELETE.merge(UPDATE)

    assert merged.objects == {LB: Final.ACTIVE}
    assert not merged.deleting


def test_of_an_orphan_nothing_is_reported():
    merged = UPDATE.merge(Pending(("abandon",), {}, orphaned=True))

    assert merged.objects == {}
    assert merged.deleting


@pytest.mark.parametrize(("earlier", "later"), [(True, False), (False, True)])
def test_groups_are_asked_for_once_a_request_may_have_changed_them(earlier, later):
    one, other = (Pending((str(each),), UPDATE.objects, groups=each) for each in (earlier, later))

    assert one.merge(other).groups
    assert not UPDATE.merge(UPDATE).groups


def test_deletions_and_what_ovn_cannot_serve_must_be_confirmed_by_octavia():
    policy = active(Kind.L7POLICY, ["policy"])
    pending = Pending(("r",), {**active(Kind.POOL, ["p"]), **deleted(Kind.MEMBER, ["m"]), **policy})

    assert pending.questionable == {(Kind.MEMBER, "m"), (Kind.L7POLICY, "policy")}


@pytest.mark.parametrize(
    ("kind", "name"), [(Kind.MEMBER, "member"), (Kind.L7POLICY, "l7policy"), (Kind.POOL, "pool")]
)
def test_the_name_of_a_single_object(kind, name):
    assert kind.singular == name
