"""What must hold whatever is asked and whatever happens, in any order."""

import dataclasses
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octavia_ovn.core import access, changes, codec, intent, model, slots
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import Facts, desired
from octavia_ovn.core.diff import diff
from octavia_ovn.core.health import Health, Verdict
from octavia_ovn.core.pending import Final, Kind
from octavia_ovn.core.rows import HealthCheck as Check
from octavia_ovn.core.topology import Subnet, attachments, entrances
from tests.core import strategies as some
from tests.core.builders import VIP, Cloud, balancer, facts, recorded, row, settle, vip
from tests.core.database import Database

many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

FOREIGN = row(name="pf-floatingip-1", uuid="pf", external_ids={"neutron:device_owner": "x"})
SUBNETS = {
    "sub1": Subnet("sub1", "net1", "10.0.0.0/24"),
    "sub6": Subnet("sub6", "net1", "fd00::/64"),
}


class World:
    """A database, its surroundings, and an agent that looks when told."""

    def __init__(self, lb=None):
        self.db = Database([FOREIGN])
        self.lb = lb or balancer(vips=(vip(),))
        self.fip, self.interfaces, self.dead = None, frozenset(), frozenset()
        self.count = 0
        self.waiting = {}
        self.db.write(self._record(changes.CreateLoadBalancer(self.lb)))

    # --- what happens

    def happens(self, step):
        match step:
            case some.FloatingIp(address):
                self.fip = address
            case some.Interface(router, switch, there):
                one = {(router, switch)}
                self.interfaces = self.interfaces | one if there else self.interfaces - one
            case some.Dies(number, dead):
                self.dead = self.dead | {number} if dead else self.dead - {number}
            case _:
                self.asked(step)

    def asked(self, change):
        try:
            operations = self._record(change)
        except changes.UnknownObject:
            return
        self.db.write(operations)
        self.lb = changes.apply(self.lb, change).lb

    def _record(self, change):
        self.count += 1
        before = self.lb if self.count > 1 else None
        operations = intent.record(self.rows, change, f"r{self.count}")
        self.waiting |= changes.apply(before, change).objects
        return operations

    def look(self):
        """What the agent does; return whether there was anything to do."""
        kept_out = access.difference(self.db.access(), self.kept_out())
        return self.db.write(diff(self.rows, self.wanted(self.rows)) + kept_out)

    def answered(self):
        """Octavia has been told and has accepted."""
        self.db.write(diff(self.rows, intent.with_pending(self.rows, None)))
        self.waiting = {}

    # --- what there is

    @property
    def rows(self):
        return self.db.of("lb1")

    def wanted(self, existing):
        decoded = codec.decode(self.rows)
        assert decoded.problems == ()
        wanted = desired(decoded.lb, existing, self.facts(decoded.lb))
        return intent.with_pending(wanted, decoded.pending)

    def kept_out(self):
        lb = codec.decode(self.rows).lb
        return access.wanted(lb, self.facts(lb))

    def facts(self, lb):
        routers = {}
        for router, switch in sorted(self.interfaces):
            routers.setdefault(router, {})[switch] = some.NETWORKS[switch]
        cloud = Cloud(routers, switches=some.NETWORKS)
        addresses = {f"10.0.0.{each}": each for each in range(5)}
        places = attachments(lb, cloud, SUBNETS)
        return Facts(
            attachments=places,
            entrances=entrances(lb, places, cloud),
            floating_ips={VIP: self.fip} if self.fip else {},
            mappings={address: f"port{number}:10.0.0.9" for address, number in addresses.items()},
            health=Health(
                {
                    (f"10.0.0.{each}", 8000 + each, protocol): Verdict.DOWN
                    for each in self.dead
                    for protocol in ("tcp", "udp")
                }
            ),
        )


def bare(rows):
    """Rows without what makes them individuals, in an order of their own."""
    return sorted(
        (dataclasses.replace(each, uuid="") for each in rows),
        key=lambda each: sorted(each.external_ids.items()),
    )


