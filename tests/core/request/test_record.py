# SPDX-License-Identifier: Apache-2.0
"""What a request writes: the intent, and what Octavia waits for."""

import dataclasses

import pytest

from octavia_ovn.core import codec, model
from octavia_ovn.core import rows as r
from octavia_ovn.core.desired.load_balancer import desired
from octavia_ovn.core.diff import diff
from octavia_ovn.core.pending import Final, Kind, Pending, active, deleted
from octavia_ovn.core.request import changes, record
from tests.core.builders import (
    VIP,
    balancer,
    facts,
    listener,
    member,
    monitor,
    pool,
    row,
    web,
)
from tests.core.database import Database

SOURCE_IP = model.Algorithm.SOURCE_IP
LB1 = active(Kind.LOAD_BALANCER, ["lb1"])
GONE = deleted(Kind.LOAD_BALANCER, ["lb1"])


def request(db, change, request_id="r1", name="lb1"):
    return db.write(record.record(db.of(name), change, request_id))


def realise(db, name="lb1"):
    """What the agent does, Octavia's answer included."""
    rows = db.of(name)
    wanted = desired(codec.decode(rows).lb, rows, facts())
    db.write(diff(rows, record.with_pending(wanted, None)))


def created(lb, *, realised=True):
    db = Database()
    request(db, changes.CreateLoadBalancer(lb))
    if realised:
        realise(db)
    return db


def told(db, name="lb1"):
    return codec.pending(db.of(name))


def the_lb(db):
    decoded = codec.decode(db.of("lb1"))
    assert decoded.problems == ()
    return decoded.lb


class TestRequest:
    def test_creates_a_row_with_intent_alone(self):
        db = created(web(member(1)), realised=False)

        (found,) = db.all()

        assert found.vips == {}
        assert found.switches == frozenset()
        assert the_lb(db) == web(member(1))
        assert told(db) == Pending(
            ("r1",), dict.fromkeys(changes.objects(web(member(1))), Final.ACTIVE), created=True
        )

    def test_leaves_what_serves_as_it_is(self):
        db = created(web(member(1)))
        before = db.vips()

        request(db, changes.PutMember("p1", member(2)))

        assert db.vips() == before
        assert the_lb(db) == web(member(1), member(2))

    def test_is_one_small_operation(self):
        db = created(web(member(1)))

        (operation,) = record.record(db.of("lb1"), changes.PutMember("p1", member(2)), "r1")

        assert isinstance(operation, r.SetKeys)
        assert operation.put.keys() == {"pool_p1", "octavia:pending"}

    def test_recorded_twice_changes_nothing(self):
        db = created(web())
        change = changes.PutMember("p1", member(1))

        assert request(db, change)
        assert not request(db, change)

    def test_adds_to_what_octavia_waits_for_already(self):
        db = created(web())
        request(db, changes.PutMember("p1", member(1)), "r1")
        request(db, changes.DeleteListener("l1"), "r2")

        assert told(db).requests == ("r1", "r2")
        assert told(db).objects == {
            **LB1,
            **active(Kind.POOL, ["p1"]),
            **active(Kind.MEMBER, ["m1"]),
            **deleted(Kind.LISTENER, ["l1"]),
        }

    def test_a_failover_does_not_shorten_what_octavia_waits_for(self):
        db = created(web())
        request(db, changes.DeleteListener("l1"), "r1")
        request(db, changes.Resync("lb1"), "r2")

        assert told(db) == Pending(("r1", "r2"), LB1 | deleted(Kind.LISTENER, ["l1"]), resync=True)

    @pytest.mark.parametrize("groups", [True, False])
    def test_an_update_may_have_changed_security_groups(self, groups):
        db = created(web())
        request(db, changes.UpdateLoadBalancer(groups=groups), "r1")

        assert told(db) == Pending(("r1",), LB1, groups=groups)
        assert the_lb(db).enabled

    @pytest.mark.parametrize(
        ("octavia", "kept"), [(None, {"sg1"}), (frozenset(), set()), (frozenset({"sg2"}), {"sg2"})]
    )
    def test_a_restoration_keeps_the_security_groups_unless_octavia_says_them(self, octavia, kept):
        db = created(dataclasses.replace(web(), security_groups=frozenset({"sg1"})))
        request(db, changes.Restore(dataclasses.replace(web(), security_groups=octavia)))

        assert the_lb(db).security_groups == kept

    def test_it_keeps_them_although_the_vip_cannot_be_read(self):
        db = created(dataclasses.replace(web(), security_groups=frozenset({"sg1"})))
        (row,) = db.of("lb1")
        db.write([r.SetKeys(row.uuid, "external_ids", remove=frozenset({"neutron:vip"}))])
        request(db, changes.Restore(dataclasses.replace(web(), security_groups=None)))

        assert the_lb(db).security_groups == {"sg1"}

    @pytest.mark.parametrize(
        "change", [changes.PutMember("p9", member(1)), changes.PutPool(pool("p2"), "l9")]
    )
    def test_about_something_unknown_is_refused(self, change):
        db = created(web())

        with pytest.raises(changes.UnknownObject):
            request(db, change)

    def test_without_rows_is_refused(self):
        with pytest.raises(changes.UnknownObject):
            request(Database(), changes.UpdateLoadBalancer(enabled=True))

    def test_on_rows_without_vip_is_refused(self):
        db = Database([row(external_ids={"octavia:pending": "{}"})])

        with pytest.raises(codec.Undecodable):
            request(db, changes.PutListener(listener()))


