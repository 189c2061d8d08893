# SPDX-License-Identifier: Apache-2.0
"""An update changes the fields that it names, and builds the object anew where the rows lack it."""

import dataclasses

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.request import changes, limits, patches
from tests.core.builders import balancer, listener, member, monitor, pool

LB = balancer([listener()], [pool(members=[member(1), member(2)], monitor=monitor())])
(POOL,) = LB.pools


def disabled(kind, whole=None):
    patch = patches.Patch(kind, {"enabled": False})
    return patch, patches.Patch(kind, whole) if whole else None


def off(thing):
    return dataclasses.replace(thing, enabled=False)


UPDATES = {
    "listener": (
        patches.UpdateListener("l1", *disabled(model.Listener)),
        changes.PutListener(off(LB.listeners[0])),
    ),
    "pool": (patches.UpdatePool("p1", *disabled(model.Pool)), changes.PutPool(off(POOL))),
    "member": (
        patches.UpdateMember("m1", *disabled(model.Member), "p1"),
        changes.PutMember("p1", off(member(1))),
    ),
    "all members": (
        patches.UpdateMembers("p1", (patches.UpdateMember("m2", *disabled(model.Member), "p1"),)),
        changes.ReplaceMembers("p1", (off(member(2)),)),
    ),
    "monitor": (
        patches.UpdateMonitor("hm1", *disabled(model.HealthMonitor), "p1"),
        changes.PutMonitor("p1", off(monitor())),
    ),
    "a change says all itself": (changes.DeleteListener("l1"), changes.DeleteListener("l1")),
}


@pytest.mark.parametrize(("update", "change"), UPDATES.values(), ids=UPDATES)
def test_what_an_update_does_not_name_stays(update, change):
    assert patches.resolve(update, LB) == change


NEW = member(9)
UNKNOWN = {"id": NEW.id, "address": NEW.address, "port": NEW.port, "subnet_id": NEW.subnet_id}


def test_an_object_that_the_rows_lack_is_built_from_the_whole():
    update = patches.UpdateMember("m9", *disabled(model.Member, UNKNOWN), "p1")

    assert patches.resolve(update, LB) == changes.PutMember("p1", NEW)


def test_a_monitor_with_another_id_does_not_lend_its_fields():
    update = patches.UpdateMonitor("hm9", *disabled(model.HealthMonitor), "p1")

    with pytest.raises(changes.UnknownObject, match="healthmonitor hm9 is not in"):
        patches.resolve(update, LB)


MISSING = {
    "load balancer": (patches.UpdateListener("l1", *disabled(model.Listener)), None),
    "listener": (patches.UpdateListener("l9", *disabled(model.Listener)), LB),
    "pool": (patches.UpdatePool("p9", *disabled(model.Pool)), LB),
    "pool of a member": (patches.UpdateMember("m1", *disabled(model.Member), "p9"), LB),
    "member": (patches.UpdateMember("m9", *disabled(model.Member), "p1"), LB),
}


@pytest.mark.parametrize(("update", "lb"), MISSING.values(), ids=MISSING)
def test_what_is_not_known_completely_cannot_be_changed(update, lb):
    with pytest.raises(changes.UnknownObject):
        patches.resolve(update, lb)


def test_a_wrong_value_is_named_to_the_user():
    patch = patches.Patch(model.Member, {"weight": 257})

    with pytest.raises(limits.Unsupported, match=r"^257 is not a weight between 0 and 256\.$"):
        patches.resolve(patches.UpdateMember("m1", patch, None, "p1"), LB)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, model.SessionPersistence(model.Mechanism.HASH)),
        (
            model.SessionPersistence(model.Mechanism.AFFINITY, 90),
            model.SessionPersistence(model.Mechanism.HASH, 90),
        ),
    ],
    ids=["made anew", "changed"],
)
def test_a_value_that_is_a_patch_changes_the_value_that_is_there(before, after):
    inner = patches.Patch(model.SessionPersistence, {"mechanism": model.Mechanism.HASH})

    changed = patches.Patch(model.Pool, {"persistence": inner}).apply(pool(persistence=before))

    assert changed.persistence == after
