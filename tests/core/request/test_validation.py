# SPDX-License-Identifier: Apache-2.0
"""What a change may ask for, given the load balancer that it is about."""

import dataclasses

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.request import changes, limits, validation
from tests.core.builders import VIP, balancer, member, monitor, pool, vip
from tests.core.request.validating import HOMELESS, LB, complete, put, whole


class TestSubnets:
    @pytest.mark.parametrize(("address", "subnet"), [("10.0.0.7", "sub1"), ("10.2.0.7", "sub2")])
    @pytest.mark.parametrize(
        ("ask", "answer"),
        [
            (put, lambda change: change.member),
            (lambda one: changes.ReplaceMembers("p1", (one,)), lambda change: change.members[0]),
            (whole, lambda change: change.lb.pools[0].members[0]),
            (
                lambda one: changes.Restore(whole(one).lb),
                lambda change: change.lb.pools[0].members[0],
            ),
        ],
        ids=["one member", "all members", "a whole load balancer", "Octavia's own"],
    )
    def test_are_found(self, ask, answer, address, subnet):
        change = ask(member(7, address=address, **HOMELESS))

        assert answer(complete(change)).subnet_id == subnet

    @pytest.mark.parametrize(
        "change",
        [
            put(member(7, address="10.9.0.7", **HOMELESS)),
            changes.ReplaceMembers("p1", (member(1), member(7, address="10.9.0.7", **HOMELESS))),
            whole(member(7, address="10.9.0.7", **HOMELESS)),
        ],
        ids=["one member", "all members", "a whole load balancer"],
    )
    def test_must_be_named_elsewhere(self, change):
        with pytest.raises(limits.Unsupported, match=r"10\.9\.0\.7 is in no subnet"):
            complete(change)

    def test_named_ones_are_believed(self):
        change = put(member(7, address="10.9.0.7", subnet_id="sub9"))

        assert complete(change).member.subnet_id == "sub9"

    def test_known_ones_are_kept(self):
        lb = dataclasses.replace(LB, pools=(pool(members=[member(1, subnet_id="sub9")]),))

        assert complete(put(member(1, **HOMELESS)), lb).member.subnet_id == "sub9"

    def test_a_member_that_never_had_one_can_still_be_changed(self):
        old = member(1, address="10.9.0.7", **HOMELESS)
        lb = dataclasses.replace(LB, pools=(pool(members=[old]),))
        change = put(dataclasses.replace(old, weight=5))

        assert complete(change, lb) == change

    def test_and_gets_one_when_there_is_one(self):
        lb = dataclasses.replace(LB, pools=(pool(members=[member(1, **HOMELESS)]),))

        assert complete(put(member(1, **HOMELESS)), lb).member == member(1)

    def test_what_octavia_has_is_taken_as_it_is(self):
        change = changes.Restore(whole(member(7, address="10.9.0.7", **HOMELESS), member(1)).lb)

        assert complete(change) == change


WRONG = {
    "loopback": ({"address": "127.0.0.1"}, "a loopback address"),
    "unspecified": ({"address": "0.0.0.0"}, "the unspecified address"),
    "multicast": ({"address": "224.0.0.1"}, "a multicast address"),
    "broadcast": ({"address": "255.255.255.255"}, "the broadcast address"),
    "link-local": ({"address": "169.254.1.1", "subnet_id": None}, "a link-local address"),
    "outside of the VIP's subnet": ({"address": "10.0.1.7"}, "is not in 10.0.0.0/24"),
    "outside of another subnet": (
        {"address": "10.0.0.7", "subnet_id": "sub2"},
        "is not in 10.2.0.0/24, the network of subnet sub2",
    ),
    "the network itself": ({"address": "10.0.0.0"}, "is the network address of 10.0.0.0/24"),
    "the broadcast address of a subnet": (
        {"address": "10.0.0.255", "subnet_id": None},
        "is the broadcast address of 10.0.0.0/24",
    ),
    "that of a subnet around": (
        {"address": "10.2.0.255", "subnet_id": None},
        "is the broadcast address of 10.2.0.0/24",
    ),
    "the VIP": ({"address": VIP}, "is a VIP of this load balancer"),
}
BRINGS = {
    "one member": put,
    "all members": lambda one: changes.ReplaceMembers("p1", (member(1), one)),
    "a whole load balancer": whole,
}