def normal(lb):
    """A load balancer as the rows give it back: in the order of ids."""

    def ordered(objects):
        return tuple(sorted(objects, key=lambda each: each.id))

    return dataclasses.replace(lb, listeners=ordered(lb.listeners), pools=ordered(lb.pools))


steps = st.lists(some.requests | some.events, max_size=10)
starts = some.load_balancers


@many
@given(starts, steps, st.data())
def test_rows_are_a_function_of_intent_and_facts(start, history, data):
    """However it came about, the rows are those of a database that was empty before."""
    world = World(start)
    for step in history:
        world.happens(step)
        if data.draw(st.booleans()):
            world.look()
    world.look()

    assert bare(world.rows) == bare(world.wanted(()))
    assert by_name(world.db.access()) == by_name(world.kept_out())


def by_name(found):
    return {each.name: each for each in (*found.groups, *found.sets)}


@many
@given(starts, steps)
def test_rows_say_what_was_asked_for(start, history):
    world = World(start)
    for step in history:
        world.happens(step)

        assert codec.decode(world.rows).lb == normal(world.lb)

        world.look()

        assert codec.decode(world.rows).lb == normal(world.lb)


@many
@given(starts, steps)
def test_a_second_look_writes_nothing(start, history):
    world = World(start)
    for step in history:
        world.happens(step)
        world.look()

        assert not world.look()


@many
@given(starts, steps, st.data())
def test_all_that_octavia_set_pending_is_remembered_until_it_has_been_told(start, history, data):
    world = World(start)
    for step in history:
        world.happens(step)
        if data.draw(st.booleans()):
            world.look()

        found = codec.pending(world.rows)
        assert (found.objects if found else {}) == world.waiting

        if data.draw(st.booleans()):
            world.answered()


@many
@given(starts, st.lists(some.events, max_size=6), st.data())
def test_the_order_of_events_does_not_matter(start, events, data):
    """Only the last one about each thing does."""
    last = {kind_of(event): event for event in events}.values()
    worlds = [World(start), World(start)]
    for event in events:
        worlds[0].happens(event)
        worlds[0].look()
    for event in data.draw(st.permutations(list(last))):
        worlds[1].happens(event)
        worlds[1].look()
    for world in worlds:
        world.look()

    assert bare(worlds[0].rows) == bare(worlds[1].rows)
    assert by_name(worlds[0].db.access()) == by_name(worlds[1].db.access())


def kind_of(event):
    match event:
        case some.Interface(router, switch, _):
            return (router, switch)
        case some.Dies(number, _):
            return number
        case _:
            return "floating IP"


@many
@given(starts, steps)
def test_nothing_that_serves_is_ever_interrupted(start, history):
    """What is served before and after is served in between: a request leaves it to the agent."""
    world = World(start)
    world.look()
    for step in history:
        before = world.db.vips()
        world.happens(step)

        assert world.db.vips() == before

        world.look()
        eligible = codec.decode(world.rows).lb
        assert all(world.db.vips().values())
        assert bool(world.db.vips()) == bool(served(eligible))


def served(lb):
    """Listeners that somebody can serve, told in another way than the core does."""
    families = {model.family(each.address) for each in lb.vips}
    return [
        listener
        for listener in lb.listeners
        for pool in lb.pools
        if lb.enabled and listener.enabled and listener.pool_id == pool.id and pool.enabled
        if any(
            each.enabled and each.weight > 0 and model.family(each.address) in families
            for each in pool.members
        )
    ]


@many
@given(starts, steps)
def test_others_rows_and_keys_stay(start, history):
    world = World(start)
    world.look()
    for each in world.rows:
        world.db.edit(
            each.uuid,
            external_ids={**each.external_ids, "foreign": each.uuid},
            options={**each.options, "skip_snat": "true"},
        )
    marked = {each.uuid for each in world.rows}
    for step in history:
        world.happens(step)
        world.look()

        assert world.db["pf"] == FOREIGN
        for each in world.rows:
            assert each.external_ids.get("foreign") == (each.uuid if each.uuid in marked else None)
            assert ("skip_snat" in each.options) == (each.uuid in marked)


