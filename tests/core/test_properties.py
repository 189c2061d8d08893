# SPDX-License-Identifier: Apache-2.0
"""What must hold whatever is asked and whatever happens, in any order."""

from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.core import codec, ip
from octavia_ovn.core.request import changes, record
from tests.core import strategies as some
from tests.core.builders import VIP
from tests.core.strategies import many
from tests.core.world import FOREIGN, World, bare, normal

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
    world.rests()

    assert bare(world.rows) == bare(world.wanted(()))
    assert by_name(world.db.access()) == by_name(world.kept_out())


def by_name(found):
    return {each.name: each for each in (*found.groups, *found.sets)}


@many
@given(starts, steps)
def test_rows_hold_the_requested_intent(start, history):
    world = World(start)
    for step in history:
        world.happens(step)

        assert codec.decode(world.rows).lb == normal(world.lb)

        world.look()

        assert codec.decode(world.rows).lb == normal(world.lb)


@many
@given(starts, steps)
def test_a_second_reconciliation_writes_nothing(start, history):
    world = World(start)
    for step in history:
        world.happens(step)
        world.look()

        assert not world.look()


@many
@given(starts, steps, st.data())
def test_pending_objects_are_kept_until_they_are_reported(start, history, data):
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
        world.rests()

    assert bare(worlds[0].rows) == bare(worlds[1].rows)
    assert by_name(worlds[0].db.access()) == by_name(worlds[1].db.access())


def kind_of(event):
    match event:
        case some.Unplugged(number, _):
            return ("port", number)
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
        assert {key: bool(value) for key, value in world.db.vips().items()} == dict(expected(world))


def expected(world):
    """Yield the entries there must be and whether they have a backend, told in another way."""
    lb = codec.decode(world.rows).lb
    addresses = [each.address for each in lb.vips]
    addresses += [world.fip] if world.fip and VIP in addresses else []
    for listener in lb.listeners:
        pool = lb.pool(listener.pool_id)
        if not (lb.enabled and listener.enabled and pool and pool.enabled and pool.members):
            continue
        may_serve = [each for each in pool.members if each.enabled and each.weight > 0]
        may_serve = [each for each in may_serve if not world.is_unreachable(pool, each)]
        for address in addresses:
            family = ip.family(address)
            key = (listener.protocol.value, codec.endpoint(address, listener.port))
            yield key, any(ip.family(each.address) == family for each in may_serve)


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
def test_no_row_is_inserted_while_another_of_its_protocol_is_deleted(start, history):
    world = World(start)
    world.look()
    for step in history:
        before = {each.uuid: each.protocol for each in world.serving}
        world.happens(step)
        world.look()
        after = {each.uuid: each.protocol for each in world.serving}

        gone = {before[uuid] for uuid in before.keys() - after.keys()}
        made = {after[uuid] for uuid in after.keys() - before.keys()}
        assert gone.isdisjoint(made)


@many
@given(starts, steps)
def test_refused_requests_change_nothing_and_repeated_ones_nothing_more(start, history):
    world = World(start)
    for step in history:
        world.happens(step)
        if isinstance(step, some.FloatingIp | some.Interface | some.Dies | some.Unplugged):
            continue
        try:
            again = record.record(world.rows, step, f"r{world.count}")
        except changes.UnknownObject:
            continue

        assert again == ()