TWO_POOLS = balancer(
    [listener(), listener("l2", 81, "p2")],
    [pool(members=[member(1)]), pool("p2", [member(2)], algorithm=SOURCE_IP)],
)


def stands_in(db, key):
    (found,) = (each.uuid for each in db.of("lb1") if key in each.external_ids)
    return found


class TestRows:
    def test_pools_that_differ_get_rows_of_their_own(self):
        db = created(TWO_POOLS, realised=False)

        assert stands_in(db, "pool_p1") == stands_in(db, "listener_l1")
        assert stands_in(db, "pool_p2") == stands_in(db, "listener_l2")
        assert stands_in(db, "pool_p1") != stands_in(db, "pool_p2")

    @pytest.mark.parametrize("lb", [balancer(), web(), TWO_POOLS])
    def test_one_row_holds_the_pending_objects(self, lb):
        db = created(lb, realised=False)

        assert sum("octavia:pending" in each.external_ids for each in db.all()) == 1

    def test_a_pool_that_becomes_different_moves_with_its_listener(self):
        db = created(balancer([listener(), listener("l2", 81, "p2")], [pool(), pool("p2")]))
        assert len(db.all()) == 1

        request(db, changes.PutPool(pool("p2", algorithm=SOURCE_IP)))

        assert len(db.all()) == 2
        assert stands_in(db, "pool_p1") == stands_in(db, "listener_l1")
        assert stands_in(db, "pool_p2") == stands_in(db, "listener_l2")
        assert the_lb(db).pool("p2").algorithm is SOURCE_IP

    def test_a_listener_moves_to_its_new_pool(self):
        db = created(TWO_POOLS)

        request(db, changes.PutListener(listener(pool_id="p2")))

        assert stands_in(db, "listener_l1") == stands_in(db, "pool_p2")

    def test_a_superfluous_row_holds_no_intent_until_the_agent_deletes_it(self):
        db = created(TWO_POOLS)

        request(db, changes.DeletePool("p2", {}))

        assert len(db.all()) == 2
        assert stands_in(db, "listener_l2") == stands_in(db, "listener_l1")
        assert {each.id for each in the_lb(db).pools} == {"p1"}

        realise(db)

        assert len(db.all()) == 1

    @pytest.mark.parametrize("pool_id", ["p1", "p2"])
    def test_nor_does_it_hold_back_a_later_request(self, pool_id):
        """Whatever row is read first, it must not tell what the load balancer was before."""
        db = created(TWO_POOLS)
        request(db, changes.DeletePool(pool_id, {}))

        request(db, changes.UpdateLoadBalancer(enabled=False), "r2")

        assert not the_lb(db).enabled

    def test_a_protocol_comes_with_the_first_listener(self):
        db = created(balancer())

        request(db, changes.PutListener(listener(pool_id=None)))

        assert [each.protocol for each in db.all()] == ["tcp"]

    def test_the_last_row_stays(self):
        db = created(web(member(1)))
        (before,) = db.all()
        request(db, changes.DeletePool("p1", {}), "r1")
        request(db, changes.DeleteListener("l1"), "r2")
        realise(db)

        (found,) = db.all()

        assert found.uuid == before.uuid
        assert found.protocol == ""
        assert found.vips == {}

    def test_foreign_rows_and_keys_stay(self):
        foreign = row(name="pf-floatingip-x", uuid="pf", external_ids={"a": "b"})
        db = created(web())
        db.insert(foreign)
        (mine,) = db.of("lb1")
        db.edit(mine.uuid, external_ids={**mine.external_ids, "foreign": "1"})

        request(db, changes.PutMember("p1", member(1)))
        realise(db)

        assert db["pf"] == foreign
        assert db[mine.uuid].external_ids["foreign"] == "1"