@many
@given(starts, steps)
def test_no_row_is_made_while_another_of_its_protocol_goes(start, history):
    world = World(start)
    world.look()
    for step in history:
        before = {each.uuid: each.protocol for each in world.rows}
        world.happens(step)
        world.look()
        after = {each.uuid: each.protocol for each in world.rows}

        gone = {before[uuid] for uuid in before.keys() - after.keys()}
        made = {after[uuid] for uuid in after.keys() - before.keys()}
        assert gone.isdisjoint(made)


@many
@given(starts, steps)
def test_refused_requests_change_nothing_and_repeated_ones_nothing_more(start, history):
    world = World(start)
    for step in history:
        world.happens(step)
        if isinstance(step, some.FloatingIp | some.Interface | some.Dies):
            continue
        try:
            again = intent.record(world.rows, step, f"r{world.count}")
        except changes.UnknownObject:
            continue

        assert again == ()


@many
@given(some.aged)
def test_decoding_undoes_encoding(lb):
    assert codec.decode(recorded(lb)).lb == normal(lb)


@many
@given(some.aged, st.permutations(range(3)))
def test_the_order_of_rows_does_not_matter(lb, order):
    rows = recorded(lb)
    shuffled = [rows[index] for index in order if index < len(rows)]

    assert bare(desired(lb, rows, facts())) == bare(desired(lb, shuffled, facts()))


@many
@given(some.aged)
def test_every_key_is_somebodys(lb):
    """What is written is read: an intent key, one of the agent's, or what Octavia waits for."""
    for each in recorded(lb):
        assert all(map(codec.is_intent, each.external_ids))
        assert not any(map(codec.is_realised, each.external_ids))


@many
@given(some.aged, some.load_balancers)
def test_restoring_gives_what_octavia_has(before, octavia):
    """Apart from the order of members and their places, which are ours."""
    db = Database()
    db.write(intent.record((), changes.CreateLoadBalancer(before), "r1"))

    db.write(intent.record(db.of("lb1"), changes.Restore(octavia), "r2"))

    found = codec.decode(db.of("lb1")).lb
    assert without_places(found) == without_places(normal(octavia))
    assert not intent.record(db.of("lb1"), changes.Restore(octavia), "r3")


def without_places(lb):
    return dataclasses.replace(
        lb,
        pools=tuple(
            dataclasses.replace(
                each, slots=(), members=tuple(sorted(each.members, key=lambda one: one.id))
            )
            for each in lb.pools
        ),
    )


# --- garbage

WORDS = [
    "", ":", "_", ",", "80:pool_p1", "80:", ":80", "member_m1_10.0.0.1:80_sub1", "pool_p1:D",
    "member_m1_[fd00::1]:80", "member___", "10.0.0.1", "fd00::1", "fe80::1%,", "²", "٣",
    "True", "{}", "[]", '"x"', "null", "[" * 9999, "member_m1_10.0.0.1:80,member_m1_10.0.0.2:80",
]  # fmt: skip
NAMES = [
    "algorithm", "persistence", "monitor", "members", "slots", "mechanism", "timeout", "id", "type",
    "vips", "project_id", "requests", "objects", "cidr", "brought", "m1", "weight", "lb1", "pools",
    "allowed_cidrs",
]  # fmt: skip
LEAVES = [
    None, True, -1, 1.5, 10**30, float("nan"), "", "m1", "TCP", "SOURCE_IP", "ACTIVE", "x,y",
    "10.0.0.0/8",
]  # fmt: skip
_random = random.Random(1)


def _json(depth):
    kind = _random.random()
    if depth == 0 or kind < 0.3:
        return _random.choice(LEAVES)
    inner = [_json(depth - 1) for _ in range(_random.randint(0, 3))]
    return inner if kind < 0.45 else {_random.choice(NAMES): each for each in inner}