class TestAddresses:
    @pytest.mark.parametrize("bring", BRINGS.values(), ids=BRINGS)
    @pytest.mark.parametrize(("fields", "sentence"), WRONG.values(), ids=WRONG)
    def test_that_no_member_can_have_are_refused(self, bring, fields, sentence):
        with pytest.raises(limits.Unsupported, match=f"^{fields['address']} .*{sentence}"):
            complete(bring(member(7, **fields)))

    def test_an_additional_vip_is_none_either(self):
        lb = dataclasses.replace(LB, vips=(*LB.vips, vip("10.2.0.9", subnet_id="sub2")))

        with pytest.raises(limits.Unsupported, match="is a VIP of this load balancer"):
            complete(put(member(7, address="10.2.0.9", subnet_id="sub2")), lb)

    @pytest.mark.parametrize("fields", [each for each, _ in WRONG.values()], ids=WRONG)
    def test_that_are_there_already_can_be_changed_and_restored(self, fields):
        old = member(7, **{"subnet_id": "sub1", **fields})
        old = dataclasses.replace(old, subnet_id=old.subnet_id or "sub1")
        lb = dataclasses.replace(LB, pools=(pool(members=[old]),))
        change = put(dataclasses.replace(old, weight=5))

        assert complete(change, lb) == change
        assert complete(changes.Restore(lb), lb) == changes.Restore(lb)

    def test_of_a_subnet_that_is_gone_are_believed(self):
        change = put(member(7, address="10.9.0.255", subnet_id="sub9"))

        assert complete(change) == change


class TestFamilies:
    DUAL = dataclasses.replace(LB, vips=(*LB.vips, vip("fd00::5")))
    IPV6 = member(7, address="fd00::7", subnet_id="sub6")

    def test_a_vip_reaches_its_own_only(self):
        with pytest.raises(limits.Unsupported, match="fd00::7"):
            complete(put(self.IPV6))

    def test_dual_stack_reaches_both(self):
        assert complete(put(self.IPV6), self.DUAL) == put(self.IPV6)

    def test_an_old_mistake_can_be_changed(self):
        lb = dataclasses.replace(LB, pools=(pool(members=[self.IPV6]),))
        change = put(dataclasses.replace(self.IPV6, enabled=False))

        assert complete(change, lb) == change


def test_a_pool_follows_the_flavor():
    lb = dataclasses.replace(LB, flavor=model.Flavor(session_persistence=model.Mechanism.AFFINITY))
    persistence = model.SessionPersistence(model.Mechanism.HASH)

    change = complete(changes.PutPool(pool(persistence=persistence)), lb)

    kept = model.SessionPersistence(model.Mechanism.AFFINITY)
    assert change.pool.persistence == kept


@pytest.mark.parametrize(
    ("change", "lb"),
    [
        (put(member(7, address="10.9.0.7", **HOMELESS)), None),
        (changes.DeleteMember("p1", "m1"), LB),
        (changes.UpdateLoadBalancer(enabled=False), LB),
    ],
)
def test_other_changes_pass(change, lb):
    assert complete(change, lb) == change


HASHING = pool(algorithm=model.Algorithm.SOURCE_IP)
V6 = (vip("fd00::5"),)


@pytest.mark.parametrize(
    ("change", "lb", "needed"),
    [
        (changes.PutPool(HASHING), balancer(vips=V6), True),
        (changes.PutPool(HASHING), balancer(vips=(vip(), *V6)), True),
        (changes.PutPool(HASHING), balancer(), False),
        (changes.PutPool(HASHING), None, False),
        (changes.PutPool(pool()), balancer(vips=V6), False),
        (changes.CreateLoadBalancer(balancer(pools=[HASHING], vips=V6)), None, True),
        (changes.CreateLoadBalancer(balancer(pools=[HASHING])), None, False),
        (changes.UpdateLoadBalancer(), balancer(pools=[HASHING], vips=V6), False),
    ],
)
def test_recognises_changes_that_need_ipv6_hashes(change, lb, needed):
    assert needed is validation.needs_ipv6_hash(change, lb)