class TestDelete:
    def test_a_deletion_writes_only_the_pending_objects(self):
        db = created(web(member(1), monitor=monitor()))
        before = db.all()

        request(db, changes.DeleteLoadBalancer(balancer(), deleted(Kind.MEMBER, ["m9"])))

        assert told(db).deleting
        assert told(db).objects == {
            **dict.fromkeys(changes.objects(web(member(1), monitor=monitor())), Final.DELETED),
            **deleted(Kind.MEMBER, ["m9"]),
        }
        bare = record.with_pending(db.all(), None)
        assert tuple(bare) == before

    def test_without_rows_makes_one_to_remember_it(self):
        db = Database()

        request(db, changes.DeleteLoadBalancer(balancer(), deleted(Kind.LISTENER, ["l1"])))

        assert told(db).objects == GONE | deleted(Kind.LISTENER, ["l1"])
        assert the_lb(db) == balancer()

    def test_of_rows_without_vip(self):
        db = Database([row(external_ids={})])

        request(db, changes.DeleteLoadBalancer(balancer(), {}))

        assert told(db).objects == GONE


class TestFailover:
    WANTED = Pending(("r1",), LB1, resync=True)

    def test_asks_the_agent_for_it(self):
        db = created(web(member(1)))

        request(db, changes.Resync("lb1"))

        assert told(db) == self.WANTED
        assert the_lb(db) == web(member(1))

    def test_without_rows_makes_one_to_remember_it(self):
        db = Database()

        request(db, changes.Resync("lb1"))

        assert told(db) == self.WANTED
        assert db.all()[0].external_ids.keys() == {"octavia:pending"}


class TestRelease:
    POLICY = deleted(Kind.L7POLICY, ["x"])

    @pytest.mark.parametrize("rows", [web(member(1)), None], ids=["with rows", "without"])
    def test_adds_to_what_octavia_waits_for(self, rows):
        db = created(rows) if rows else Database()

        request(db, changes.Release("lb1", self.POLICY))

        assert told(db) == Pending(("r1",), LB1 | self.POLICY, resync=rows is None)
        assert rows is None or the_lb(db) == rows


class TestRestore:
    def test_restores_the_rows_from_octavia(self):
        db = created(web(member(1)))

        request(db, changes.Restore(TWO_POOLS, LB1))

        assert the_lb(db) == TWO_POOLS
        assert told(db) == Pending(("r1",), LB1)

    def test_restoring_equal_rows_writes_nothing(self):
        db = created(TWO_POOLS)

        assert not request(db, changes.Restore(TWO_POOLS))

    @pytest.mark.parametrize(
        "rows", [[], [row(external_ids={"octavia:pending": '{"objects":{},"requests":[]}'})]]
    )
    def test_makes_what_is_missing(self, rows):
        db = Database(rows)

        request(db, changes.Restore(web(member(1))))

        assert the_lb(db) == web(member(1))

    def test_adopts_rows_of_the_existing_driver(self):
        ids = {"neutron:vip": VIP, "neutron:vip_port_id": "vip-port", "enabled": "True"}
        db = Database([row(external_ids={**ids, "listener_l1": "80:pool_p1", "pool_p1": ""})])

        request(db, changes.Restore(web()))

        (adopted,) = db.all()
        assert codec.keys.LOAD_BALANCER in adopted.external_ids
        assert adopted.uuid == "u1"


class TestAbandon:
    def test_an_abandoned_load_balancer_is_deleted_without_a_report(self):
        db = created(web(member(1)))

        request(db, changes.Abandon("lb1"))

        assert told(db) == Pending(("r1",), {}, orphaned=True)
        assert told(db).deleting

    def test_of_nothing_is_nothing(self):
        assert record.record((), changes.Abandon("lb1"), "r1") == ()


def test_reads_nothing_from_nothing():
    assert record.read(()) is None


def test_pending_without_rows_is_nowhere():
    assert record.with_pending([], Pending((), LB1)) == []


def test_pending_moves_to_the_first_row():
    first, second = row(), row(uuid="u2", external_ids={"octavia:pending": "{}", "a": "b"})
    pending = Pending(("r1",), LB1)

    wanted = record.with_pending([first, second], pending)

    assert codec.pending(wanted[:1]) == pending
    assert wanted[1] == dataclasses.replace(second, external_ids={"a": "b"})