values = st.sampled_from(WORDS + [json.dumps(_json(4)) for _ in range(1000)]) | st.text(max_size=9)
prefixes = st.sampled_from(
    [
        k.LISTENER, k.LISTENER_ATTRIBUTES, k.POOL, k.POOL_ATTRIBUTES, k.POOL_MARK,
        "octavia:", "neutron:", "",
    ]
)  # fmt: skip
all_keys = st.sampled_from(
    [
        k.ENABLED, k.VIP, k.VIP_PORT, k.ADDITIONAL_VIPS, k.ADDITIONAL_PORTS, k.MEMBER_STATUS,
        k.MONITORS, k.LOAD_BALANCER, k.PENDING, "pool_p1", "pool_p1:D", "listener_l1",
        "octavia:attributes_p1", "octavia:listener:l1",
    ]
) | st.builds("".join, st.tuples(prefixes, st.text(max_size=4)))  # fmt: skip
garbage = st.dictionaries(all_keys, values, max_size=8)
options = st.dictionaries(st.sampled_from(["interval", "affinity_timeout"]), values, max_size=2)
rubbish_row = st.builds(
    row,
    protocol=st.sampled_from(["", "tcp", "udp", "sctp", "icmp"]),
    external_ids=st.builds(
        lambda ids, address: ids | ({k.VIP: address} if address else {}),
        garbage,
        st.sampled_from([None, VIP, VIP, "fd00::1", "x"]),
    ),
    vips=st.dictionaries(values, values, max_size=2),
    options=options,
    health_checks=st.lists(
        st.builds(
            Check,
            values,
            options,
            st.dictionaries(
                st.sampled_from([k.CHECK_POOL, k.CHECK_MONITOR]), values | st.just("p1")
            ),
        ),
        max_size=2,
    ).map(tuple),
)


rubbish_rows = st.builds(
    lambda name, rows: [
        dataclasses.replace(each, name=name, uuid=f"u{number}") for number, each in enumerate(rows)
    ],
    st.sampled_from(["lb1", "lb1", "lb1", "", "a_b"]),
    st.lists(rubbish_row, max_size=3),
)


@settings(many, max_examples=150)
@given(rubbish_rows)
def test_decoding_garbage_says_at_most_that_it_is_undecodable(rows):
    try:
        decoded = codec.decode(rows)
    except codec.Undecodable:
        return

    again = settle(intent.rows_of(decoded.lb, rows))
    assert codec.decode(again).lb == decoded.lb


@settings(many, max_examples=60)
@given(rubbish_rows)
def test_whatever_the_rows_hold_they_can_be_restored_and_deleted(rows):
    for change in (changes.Restore(balancer()), changes.DeleteLoadBalancer(balancer(), {})):
        operations = intent.record(rows, change, "r1")

        assert operations or not isinstance(change, changes.DeleteLoadBalancer)


@pytest.mark.parametrize("change", [changes.Resync("lb1"), changes.Abandon("lb1")])
def test_also_asked_for_and_abandoned(change):
    assert intent.record([row(external_ids={k.VIP: "x"})], change, "r1")


@many
@given(st.lists(st.sets(st.integers(1, 6)), max_size=5))
def test_rows_remember_places(history):
    """Over any number of writes and reads, as slots does in memory."""
    before = model.Pool("p1", model.Protocol.TCP, model.Algorithm.SOURCE_IP)
    for numbers in history:
        members = tuple(model.Member(f"m{each}", f"10.0.0.{each}", 80) for each in sorted(numbers))
        after = slots.arrange(dataclasses.replace(before, members=members), slots.places(before))

        assert codec.decode(recorded(balancer(pools=[after]))).lb.pools == (after,)

        before = after


def test_all_kinds_of_objects_can_be_remembered():
    lb = balancer()
    everything = {(kind, "x"): final for kind in Kind for final in Final}

    operations = intent.record((), changes.DeleteLoadBalancer(lb, everything), "r1")

    assert codec.pending([operations[0].row]).objects.items() >= everything.items()