def _put_monitor(**fields):
    return changes.PutMonitor("p1", dataclasses.replace(monitor(), **fields))


def _put_pool(timeout, mechanism=model.Mechanism.AFFINITY):
    return changes.PutPool(pool(persistence=model.SessionPersistence(mechanism, timeout)))


class TestTimes:
    @pytest.mark.parametrize("option", ["delay", "timeout"])
    def test_a_check_without_a_pause_is_refused(self, option):
        for change in (
            _put_monitor(**{option: 0}),
            whole(monitor=_put_monitor(**{option: 0}).monitor),
        ):
            with pytest.raises(limits.Unsupported, match=f"{option} 0: OVN would check"):
                complete(change)

    @pytest.mark.parametrize("option", ["delay", "timeout"])
    def test_one_that_another_driver_accepted_is_changeable(self, option):
        before = dataclasses.replace(monitor(), **{option: 0})
        lb = balancer(pools=[pool(monitor=before)])
        change = changes.PutMonitor("p1", dataclasses.replace(before, max_retries=9))

        assert complete(change, lb) == change

    @pytest.mark.parametrize("timeout", [-1, 0, 65536])
    def test_a_time_out_of_persistence_that_ovn_does_not_know_is_refused(self, timeout):
        persistence = model.SessionPersistence(model.Mechanism.AFFINITY, timeout)
        for change in (_put_pool(timeout), whole(persistence=persistence)):
            with pytest.raises(limits.Unsupported, match=f"persistence_timeout {timeout}: "):
                complete(change)

    @pytest.mark.parametrize("timeout", [None, 1, 65535])
    def test_others_are_not(self, timeout):
        complete(whole(persistence=model.SessionPersistence(model.Mechanism.AFFINITY, timeout)))

    def test_it_does_not_matter_where_clients_are_hashed(self):
        complete(whole(persistence=model.SessionPersistence(model.Mechanism.HASH, -1)))

    def test_one_that_is_there_does_not_block_other_changes(self):
        persistence = model.SessionPersistence(model.Mechanism.AFFINITY, 70000)
        lb = dataclasses.replace(
            balancer(pools=[pool(persistence=persistence)]),
            flavor=model.Flavor(session_persistence=model.Mechanism.AFFINITY),
        )
        change = changes.PutPool(pool(persistence=persistence, enabled=False))

        assert complete(change, lb).pool.enabled is False


class TestMembersWithOneAddress:
    TWIN = member(7, address=member(1).address)

    @pytest.mark.parametrize(
        "change",
        [
            put(TWIN),
            changes.ReplaceMembers("p1", (member(1), TWIN)),
            changes.ReplaceMembers("p1", (TWIN, dataclasses.replace(TWIN, id="m8"))),
            whole(member(1), TWIN),
        ],
        ids=["one member", "all members", "two new members", "a whole load balancer"],
    )
    def test_are_refused(self, change):
        with pytest.raises(limits.Unsupported, match=r"^10\.0\.0\.1:80 is in the pool more than"):
            complete(change)

    @pytest.mark.parametrize(
        "change",
        [
            put(dataclasses.replace(TWIN, port=81)),
            changes.ReplaceMembers("p1", (TWIN,)),
            changes.PutMember("p9", TWIN),
        ],
        ids=["another port", "in the place of the other", "another pool"],
    )
    def test_are_accepted_where_only_one_serves(self, change):
        assert complete(change) == change

    def test_can_be_changed_when_they_exist(self):
        lb = dataclasses.replace(LB, pools=(pool(members=[member(1), self.TWIN]),))
        disabled = dataclasses.replace(self.TWIN, enabled=False)

        for change in (put(disabled), changes.ReplaceMembers("p1", (member(1), disabled))):
            assert complete(change, lb) == change
